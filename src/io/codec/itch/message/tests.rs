use std::mem::offset_of;

use proptest::prelude::*;

use super::*;
use crate::io::codec::itch::BYTES_MAX;

/// Types and lengths, in the order of the specification.
const LENGTHS: [(u8, usize); 23] = [
    (b'S', 12),
    (b'R', 39),
    (b'H', 25),
    (b'Y', 20),
    (b'L', 26),
    (b'V', 35),
    (b'W', 12),
    (b'K', 28),
    (b'J', 35),
    (b'h', 21),
    (b'A', 36),
    (b'F', 40),
    (b'E', 31),
    (b'C', 36),
    (b'X', 23),
    (b'D', 19),
    (b'U', 35),
    (b'P', 44),
    (b'Q', 40),
    (b'B', 19),
    (b'I', 50),
    (b'N', 20),
    (b'O', 48),
];

#[test]
fn all_types_have_the_lengths_of_the_specification() {
    for kind in 0..=255 {
        let wanted = LENGTHS.iter().find(|(known, _)| *known == kind).map(|(_, length)| *length);
        assert_eq!(length_of(kind), wanted, "{kind}");
    }
    assert_eq!(LENGTHS.iter().map(|(_, length)| *length).max(), Some(BYTES_MAX));
}

/// Offsets count the type byte, which is in no struct.
#[test]
fn fields_are_where_the_specification_has_them() {
    macro_rules! at {
        ($($name:ident: $($field:ident $offset:literal)*;)*) => {
            $($(assert_eq!(1 + offset_of!($name, $field), $offset, "{}.{}",
                stringify!($name), stringify!($field));)*)*
        };
    }
    at! {
        SystemEvent: event 11;
        StockDirectory: stock 11 market_category 19 financial_status 20 round_lot 21
            round_lots_only 25 classification 26 sub_type 27 authenticity 29
            short_sale_threshold 30 ipo 31 luld_tier 32 etp 33 etp_leverage 34 inverse 38;
        TradingAction: stock 11 state 19 reserved 20 reason 21;
        RegSho: stock 11 action 19;
        ParticipantPosition: participant 11 stock 15 primary 23 mode 24 state 25;
        MwcbLevels: level_1 11 level_2 19 level_3 27;
        MwcbStatus: level 11;
        IpoQuoting: stock 11 release 19 qualifier 23 price 24;
        AuctionCollar: stock 11 reference 19 upper 23 lower 27 extension 31;
        OperationalHalt: stock 11 market 19 action 20;
        AddOrder: order 11 side 19 shares 20 stock 24 price 32;
        AddOrderAttributed: order 11 side 19 shares 20 stock 24 price 32 participant 36;
        OrderExecuted: order 11 shares 19 execution 23;
        OrderExecutedAt: order 11 shares 19 execution 23 printable 31 price 32;
        OrderCancel: order 11 shares 19;
        OrderDelete: order 11;
        OrderReplace: order 11 by 19 shares 27 price 31;
        Trade: order 11 side 19 shares 20 stock 24 price 32 execution 36;
        CrossTrade: shares 11 stock 19 price 27 execution 31 cross 39;
        BrokenTrade: execution 11;
        Imbalance: paired 11 imbalance 19 direction 27 stock 28 far 36 near 40 reference 44
            cross 48 variation 49;
        RetailInterest: stock 11 side 19;
        DirectListing: stock 11 eligible 19 minimum 20 maximum 24 near_price 28 near_time 32
            lower 40 upper 44;
    }
}

/// Written by hand, byte by byte.
#[test]
fn a_message_reads_as_it_was_put_together() {
    let bytes = b"A\x12\x34\x00\x01\x1f\x1a\xce\xda\x60\x00\x00\x00\x00\x00\x00\x00\x12\x67B\
                  \x00\x00\x00\x64MSFT    \x00\x3e\xa3\x88";
    let Ok(Message::AddOrder(order)) = Message::decode(bytes) else { panic!() };
    assert_eq!(order.header.locate.get(), 0x1234);
    assert_eq!(order.header.tracking.get(), 1);
    assert_eq!(order.header.at.get(), 0x1f1a_ceda_6000);
    assert_eq!((order.order.get(), order.side, order.shares.get()), (4711, b'B', 100));
    assert_eq!(order.stock.as_str(), Some("MSFT"));
    assert_eq!(order.price.get(), 4_105_096);
    assert_eq!(format!("{:?}", order.stock), "\"MSFT\"");
}

#[test]
fn another_length_is_an_error_that_says_which() {
    for (kind, length) in LENGTHS {
        let mut bytes = vec![kind; length + 1];
        let more = Message::decode(&bytes).unwrap_err();
        assert_eq!(more.offset, Some(length));
        let name = char::from(kind);
        assert_eq!(more.reason, format!("`{name}` has {length} bytes, and there are more"));
        bytes.truncate(length - 1);
        let less = Message::decode(&bytes).unwrap_err();
        assert_eq!(less.offset, Some(length - 1));
        assert_eq!(less.reason, format!("`{name}` has {length} bytes, and there are less"));
    }
    assert_eq!(Message::decode(b"").unwrap_err().to_string(), "at byte 0: no message");
    let unknown = Message::decode(b"zoo").unwrap();
    assert_eq!((unknown, unknown.header()), (Message::Unknown(b"zoo"), None));
}

proptest! {
    /// Whatever the fields hold: no byte of a message is without a field.
    #[test]
    fn what_is_decoded_is_encoded_again(
        at in 0..LENGTHS.len(),
        fields in prop::collection::vec(any::<u8>(), BYTES_MAX),
    ) {
        let (kind, length) = LENGTHS[at];
        let mut bytes = fields;
        bytes.truncate(length);
        bytes[0] = kind;
        let message = Message::decode(&bytes).unwrap();
        prop_assert!(!matches!(message, Message::Unknown(_)));
        let mut again = Vec::new();
        message.encode(&mut again);
        prop_assert_eq!(&again, &bytes);
        let header = message.header().unwrap();
        prop_assert_eq!(Header::new(header.locate.get(), header.tracking.get(), header.at.get()),
            *header);
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error_within_them(
        bytes in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        match Message::decode(&bytes) {
            Ok(message) => {
                let mut again = Vec::new();
                message.encode(&mut again);
                prop_assert_eq!(again, bytes);
            }
            Err(error) => prop_assert!(error.offset.unwrap() <= bytes.len()),
        }
    }
}
