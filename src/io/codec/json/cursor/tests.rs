use proptest::prelude::*;

use super::*;

fn number(text: &str) -> Result<Number, Malformed> {
    let mut cursor = Cursor::new(text.as_bytes());
    let number = cursor.number().and_then(|number| cursor.end().map(|()| number));
    number.map_err(|_| cursor.malformed())
}

#[test]
fn numbers_are_as_exact_as_their_text() {
    let cases = [
        ("0", Number::Unsigned(0)),
        ("-1", Number::Negative(-1)),
        ("-9223372036854775808", Number::Negative(i64::MIN)),
        ("18446744073709551615", Number::Unsigned(u64::MAX)),
        ("18446744073709551616", Number::Float(18_446_744_073_709_551_616.0)),
        ("410.5", Number::Float(410.5)),
        ("-0.1e-3", Number::Float(-0.0001)),
        ("1E22", Number::Float(1e22)),
        ("123456789012345678901234567890", Number::Float(123_456_789_012_345_678_901_234_567_890.)),
        ("0.1234567890123456789", Number::Float(0.123_456_789_012_345_68)),
        ("5e-324", Number::Float(5e-324)),
    ];
    for (text, wanted) in cases {
        assert_eq!(number(text), Ok(wanted), "{text}");
    }
    let Ok(Number::Float(zero)) = number("-0") else { panic!() };
    assert!(zero == 0.0 && zero.is_sign_negative());
    for (text, offset) in
        [("", 0), ("-", 1), ("01", 0), ("-01", 1), ("1.", 2), ("1e", 2), ("1e999", 0), ("1x", 1)]
    {
        assert_eq!(number(text).unwrap_err().offset, Some(offset), "{text}");
    }
}

#[test]
fn escapes_are_undone_and_others_refused() {
    let undone = |text: &str| {
        let raw = Raw { bytes: text.as_bytes(), at: 1, escaped: true };
        let mut into = String::new();
        unescape(raw, |piece| into.push_str(piece)).map(|()| into)
    };
    assert_eq!(undone(r#"a\"\\\/\b\f\n\r\tz"#).unwrap(), "a\"\\/\u{8}\u{c}\n\r\tz");
    assert_eq!(undone(r"\u0041\ud83d\ude00\u00e9").unwrap(), "A\u{1f600}\u{e9}");
    for (bad, offset) in [
        (r"a\x", 2),
        (r"\u12", 1),
        (r"ab\ud800", 3),
        (r"\ud800\u0041", 1),
        (r"\u+123", 1),
        ("\\u\u{e9}\u{e9}", 1),
        ("\\", 1),
    ] {
        assert_eq!(undone(bad).unwrap_err().offset, Some(offset), "{bad}");
    }
}

#[test]
fn what_is_stepped_over_ends_where_it_ends() {
    let ends = |text: &str| {
        let mut cursor = Cursor::new(text.as_bytes());
        cursor.skip().map(|()| cursor.at()).map_err(|_| cursor.malformed())
    };
    for (text, end) in [
        (r#""a\"b", 1"#, 6),
        (r#"{"a": [1, {"b": "]}"}], "c": null} "#, 34),
        ("12.5e3,", 6),
        ("true}", 4),
        ("[]", 2),
    ] {
        assert_eq!(ends(text), Ok(end), "{text}");
    }
    for (text, offset) in [
        ("[1, 2", 5),
        ("[}", 1),
        (r#""never"#, 6),
        (r#"["a\"#, 4),
        ("]", 0),
        ("", 0),
        ("\"a\u{1}\"", 2),
    ] {
        assert_eq!(ends(text).unwrap_err().offset, Some(offset), "{text}");
    }
    let deep = |depth: usize| ends(&format!("{}{}", "[".repeat(depth), "]".repeat(depth)));
    assert_eq!(deep(DEPTH_MAX), Ok(2 * DEPTH_MAX));
    assert_eq!(deep(DEPTH_MAX + 1).unwrap_err().reason, "nested too deep");
    assert_eq!(deep(1_000_000).unwrap_err().offset, Some(DEPTH_MAX));
}

proptest! {
    /// As the standard library reads them.
    #[test]
    fn floats_are_the_nearest(
        text in "-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,24})?([eE][+-]?[0-9]{1,3})?",
    ) {
        let wanted: f64 = text.parse().unwrap();
        match number(&text) {
            Ok(found) => {
                prop_assert_eq!(found.as_f64().to_bits(), wanted.to_bits(), "{}", text);
            }
            Err(_) => prop_assert!(wanted.is_infinite()),
        }
    }

    #[test]
    fn text_is_found_wherever_it_ends(
        text in "[^\"\\\\\\x00-\\x1f]{0,40}",
        behind in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let bytes = [b"\"", text.as_bytes(), b"\"", &behind].concat();
        let mut cursor = Cursor::new(&bytes);
        let raw = cursor.text().unwrap();
        prop_assert_eq!(cursor.utf8(raw), Ok(&text[..]));
        prop_assert!(!raw.escaped);
    }
}
