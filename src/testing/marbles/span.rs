//! Times as people write them: `10ms`, `1.5s`, `10ms-`.

use crate::time::Timestamp;

/// Units, the largest first, in nanoseconds.
const UNITS: [(&str, i64); 4] = [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1_000), ("ns", 1)];

/// Reads a time; `None` if it is none, or no whole number of nanoseconds.
pub fn parse(word: &str) -> Option<Timestamp> {
    if let Some(end) = word.strip_suffix('-') {
        return Some(parse(end)?.offset(-1));
    }
    let digits = word.find(|letter: char| letter.is_ascii_alphabetic())?;
    let (number, unit) = word.split_at(digits);
    let (_, ns) = UNITS.iter().find(|(name, _)| *name == unit)?;
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let sign = if whole.starts_with('-') { -1 } else { 1 };
    let (whole, mut left) = (whole.parse::<i64>().ok()?.checked_mul(*ns)?, *ns);
    let mut rest = 0;
    for digit in part.chars() {
        let digit = i64::from(digit.to_digit(10)?);
        if left < 10 && digit != 0 {
            return None;
        }
        left /= 10;
        rest += digit * left;
    }
    // The last instant of all is not for records: it says that the input has ended.
    whole.checked_add(sign * rest).filter(|ns| *ns < i64::MAX).map(Timestamp)
}

/// Writes a time in the largest unit of which it is a whole number; the nanosecond before a whole
/// number of at least microseconds as that, with a dash.
pub fn text(at: Timestamp) -> String {
    let whole = |ns: i64| UNITS.iter().find(|(_, unit)| ns % unit == 0);
    if let Some(next) = at.0.checked_add(1)
        && let Some((unit, ns)) = whole(next).filter(|(_, ns)| *ns > 1 && next != 0)
    {
        return format!("{}{unit}-", next / ns);
    }
    match at {
        Timestamp(0) => "0ms".to_owned(),
        Timestamp(ns) => {
            whole(ns).map_or(String::new(), |(unit, size)| format!("{}{unit}", ns / size))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written() {
        let cases = [
            ("10ms", 10_000_000, "10ms"),
            ("10ms-", 9_999_999, "10ms-"),
            ("1.5s", 1_500_000_000, "1500ms"),
            ("-1.5us", -1_500, "-1500ns"),
            ("0s", 0, "0ms"),
            ("7ns", 7, "7ns"),
            ("0.25ms", 250_000, "250us"),
            ("-1ns", -1, "-1ns"),
        ];
        for (word, ns, written) in cases {
            assert_eq!(parse(word), Some(Timestamp(ns)), "{word}");
            assert_eq!(text(Timestamp(ns)), written);
            assert_eq!(parse(written), Some(Timestamp(ns)), "{written}");
        }
    }

    #[test]
    fn what_is_no_time_is_none() {
        let words = ["", "10", "ms", "1.5ns", "1.05ns", "1h", "1..5s", "9999999999999s", "1e3s"];
        for word in words.into_iter().chain(["--5s", "9223372036854775807ns"]) {
            assert_eq!(parse(word), None, "{word}");
        }
    }
}
