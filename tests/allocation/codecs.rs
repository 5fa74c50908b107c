//! Records of every format, read and written again.

use std::hint::black_box;

use millstream::io::fix::{Encoder, Frames, Message};
use millstream::io::{
    Codec, Framing, LengthPrefixed, Malformed, Plain, Split, itch, json, moldudp64, openrtb,
};
use serde::Deserialize;

use super::calls;

/// The same, again and again, after a first time.
fn check(name: &str, mut once: impl FnMut()) {
    once();
    assert_eq!(calls(|| (0..100).for_each(|_| once())), 0, "{name}");
}

#[test]
fn itch_does_not_allocate() {
    let (mut out, mut packet) = (Vec::with_capacity(200), Vec::with_capacity(200));
    let bytes = b"D\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x07";
    check("itch", || {
        out.clear();
        packet.clear();
        itch::Message::decode(bytes).unwrap().encode(&mut out);
        let mut writer = moldudp64::Writer::begin(&mut packet, [0; 10], 1);
        writer.push(&out).unwrap();
        writer.push(b"A of a wrong length").unwrap();
        let packet = moldudp64::Packet::decode(&packet).unwrap();
        for (sequence, message) in packet.messages().map(Result::unwrap) {
            // What is wrong costs no more than what is right.
            assert_eq!(itch::Message::decode(message).is_ok(), sequence == 1);
        }
    });
    let mut framing = LengthPrefixed::varint(300);
    check("varint", || {
        out.clear();
        framing.begin(&mut out);
        out.extend_from_slice(&[7; 150]);
        framing.end(&mut out, 0);
        assert!(matches!(framing.split(&out, 0), Ok(Split::Frame { start: 2, .. })));
    });
    let mut plain = Plain::<[u32; 4]>::new();
    check("plain", || {
        out.clear();
        plain.encode(&[1, 2, 3, 4], &mut out);
        assert_eq!(plain.decode(&out), Ok(Some([1, 2, 3, 4])));
        assert!(plain.decode(&out[1..]).is_err());
    });
}

#[derive(Deserialize)]
struct Print<'a> {
    symbol: &'a str,
    price: f64,
    venue: millstream::Text<8>,
}

#[test]
fn json_does_not_allocate() {
    let line =
        br#"{"x":{"y":["a\n",1.5e3,null]},"symbol":"MSFT","price":410.5,"venue":"X\u004eAS"}"#;
    let mut reader = json::Reader::new();
    check("json", || {
        let print: Print = reader.read(line).unwrap();
        assert!(print.symbol == "MSFT" && print.price == 410.5 && print.venue == "XNAS");
    });
    let request = br#"{"id": "r", "imp": [{"id": "1", "banner": {"format": [{"w": 300}]}}],
        "badv": ["a.com", "b\/c"], "ext": [[{}]], "site": {"page": "http:\/\/x"}}"#;
    let (mut reader, mut out) = (openrtb::Reader::new(), Vec::with_capacity(400));
    check("openrtb", || {
        out.clear();
        let request = reader.request(request).unwrap();
        request.encode(&mut out);
        let imp = request.imp.iter().next().unwrap();
        let bids = [openrtb::Bid { impid: imp.id, price: 1.5, ..Default::default() }];
        let seats = [openrtb::SeatBid { bid: openrtb::List::of(&bids), ..Default::default() }];
        let seatbid = openrtb::List::of(&seats);
        openrtb::Response { id: request.id, seatbid, ..Default::default() }.encode(&mut out);
        assert!(request.badv.iter().any(|domain| domain == "b/c"));
    });
}

#[test]
fn fix_does_not_allocate() {
    let mut out = Vec::with_capacity(400);
    let mut once = || -> Result<(), Malformed> {
        out.clear();
        let mut message = Encoder::begin(&mut out, "FIX.4.4", "W");
        message.session(7, "A", "B", "20261129-09:30:00");
        message.data(95, 96, b"\x01").number(268, 2);
        message.text(269, "0").text(270, "410.5").text(269, "1").text(270, "410.75");
        message.finish()?;
        let frame = Frames::new(400).split(&out, 0);
        assert!(matches!(frame, Ok(Split::Frame { total, .. }) if total == out.len()));
        let message = Message::decode(&out)?;
        black_box(message.header.sending_time.time()?);
        for entry in message.group(268, &[269, 270])? {
            black_box(entry?.get(270)?.map(|price| price.decimal()));
        }
        Ok(())
    };
    check("fix", || once().unwrap());
}
