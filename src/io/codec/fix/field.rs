//! One field after the other.

use crate::io::codec::Malformed;
use crate::io::codec::fix::{END, tags};
use crate::io::codec::word;
use crate::time::Timestamp;

/// A field, where it was received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// Its number.
    pub tag: u32,
    /// What it says.
    pub value: &'a [u8],
    /// The byte of the message at which the value begins.
    pub at: usize,
}

/// A decimal number as it is written: `digits` by ten to the power of `places`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    /// All its digits: 41050 of `410.50`.
    pub digits: i64,
    /// How many of them are behind the point.
    pub places: u8,
}

impl Decimal {
    /// The nearest float.
    pub fn to_f64(self) -> f64 {
        self.digits as f64 / 10f64.powi(self.places.into())
    }
}

impl<'a> Field<'a> {
    /// A whole number.
    ///
    /// # Errors
    /// Anything else, or more than 64 bits hold.
    pub fn int(self) -> Result<i64, Malformed> {
        match self.decimal() {
            Ok(Decimal { digits, places: 0 }) if !self.value.contains(&b'.') => Ok(digits),
            _ => Err(Malformed::at(self.at, "not a whole number of 64 bits")),
        }
    }

    /// A number with decimals, exactly: prices, quantities.
    ///
    /// # Errors
    /// Anything else, or more digits than 64 bits hold.
    pub fn decimal(self) -> Result<Decimal, Malformed> {
        let wrong = || Malformed::at(self.at, "not a number of 64 bits");
        let (is_negative, text) = match self.value {
            [b'-', text @ ..] => (true, text),
            text => (false, text),
        };
        let (mut digits, mut places, mut is_behind, mut any) = (0i64, 0u8, false, false);
        for byte in text {
            match byte {
                b'0'..=b'9' => {
                    any = true;
                    places = places.checked_add(is_behind.into()).ok_or_else(wrong)?;
                    let digit = i64::from(byte - b'0');
                    digits = digits
                        .checked_mul(10)
                        .and_then(|tens| tens.checked_add(digit))
                        .ok_or_else(wrong)?;
                }
                b'.' if !is_behind => is_behind = true,
                _ => return Err(wrong()),
            }
        }
        match any {
            true => Ok(Decimal { digits: if is_negative { -digits } else { digits }, places }),
            false => Err(wrong()),
        }
    }

    /// `Y` or `N`.
    ///
    /// # Errors
    /// Anything else.
    pub fn flag(self) -> Result<bool, Malformed> {
        match self.value {
            b"Y" => Ok(true),
            b"N" => Ok(false),
            _ => Err(Malformed::at(self.at, "neither Y nor N")),
        }
    }

    /// Text.
    ///
    /// # Errors
    /// What is not UTF-8.
    pub fn text(self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.value)
            .map_err(|error| Malformed::at(self.at + error.valid_up_to(), "not UTF-8"))
    }

    /// A UTC time, `YYYYMMDD-HH:MM:SS`, with up to nine decimals of a second; more are dropped. A
    /// leap second is the one after it.
    ///
    /// # Errors
    /// Anything else, or a year that 64 bits of nanoseconds do not reach.
    pub fn time(self) -> Result<Timestamp, Malformed> {
        self.nanos().map(Timestamp).ok_or_else(|| Malformed::at(self.at, "not a time"))
    }

    fn nanos(self) -> Option<i64> {
        let (whole, rest) = self.value.split_first_chunk::<17>()?;
        let number = |range: std::ops::Range<usize>| {
            whole[range].iter().try_fold(0i64, |sum, byte| {
                byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0'))
            })
        };
        let (year, month, day) = (number(0..4)?, number(4..6)?, number(6..8)?);
        let (hour, minute, second) = (number(9..11)?, number(12..14)?, number(15..17)?);
        let is_right = [whole[8], whole[11], whole[14]] == *b"-::"
            && (1..=12).contains(&month)
            && (1..=days_of(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second <= 60;
        let fraction = match rest {
            [] => 0,
            [b'.', decimals @ ..] if (1..=12).contains(&decimals.len()) => {
                decimals.iter().enumerate().try_fold(0, |sum, (at, byte)| {
                    let place = 10i64.pow(8u32.saturating_sub(at as u32));
                    let digit = byte.is_ascii_digit().then(|| i64::from(byte - b'0'))?;
                    Some(if at < 9 { sum + digit * place } else { sum })
                })?
            }
            _ => return None,
        };
        let days = days_since_epoch(year, month, day);
        let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
        seconds.checked_mul(1_000_000_000)?.checked_add(fraction).filter(|_| is_right)
    }
}

fn days_of(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// By years that begin with March, so that the leap day is their last.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let leaps = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    // Days from March of the year 0 to 1970.
    year * 365 + leaps + day_of_year - 719_468
}

/// Fields, one after the other.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    bytes: &'a [u8],
    /// Where in the message they begin.
    base: usize,
    at: usize,
    /// The data that must come next, and its length.
    data: Option<(u32, usize)>,
}

impl<'a> Fields<'a> {
    pub(super) fn new(bytes: &'a [u8], base: usize) -> Self {
        Self { bytes, base, at: 0, data: None }
    }

    /// Where the next one begins in the message.
    pub(super) fn place(&self) -> usize {
        self.base + self.at
    }

    fn error(&mut self, at: usize, reason: &'static str) -> Malformed {
        (self.at, self.data) = (self.bytes.len(), None);
        Malformed::at(self.base + at, reason)
    }

    fn field(&mut self) -> Result<Field<'a>, Malformed> {
        let start = self.at;
        let (mut tag, mut at) = (0u32, start);
        while let Some(byte @ b'0'..=b'9') = self.bytes.get(at) {
            // No tag has more digits than this lets through.
            tag = tag.saturating_mul(10).saturating_add(u32::from(byte - b'0'));
            at += 1;
        }
        if self.bytes.get(at) != Some(&b'=') || tag == 0 || tag == u32::MAX {
            return Err(self.error(start, "a field begins with its tag and `=`"));
        }
        let value = at + 1;
        let rest = self.bytes.get(value..).unwrap_or_default();
        let length = match self.data.take() {
            Some((data, _)) if data != tag => {
                return Err(self.error(start, "the data whose length came before is missing"));
            }
            Some((_, length)) if rest.get(length) == Some(&END) => length,
            Some(_) => return Err(self.error(value, "data of another length than was said")),
            None => match word::find(END, rest) {
                Some(length) => length,
                None => return Err(self.error(value, "a field without an end")),
            },
        };
        let field = Field { tag, value: &rest[..length], at: self.base + value };
        if let Some(data) = tags::data_of(tag) {
            match field.int().ok().and_then(|length| usize::try_from(length).ok()) {
                Some(length) => self.data = Some((data, length)),
                None => return Err(self.error(value, "not a length")),
            }
        }
        self.at = value + length + 1;
        Ok(field)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Malformed>;

    /// The next field. Nothing comes after an error.
    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.at < self.bytes.len() {
            return Some(self.field());
        }
        // A length that is the last field.
        self.data.take().map(|_| {
            Err(self.error(self.bytes.len(), "the data whose length came before is missing"))
        })
    }
}

impl<'a> Fields<'a> {
    /// The bytes from here to a later place of the same fields.
    pub(super) fn up_to(&self, later: &Self) -> &'a [u8] {
        self.bytes.get(self.at..later.at).unwrap_or_default()
    }
}
