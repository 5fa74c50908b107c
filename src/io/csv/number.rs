//! Numbers out of text, exactly.

use std::num::{IntErrorKind, ParseIntError};
use std::str::FromStr;

use crate::error::ConfigError;

/// The unit of a column of times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeUnit {
    /// Seconds.
    S,
    /// Milliseconds.
    Ms,
    /// Microseconds.
    Us,
    /// Nanoseconds.
    Ns,
}

impl TimeUnit {
    /// How many decimal places of the unit make a nanosecond.
    #[inline]
    const fn places(self) -> u32 {
        match self {
            Self::S => 9,
            Self::Ms => 6,
            Self::Us => 3,
            Self::Ns => 0,
        }
    }
}

impl FromStr for TimeUnit {
    type Err = ConfigError;

    /// From `s`, `ms`, `us` or `ns`.
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        match text {
            "s" => Ok(Self::S),
            "ms" => Ok(Self::Ms),
            "us" => Ok(Self::Us),
            "ns" => Ok(Self::Ns),
            _ => Err(ConfigError::setting("time unit", text, "a unit is one of s, ms, us, ns")),
        }
    }
}

/// Decimal digits of this time unit as nanoseconds: no float, so no digit changes.
///
/// Digits finer than a nanosecond are dropped, towards zero.
#[inline]
pub(super) fn nanos(text: &[u8], unit: TimeUnit) -> Result<i64, &'static str> {
    const NOT: &str = "is not a time: digits, with a decimal point at most";
    const BEYOND: &str = "is beyond what 64 bits of nanoseconds hold (years 1677 to 2262)";
    let text = text.trim_ascii();
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let point = digits.iter().position(|b| *b == b'.').unwrap_or(digits.len());
    let (whole, fraction) = (&digits[..point], digits.get(point + 1..).unwrap_or(&[]));
    if whole.is_empty() && fraction.is_empty() || !fraction.iter().all(u8::is_ascii_digit) {
        return Err(NOT);
    }
    let places = unit.places() as usize;
    let kept = &fraction[..places.min(fraction.len())];
    let mut magnitude = 0_u64;
    for digit in whole.iter().chain(kept) {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 {
            return Err(NOT);
        }
        let times_ten = magnitude.checked_mul(10).ok_or(BEYOND)?;
        magnitude = times_ten.checked_add(u64::from(digit)).ok_or(BEYOND)?;
    }
    let missing = 10_u64.pow((places - kept.len()) as u32);
    let magnitude = magnitude.checked_mul(missing).ok_or(BEYOND)?;
    let value = if negative { -i128::from(magnitude) } else { i128::from(magnitude) };
    i64::try_from(value).map_err(|_| BEYOND)
}

/// A whole number.
#[inline]
pub(super) fn int<N: FromStr<Err = ParseIntError>>(text: &[u8]) -> Result<N, &'static str> {
    let text = str::from_utf8(text.trim_ascii()).map_err(|_| "is not a whole number")?;
    text.parse().map_err(|e: ParseIntError| match e.kind() {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "does not fit into 64 bits",
        _ => "is not a whole number",
    })
}

/// Any number that `f64` knows, infinities and NaN included.
#[inline]
pub(super) fn float(text: &[u8]) -> Result<f64, &'static str> {
    let text = str::from_utf8(text.trim_ascii()).map_err(|_| "is not a number")?;
    text.parse().map_err(|_| "is not a number")
}

#[cfg(test)]
mod tests {
    use super::*;
    use TimeUnit::{Ms, Ns, S, Us};

    #[test]
    fn times_are_exact() {
        for (text, unit, want) in [
            ("34200.004241176", S, 34_200_004_241_176),
            ("34200", S, 34_200_000_000_000),
            ("1723161256322", Ms, 1_723_161_256_322_000_000),
            ("1451608204910000.25", Us, 1_451_608_204_910_000_250),
            ("9223372036854775807", Ns, i64::MAX),
            ("-9223372036854775808", Ns, i64::MIN),
            ("-9223372036.854775808", S, i64::MIN),
            ("0.0000000019", S, 1),
            ("-0.0000000019", S, -1),
            (" +.5 ", S, 500_000_000),
            ("5.", S, 5_000_000_000),
            ("00000000000000000000007", Ns, 7),
        ] {
            assert_eq!(nanos(text.as_bytes(), unit), Ok(want), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_says_so() {
        for text in ["", " ", ".", "-", "1e9", "1.2.3", "12:30", "0x1", "1 2", "--1", "\u{663}"] {
            assert!(nanos(text.as_bytes(), S).is_err_and(|e| e.contains("not a time")), "{text}");
        }
        for text in ["9223372036854775808", "-9223372036854775809", "99999999999999999999999"] {
            assert!(nanos(text.as_bytes(), Ns).is_err_and(|e| e.contains("beyond")), "{text}");
        }
        assert!(nanos(b"9223372036854775807", S).is_err_and(|e| e.contains("beyond")));
    }

    #[test]
    fn numbers() {
        assert_eq!(int::<i64>(b" -12 "), Ok(-12));
        assert_eq!(int::<u64>(b"-12"), Err("is not a whole number"));
        assert_eq!(int::<u64>(b"18446744073709551616"), Err("does not fit into 64 bits"));
        assert_eq!(float(b"61800.30"), Ok(61800.30));
        assert!(float(b"NaN").is_ok_and(f64::is_nan));
        assert_eq!(float(b"\xff"), Err("is not a number"));
    }
}
