use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::io::codec::fix::{Encoder, Frames};
use crate::io::framing::{Framing, Split};
use crate::time::Timestamp;

/// With `|` for the end of a field, as people write it.
fn written(text: &str) -> Vec<u8> {
    text.replace('|', "\u{1}").into_bytes()
}

/// A message with this body, and its two figures as they should be.
fn framed(body: &str) -> Vec<u8> {
    let mut bytes = written(&format!("8=FIX.4.2|9={}|{body}", body.len()));
    let sum = sum(&bytes);
    bytes.extend(written(&format!("10={sum:03}|")));
    bytes
}

const HEADER: &str = "35=D|34=7|49=A|52=20261129-09:30:00|56=B|";

fn with(fields: &str) -> Vec<u8> {
    framed(&format!("{HEADER}{fields}"))
}

/// A log-on as it is printed in many places.
#[test]
fn a_message_from_elsewhere_is_read() {
    let bytes = written(
        "8=FIX.4.2|9=65|35=A|49=SERVER|56=CLIENT|34=177|52=20090107-18:15:16|98=0|108=30|10=062|",
    );
    let message = Message::decode(&bytes).unwrap();
    let header = message.header;
    assert_eq!((header.version, header.kind, header.sequence), (&b"FIX.4.2"[..], &b"A"[..], 177));
    assert_eq!((header.sender, header.target), (&b"SERVER"[..], &b"CLIENT"[..]));
    assert_eq!(header.sending_time.time(), Ok(Timestamp(1_231_352_116_000_000_000)));
    assert_eq!(message.get(108).unwrap().unwrap().int(), Ok(30));
    let frame = Split::Frame { start: 0, end: bytes.len(), total: bytes.len() };
    assert_eq!(Frames::new(200).split(&bytes, 0), Ok(frame));
}

#[test]
fn which_figure_is_wrong_is_told_and_where() {
    let whole = with("55=MSFT|");
    let wrong = |at: usize, byte: u8| {
        let mut bytes = whole.clone();
        bytes[at] = byte;
        // What frames find is handed to the decoder all the same.
        if let Ok(Split::Frame { start, end, .. }) = Frames::new(200).split(&bytes, 0) {
            assert_eq!((start, end), (0, bytes.len()));
        }
        Message::decode(&bytes).unwrap_err().to_string()
    };
    assert_eq!(wrong(12, b'1'), "at byte 12: BodyLength says 19, and the body has 49 bytes");
    let sum = whole.len() - 4;
    let [low, high] = [whole[sum + 2], b'9'];
    assert!(wrong(sum, high).starts_with(&format!("at byte {sum}: CheckSum says 9")));
    assert!(wrong(60, b'X').contains("CheckSum says"), "{low}");
    assert_eq!(wrong(whole.len() - 1, b'|'), "at byte 64: CheckSum does not come last");
    assert_eq!(wrong(0, b'9'), "at byte 0: a message begins with 8=FIX");
    assert_eq!(wrong(10, b'8'), "at byte 10: BodyLength comes second");
}

#[test]
fn what_the_session_needs_is_there_or_missed() {
    let missing = |body: &str| Message::decode(&framed(body)).unwrap_err().to_string();
    assert_eq!(missing("34=1|35=D|"), "at byte 15: MsgType comes third");
    for (without, name) in [
        ("34=7|", "MsgSeqNum (34)"),
        ("49=A|", "SenderCompID (49)"),
        ("56=B|", "TargetCompID (56)"),
        ("52=20261129-09:30:00|", "SendingTime (52)"),
    ] {
        let body = HEADER.replace(without, "") + "55=X|" + without;
        let told = missing(&body);
        assert!(told.ends_with(&format!("{name} is missing in the header")), "{told}");
    }
    assert!(missing(&HEADER.replace("34=7", "34=x")).ends_with("MsgSeqNum is no number"));
}

#[test]
fn a_garbled_message_is_left_out_and_the_next_one_found() {
    let (first, second) = (with("58=one|"), with("58=two|"));
    for said in ["1", "60", "999"] {
        let garbled =
            String::from_utf8(first.clone()).unwrap().replacen("9=48", &format!("9={said}"), 1);
        let stream = [garbled.as_bytes(), &second].concat();
        let mut frames = Frames::new(1_000);
        let Ok(Split::Frame { end, total, .. }) = frames.split(&stream, 0) else {
            // It might still come, until the peer is silent for too long.
            assert_eq!(said, "999");
            continue;
        };
        assert_eq!((end, total), (garbled.len(), garbled.len()));
        let error = Message::decode(&stream[..end]).unwrap_err();
        assert!(error.reason.starts_with("BodyLength says"), "{error}");
        assert!(Message::decode(&stream[total..]).is_ok());
    }
    let long = Frames::new(100).split(&first.repeat(2)[..60], 0);
    assert_eq!(long, Ok(Split::More(first.len() - 60)));
    assert!(Frames::new(50).split(&first, 0).is_err());
    assert!(Frames::new(50).split(b"8=FIX.4.2\x019=x", 0).is_err());
}

#[test]
fn values_are_read_exactly_or_refused() {
    let bytes = with("1=-12.50|2=12|3=Y|4=x|5=.5|6=|7=9223372036854775808|8001=1.|");
    let message = Message::decode(&bytes).unwrap();
    let get = |tag| message.get(tag).unwrap().unwrap();
    let decimal = |tag: u32| get(tag).decimal().map(|it| (it.digits, it.places));
    assert_eq!(decimal(1), Ok((-1_250, 2)));
    assert_eq!((decimal(2), get(2).int()), (Ok((12, 0)), Ok(12)));
    assert_eq!((decimal(5), decimal(8_001)), (Ok((5, 1)), Ok((1, 0))));
    assert_eq!(get(3).flag(), Ok(true));
    for tag in [4, 6, 7] {
        assert_eq!(get(tag).decimal().unwrap_err().offset, Some(get(tag).at));
    }
    assert!(get(1).int().is_err() && get(8_001).int().is_err() && get(2).flag().is_err());
}

#[test]
fn times_are_nanoseconds_since_1970() {
    let time = |value: &str| Field { tag: 52, value: value.as_bytes(), at: 0 }.time();
    assert_eq!(time("19700101-00:00:00"), Ok(Timestamp(0)));
    assert_eq!(time("20000229-12:00:00.5"), Ok(Timestamp(951_825_600_500_000_000)));
    assert_eq!(time("20261129-09:30:00.123456789"), Ok(Timestamp(1_795_944_600_123_456_789)));
    assert_eq!(time("20261129-09:30:00.123456789999"), time("20261129-09:30:00.123456789"));
    assert_eq!(time("19691231-23:59:59.999"), Ok(Timestamp(-1_000_000)));
    assert_eq!(time("20161231-23:59:60"), time("20170101-00:00:00"));
    for bad in [
        "",
        "20261129",
        "20261129-9:30:00.1",
        "20261329-09:30:00",
        "20260229-09:30:00",
        "20261129 09:30:00",
        "20261129-24:00:00",
        "20261129-09:60:00",
        "20261129-09:30:61",
        "20261129-09:30:00.",
        "20261129-09:30:00x",
        "99991231-00:00:00",
        "2026112x-09:30:00",
    ] {
        assert!(time(bad).is_err(), "{bad}");
    }
}

#[test]
fn data_may_hold_the_end_of_a_field() {
    let mut bytes = Vec::new();
    let mut message = Encoder::begin(&mut bytes, "FIXT.1.1", "B");
    message.session(1, "A", "B", "x").data(95, 96, b"a\x0110=000\x01b").text(58, "behind");
    message.finish().unwrap();
    let frame = Split::Frame { start: 0, end: bytes.len(), total: bytes.len() };
    assert_eq!(Frames::new(200).split(&bytes, 0), Ok(frame));
    let message = Message::decode(&bytes).unwrap();
    assert_eq!(message.get(96).unwrap().unwrap().value, b"a\x0110=000\x01b");
    assert_eq!(message.get(58).unwrap().unwrap().text(), Ok("behind"));
    for (fields, reason) in [
        ("95=3|58=x|", "the data whose length came before is missing"),
        ("95=3|", "the data whose length came before is missing"),
        ("95=3|96=ab|", "data of another length than was said"),
        ("95=1|96=ab|", "data of another length than was said"),
        ("95=-1|96=ab|", "not a length"),
        ("x=1|", "a field begins with its tag and `=`"),
        ("99999999999=1|", "a field begins with its tag and `=`"),
        ("|", "a field begins with its tag and `=`"),
    ] {
        let bytes = with(fields);
        let message = Message::decode(&bytes).unwrap();
        let error = message.fields().find_map(Result::err).unwrap();
        assert_eq!(error.reason, reason, "{fields}");
        assert_eq!(message.fields().filter(Result::is_err).count(), 1, "{fields}");
        assert!(message.get(5_000).is_err());
    }
}

#[test]
fn groups_are_read_in_order_and_counted() {
    let bytes = with("453=2|448=A|452=1|802=2|523=x|523=y|448=B|58=z|");
    let message = Message::decode(&bytes).unwrap();
    let entries: Vec<_> =
        message.group(453, &[448, 452, 802, 523]).unwrap().collect::<Result<_, _>>().unwrap();
    let named = |at: usize| entries[at].get(448).unwrap().unwrap().value;
    assert_eq!((entries.len(), named(0), named(1)), (2, &b"A"[..], &b"B"[..]));
    let inner: Vec<_> = entries[0].group(802, &[523]).unwrap().map(Result::unwrap).collect();
    assert_eq!(inner[1].get(523).unwrap().unwrap().value, b"y");
    assert_eq!(entries[1].fields().count(), 1);
    assert_eq!(entries[1].group(802, &[523]).unwrap().left(), 0);
    // More were counted than there are.
    let mut groups = message.group(453, &[448]).unwrap();
    assert!(groups.next().unwrap().is_ok());
    let error = groups.next().unwrap().unwrap_err();
    assert_eq!(error.reason, "an entry of the group is missing");
    assert!(groups.next().is_none());
    assert!(message.group(58, &[1]).is_err());
    assert!(message.group(453, &[]).unwrap().next().unwrap().is_err());
}

#[test]
fn what_cannot_be_written_takes_the_message_back() {
    let refused = |write: &dyn Fn(&mut Encoder<'_>)| {
        let mut bytes = b"before".to_vec();
        let mut message = Encoder::begin(&mut bytes, "FIX.4.4", "D");
        write(&mut message);
        let error = message.finish().unwrap_err();
        assert_eq!(bytes, b"before");
        error.reason
    };
    let end = "a value holds the end of a field: write it as data";
    assert_eq!(refused(&|it| _ = it.text(58, "a\u{1}")), end);
    for tag in [0, 8, 9, 10, u32::MAX] {
        assert_eq!(refused(&|it| _ = it.text(tag, "")), "no tag for a field");
    }
    assert_eq!(refused(&|it| _ = it.number(95, 1)), "data and its length are written together");
    assert_eq!(refused(&|it| _ = it.data(58, 96, b"")), "no tags of data and its length");
    let mut bytes = Vec::new();
    assert!(Encoder::begin(&mut bytes, "FIX.99999999", "D").finish().is_err());
}

#[derive(Clone, Debug)]
enum Said {
    Text(u32, Vec<u8>),
    Number(u32, i64),
    Data(usize, Vec<u8>),
}

fn said() -> impl Strategy<Value = Said> {
    let tag = || prop_oneof![Just(1u32), 100..200u32, 5_000..6_000u32];
    prop_oneof![
        (tag(), prop::collection::vec(2..=255u8, 0..12)).prop_map(|(tag, it)| Said::Text(tag, it)),
        (tag(), any::<i64>()).prop_map(|(tag, it)| Said::Number(tag, it)),
        (0..tags::DATA.len(), prop::collection::vec(any::<u8>(), 0..12))
            .prop_map(|(at, it)| Said::Data(at, it)),
    ]
}

fn encoded(said: &[Said], sequence: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut message = Encoder::begin(&mut bytes, "FIX.4.4", "D");
    message.session(sequence.into(), "A", "B", "20261129-09:30:00");
    for it in said {
        match it {
            Said::Text(tag, value) => message.bytes(*tag, value),
            Said::Number(tag, value) => message.number(*tag, *value),
            Said::Data(at, value) => message.data(tags::DATA[*at].0, tags::DATA[*at].1, value),
        };
    }
    message.finish().unwrap();
    bytes
}

/// Goes through all there is.
fn look_at(bytes: &[u8]) {
    let inside = |error: Malformed| assert!(error.offset.unwrap() <= bytes.len(), "{error}");
    match Message::decode(bytes) {
        Err(error) => inside(error),
        Ok(message) => {
            for field in message.fields() {
                match field {
                    Ok(field) => {
                        assert!(field.at + field.value.len() < bytes.len());
                        let _ = (field.int(), field.decimal(), field.time(), field.flag());
                        let _ = field.text();
                    }
                    Err(error) => inside(error),
                }
            }
            match message.group(100, &[101, 102]) {
                Ok(groups) => groups.filter_map(Result::err).for_each(inside),
                Err(error) => inside(error),
            }
        }
    }
    for most in [30, 10_000] {
        if let Ok(Split::Frame { start, end, total }) = Frames::new(most).split(bytes, 0) {
            assert!(start == 0 && end == total && total <= bytes.len());
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        said in prop::collection::vec(said(), 0..12),
        sequence in any::<u32>(),
    ) {
        let bytes = encoded(&said, sequence);
        let message = Message::decode(&bytes).unwrap();
        prop_assert_eq!(message.header.sequence, u64::from(sequence));
        let fields = message.fields().skip(5).map(Result::unwrap);
        let read: Vec<(u32, Vec<u8>)> = fields.map(|it| (it.tag, it.value.to_vec())).collect();
        let mut wanted = Vec::new();
        for it in &said {
            match it {
                Said::Text(tag, value) => wanted.push((*tag, value.clone())),
                Said::Number(tag, value) => wanted.push((*tag, value.to_string().into_bytes())),
                Said::Data(at, value) => {
                    wanted.push((tags::DATA[*at].0, value.len().to_string().into_bytes()));
                    wanted.push((tags::DATA[*at].1, value.clone()));
                }
            }
        }
        prop_assert_eq!(read, wanted);
        for cut in 0..bytes.len() {
            let split = Frames::new(10_000).split(&bytes[..cut], 0);
            prop_assert!(matches!(split, Ok(Split::More(1..))));
            prop_assert!(Message::decode(&bytes[..cut]).is_err());
        }
        let frame = Split::Frame { start: 0, end: bytes.len(), total: bytes.len() };
        prop_assert_eq!(Frames::new(10_000).split(&bytes, 0), Ok(frame));
    }

    #[test]
    fn changed_bytes_are_read_or_refused_within_them(
        said in prop::collection::vec(said(), 0..8),
        changes in prop::collection::vec((any::<Index>(), any::<u8>(), any::<bool>()), 1..4),
        mend in any::<bool>(),
    ) {
        let mut bytes = encoded(&said, 1);
        for (at, byte, put_in) in changes {
            let at = at.index(bytes.len());
            if put_in { bytes.insert(at, byte) } else { bytes[at] = byte }
        }
        // With a check sum that fits, what is wrong gets further in.
        if mend && bytes.len() > 7 {
            let from = bytes.len() - 7;
            let sum = sum(&bytes[..from]);
            bytes[from..].copy_from_slice(&written(&format!("10={sum:03}|")));
        }
        look_at(&bytes);
    }

    #[test]
    fn any_bytes_are_read_or_refused_within_them(
        bytes in prop::collection::vec(
            prop::sample::select(b"8=FIX.4\x01359610-x\xff".to_vec()), 0..80),
        begin in any::<bool>(),
    ) {
        let bytes = if begin { [b"8=FIX.4.4\x019=", &bytes[..]].concat() } else { bytes };
        look_at(&bytes);
    }
}
