//! Records in the formats of the wire, read by a codec and by hand. `benches/codecs.rs` is made of
//! this file too.

use std::io::Write as _;

use serde::Deserialize;

use crate::io::itch::{
    AddOrder, Alpha, Header, Message, OrderCancel, OrderDelete, OrderExecuted, OrderReplace, Trade,
};
use crate::io::{Framing, LengthPrefixed, Lines, Split, json};

/// What was found: the same by whatever reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Found {
    /// How many records.
    pub records: u64,
    /// What their fields come to.
    pub sum: u64,
}

impl Found {
    #[inline]
    fn add(&mut self, value: u64) {
        self.records += 1;
        self.sum = self.sum.wrapping_mul(31).wrapping_add(value);
    }
}

/// ITCH messages behind their lengths, mixed as on a day: orders come and go, few are executed.
pub fn messages(count: usize) -> Vec<u8> {
    let (mut random, mut bytes) = (fastrand::Rng::with_seed(7), Vec::new());
    let mut framing = LengthPrefixed::big_endian_u16(50);
    for at in 0..count as u64 {
        let header = Header::new(random.u16(..9_000), 0, 34_200_000_000_000 + at * 1_000);
        let (order, by) = (random.u64(..1 << 32).into(), random.u64(..1 << 32).into());
        let (shares, price) = (random.u32(1..1_000).into(), random.u32(1..9_999_999).into());
        let (stock, side, execution) = (Alpha::new("MSFT"), b'B', at.into());
        let from = bytes.len();
        framing.begin(&mut bytes);
        let into = &mut bytes;
        match random.u8(..100) {
            0..45 => Message::AddOrder(&AddOrder { header, order, side, shares, stock, price })
                .encode(into),
            45..85 => Message::OrderDelete(&OrderDelete { header, order }).encode(into),
            85..90 => Message::OrderExecuted(&OrderExecuted { header, order, shares, execution })
                .encode(into),
            90..96 => Message::OrderReplace(&OrderReplace { header, order, by, shares, price })
                .encode(into),
            96..98 => Message::OrderCancel(&OrderCancel { header, order, shares }).encode(into),
            _ => {
                let trade = Trade { header, order, side, shares, stock, price, execution };
                Message::Trade(&trade).encode(into);
            }
        }
        framing.end(&mut bytes, from);
    }
    bytes
}

/// Reads messages by the codec.
pub fn messages_by_codec(bytes: &[u8]) -> Found {
    let (mut framing, mut found, mut rest) =
        (LengthPrefixed::big_endian_u16(50), Found::default(), bytes);
    while let Ok(Split::Frame { start, end, total }) = framing.split(rest, 0) {
        match Message::decode(&rest[start..end]) {
            Ok(Message::AddOrder(it)) => {
                let value = u64::from(it.shares.get()) * u64::from(it.price.get());
                found.add(it.order.get() ^ it.header.at.get() ^ value);
            }
            Ok(Message::OrderDelete(it)) => found.add(it.order.get()),
            Ok(Message::OrderExecuted(it)) => found.add(it.order.get() ^ it.shares.get() as u64),
            Ok(Message::OrderCancel(it)) => found.add(it.order.get() ^ it.shares.get() as u64),
            Ok(Message::OrderReplace(it)) => {
                let value = u64::from(it.shares.get()) * u64::from(it.price.get());
                found.add(it.order.get() ^ it.by.get() ^ value);
            }
            Ok(Message::Trade(it)) => {
                found.add(u64::from(it.shares.get()) * u64::from(it.price.get()));
            }
            _ => {}
        }
        rest = &rest[total..];
    }
    found
}

/// Reads the same by a match over memory.
pub fn messages_by_hand(bytes: &[u8]) -> Found {
    let (mut found, mut rest) = (Found::default(), bytes);
    while let Some((length, behind)) = rest.split_first_chunk() {
        let Some((message, behind)) = behind.split_at_checked(u16::from_be_bytes(*length).into())
        else {
            break;
        };
        let four = |at: usize| u64::from(u32::from_be_bytes(part(message, at)));
        let eight = |at: usize| u64::from_be_bytes(part(message, at));
        match (message.first(), message.len()) {
            (Some(b'A'), 36) => {
                let time = eight(3) & 0xffff_ffff_ffff;
                found.add(eight(11) ^ time ^ (four(20) * four(32)));
            }
            (Some(b'D'), 19) => found.add(eight(11)),
            (Some(b'E'), 31) | (Some(b'X'), 23) => found.add(eight(11) ^ four(19)),
            (Some(b'U'), 35) => found.add(eight(11) ^ eight(19) ^ (four(27) * four(31))),
            (Some(b'P'), 44) => found.add(four(20) * four(32)),
            _ => {}
        }
        rest = behind;
    }
    found
}

#[inline]
fn part<const N: usize>(message: &[u8], at: usize) -> [u8; N] {
    message[at..at + N].try_into().unwrap_or([0; N])
}

/// Five of the twenty fields of a line.
#[derive(Deserialize)]
struct Print<'a> {
    symbol: &'a str,
    price: f64,
    qty: u64,
    side: &'a str,
    at: i64,
}

impl Print<'_> {
    #[inline]
    fn value(&self) -> u64 {
        let texts = self.symbol.bytes().chain(self.side.bytes()).map(u64::from).sum::<u64>();
        self.price.to_bits() ^ self.qty ^ self.at as u64 ^ texts
    }
}

/// Trades as JSON lines of twenty fields, two of them objects and one a list.
pub fn lines(count: usize) -> Vec<u8> {
    let (mut random, mut bytes) = (fastrand::Rng::with_seed(7), Vec::new());
    for at in 0..count {
        let mut below = |most| random.u32(1..most);
        // Writing to memory does not fail.
        let _ = writeln!(
            bytes,
            "{{\"venue\":\"XNAS\",\"seq\":{at},\"symbol\":\"S{:04}\",\"channel\":\"trades\",\
             \"price\":{}.{:02},\"currency\":\"USD\",\"flags\":[1,2,{}],\"qty\":{},\"buyer\":\
             {{\"id\":\"b{}\",\"tier\":2}},\"seller\":{{\"id\":\"s{}\",\"tier\":1}},\
             \"side\":\"{}\",\"bid\":{}.5,\"ask\":{}.75,\"lot\":100,\"cond\":\"@ F I\",\"at\":{},\
             \"tape\":\"C\",\"auction\":false,\"note\":null,\"src\":\"sip-7\"}}",
            below(5_000),
            below(900),
            below(100),
            below(9),
            below(10_000),
            below(u32::MAX),
            below(u32::MAX),
            if below(3) == 1 { "B" } else { "S" },
            below(900),
            below(900),
            1_795_944_600_000_000_000 + at as u64 * 1_000,
        );
    }
    bytes
}

/// Reads lines by the codec.
pub fn lines_by_codec(bytes: &[u8]) -> Found {
    let (mut framing, mut reader) = (Lines::new(4_096), json::Reader::new());
    let (mut found, mut rest) = (Found::default(), bytes);
    while let Ok(Split::Frame { start, end, total }) = framing.split(rest, 0) {
        if let Ok(print) = reader.read::<Print>(&rest[start..end]) {
            found.add(print.value());
        }
        rest = &rest[total..];
    }
    found
}

/// Reads the same by a loop around the parser that most would take.
pub fn lines_by_struct(bytes: &[u8]) -> Found {
    let mut found = Found::default();
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        if let Ok(print) = sonic_rs::from_slice::<Print>(line) {
            found.add(print.value());
        }
    }
    found
}
