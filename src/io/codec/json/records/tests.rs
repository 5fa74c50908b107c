use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value as Tree;

use super::*;
use crate::io::codec::json::DEPTH_MAX;

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Order<'a> {
    symbol: &'a str,
    price: f64,
    #[serde(default)]
    legs: Vec<Leg>,
    note: Option<String>,
    side: Side,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Leg {
    size: u32,
    span: (i64, i64),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Side {
    Buy,
    Sell,
}

#[test]
fn what_is_named_is_read_and_the_rest_counted() {
    let line =
        br#" {"x": [[{"y": 1}]], "price": 2, "legs": [{"size": 3, "z": {}, "span": [-1, 1]}],
        "symbol": "MSFT", "note": "\u00e9\n", "side": "Sell", "q": "\"]"} "#;
    let mut reader = Reader::new();
    let order: Order = reader.read(line).unwrap();
    let legs = vec![Leg { size: 3, span: (-1, 1) }];
    let note = Some("\u{e9}\n".to_owned());
    assert_eq!(order, Order { symbol: "MSFT", price: 2.0, legs, note, side: Side::Sell });
    assert_eq!(reader.skipped(), 3);
}

/// What is wrong, the way to it, and its place.
#[test]
fn errors_name_the_way_the_place_and_the_reason() {
    let refused = |text: &str| Reader::new().read::<Order>(text.as_bytes()).unwrap_err();
    for (text, golden) in [
        ("", "at byte 0: it ends too early"),
        (
            "{\"symbol\": 1}",
            "at byte 11: symbol: invalid type: integer `1`, expected a borrowed string",
        ),
        (r#"{"price": 1}"#, "at byte 12: missing field `symbol`"),
        (r#"{"price" 1}"#, "at byte 9: a colon is missing"),
        (r#"{"price": 1 "x": 1}"#, "at byte 12: a comma or the end of the object is missing"),
        (r#"{"price": 1,}"#, "at byte 12: text is missing"),
        (r#"{"price": 1} {"#, "at byte 12: missing field `symbol`"),
        (
            r#"{"legs": [{"size": -1}]}"#,
            "at byte 19: legs[0].size: invalid value: integer `-1`, expected u32",
        ),
        (
            r#"{"legs": [{"size": 1, "span": [1, 2, 3]}]}"#,
            "at byte 36: legs[0].span: there are more values than there may be",
        ),
        (
            r#"{"legs": [{"size": 1, "span": [1]}]}"#,
            "at byte 30: legs[0].span: invalid length 1, expected a tuple of size 2",
        ),
        (
            r#"{"side": "Hold"}"#,
            "at byte 9: side: unknown variant `Hold`, expected `Buy` or `Sell`",
        ),
        (
            "{\"symbol\": \"a\\n\"}",
            "at byte 11: symbol: invalid type: string \"a\\n\", expected a borrowed string",
        ),
    ] {
        assert_eq!(refused(text).to_string(), golden, "{text}");
    }
    let error = Reader::new().read::<[u8; 2]>(b"[1,2]x").unwrap_err();
    assert_eq!(error.to_string(), "at byte 5: something follows the value");
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let error = Reader::new().read::<Tree>(deep.as_bytes()).unwrap_err();
    assert_eq!(error.offset, Some(DEPTH_MAX));
    let bad = b"{\"symbol\": \"a\xff\"}";
    assert_eq!(Reader::new().read::<Order>(bad).unwrap_err().offset, Some(13));
}

#[test]
fn lines_are_counted_and_the_last_needs_no_end() {
    let mut records = Records::<u8>::new("there", b"1\r\n\r\n 2 \nx\n{\"a\":1}\n3");
    assert_eq!(records.by_ref().take(2).collect::<Result<Vec<_>, _>>(), Ok(vec![1, 2]));
    assert_eq!(records.next().unwrap().unwrap_err().line, 4);
    assert_eq!(records.next().unwrap().unwrap_err().line, 5);
    assert_eq!(records.next(), Some(Ok(3)));
    assert_eq!(records.next(), None);
    let mut some = Records::<BTreeMap<String, u8>>::new("", b"{\"\\u0061\":1}");
    assert_eq!(some.next().unwrap().unwrap().into_iter().next(), Some(("a".to_owned(), 1)));
}

#[test]
fn a_codec_writes_what_it_reads() {
    let mut codec = Json::<Vec<Option<u8>>>::new(100);
    let mut bytes = Vec::new();
    codec.encode(&vec![Some(1), None], &mut bytes);
    assert_eq!(bytes, b"[1,null]");
    assert_eq!(codec.decode(&bytes), Ok(Some(vec![Some(1), None])));
    // No JSON has an object for a key.
    let mut odd = Json::<BTreeMap<(u8, u8), u8>>::new(100);
    odd.encode(&BTreeMap::from([((1, 2), 3)]), &mut bytes);
    assert_eq!(bytes, b"[1,null]");
}

fn trees() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(Tree::Null),
        any::<bool>().prop_map(Tree::from),
        any::<i64>().prop_map(Tree::from),
        any::<u64>().prop_map(Tree::from),
        (-1_000_000i32..1_000_000).prop_map(|n| Tree::from(f64::from(n) / 64.0)),
        ".{0,12}".prop_map(Tree::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Tree::from),
            prop::collection::btree_map(".{0,6}", inner, 0..5)
                .prop_map(|fields| Tree::Object(fields.into_iter().collect())),
        ]
    })
}

/// Some of these bytes, changed, removed or put in.
fn mutated() -> impl Strategy<Value = Vec<(Index, u8, u8)>> {
    prop::collection::vec(
        (
            any::<Index>(),
            prop_oneof![any::<u8>(), prop::sample::select(b"\"\\{}[],:0-e.tnu ".to_vec())],
            0u8..3,
        ),
        0..4,
    )
}

proptest! {
    /// Another implementation reads the same and refuses the same.
    #[test]
    fn it_reads_what_another_reads(tree in trees(), changes in mutated(), pretty in any::<bool>()) {
        let mut bytes = match pretty {
            true => serde_json::to_vec_pretty(&tree).unwrap(),
            false => serde_json::to_vec(&tree).unwrap(),
        };
        for (at, byte, how) in changes {
            let at = at.index(bytes.len().max(1));
            match how {
                0 => bytes.insert(at.min(bytes.len()), byte),
                1 if at < bytes.len() => _ = bytes.remove(at),
                _ => if let Some(place) = bytes.get_mut(at) { *place = byte },
            }
        }
        let (ours, theirs) = (Reader::new().read::<Tree>(&bytes), serde_json::from_slice(&bytes));
        match (ours, theirs) {
            (Ok(ours), Ok(theirs)) => prop_assert!(same(&ours, &theirs), "{ours} {theirs}"),
            (Err(error), Err(_)) => prop_assert!(error.offset.unwrap() <= bytes.len()),
            (ours, theirs) => prop_assert!(false, "{:?} {:?}", ours, theirs),
        }
        // What is stepped over may be wrong within, and what is right is never refused.
        let mut cursor = Cursor::new(&bytes);
        if cursor.skip().and_then(|()| cursor.end()).is_err() {
            prop_assert!(cursor.malformed().offset.unwrap() <= bytes.len());
            prop_assert!(serde_json::from_slice::<Tree>(&bytes).is_err());
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused_within_them(
        bytes in prop::collection::vec(
            prop_oneof![any::<u8>(), prop::sample::select(b"\"\\{}[],:0-e.tnu ".to_vec())], 0..60),
    ) {
        let mut reader = Reader::new();
        if let Err(error) = reader.read::<Order>(&bytes) {
            prop_assert!(error.offset.unwrap() <= bytes.len());
        }
        if let Err(error) = reader.read::<Tree>(&bytes) {
            prop_assert!(error.offset.unwrap() <= bytes.len());
        }
        let mut cursor = Cursor::new(&bytes);
        if cursor.skip().is_err() {
            prop_assert!(cursor.malformed().offset.unwrap() <= bytes.len());
        }
        Records::<Order>::new("", &bytes).for_each(drop);
    }
}

/// The other one reads floats with many digits a bit off.
fn same(ours: &Tree, theirs: &Tree) -> bool {
    match (ours, theirs) {
        (Tree::Number(a), Tree::Number(b)) => {
            let (a, b) = (a.as_f64().unwrap(), b.as_f64().unwrap());
            a == b || (a - b).abs() <= 1e-12 * a.abs()
        }
        (Tree::Array(a), Tree::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Tree::Object(a), Tree::Object(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && same(a.1, b.1))
        }
        (a, b) => a == b,
    }
}
