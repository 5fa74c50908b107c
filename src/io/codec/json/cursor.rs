//! One pass over the bytes of a value.

use std::str;

use crate::io::codec::Malformed;
use crate::io::codec::json::DEPTH_MAX;
use crate::io::codec::word::{HIGHS, ONES, zeros};

/// What a value begins as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    Number,
    Object,
    Array,
    True,
    False,
    Null,
}

/// Text as it stands between its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw<'a> {
    pub bytes: &'a [u8],
    /// Where it begins.
    pub at: usize,
    /// Whether there are escapes in it.
    pub escaped: bool,
}

/// A number, as exactly as there is a type for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    Unsigned(u64),
    Negative(i64),
    Float(f64),
}

impl Number {
    #[inline]
    pub fn as_f64(self) -> f64 {
        match self {
            Self::Unsigned(n) => n as f64,
            Self::Negative(n) => n as f64,
            Self::Float(n) => n,
        }
    }
}

/// Something is wrong, and the cursor knows what: [`Cursor::malformed`]. It is nothing itself, so
/// that what is in order is returned in registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Broken;

/// A place in a value's bytes. What it has come by is in order.
#[derive(Clone, Debug)]
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    /// What is wrong, and where.
    broken: (usize, &'static str),
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, broken: (0, "") }
    }

    /// What was wrong last.
    #[cold]
    pub fn malformed(&self) -> Malformed {
        let (at, reason) = self.broken;
        Malformed::at(at, reason)
    }

    /// Where it is.
    #[inline]
    pub fn at(&self) -> usize {
        self.at.min(self.bytes.len())
    }

    /// What is still to come.
    #[inline]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Something is wrong here.
    #[cold]
    pub fn error(&mut self, reason: &'static str) -> Broken {
        let reason = if self.at < self.bytes.len() { reason } else { "it ends too early" };
        self.error_at(self.at(), reason)
    }

    #[cold]
    pub fn error_at(&mut self, at: usize, reason: &'static str) -> Broken {
        self.broken = (at, reason);
        Broken
    }

    /// Text that was found, checked.
    #[inline]
    pub fn utf8(&mut self, raw: Raw<'a>) -> Result<&'a str, Broken> {
        str::from_utf8(raw.bytes)
            .map_err(|error| self.error_at(raw.at + error.valid_up_to(), "not UTF-8"))
    }

    /// The byte that it stands at behind white space, 0 at the end: that is no byte of JSON.
    #[inline]
    pub fn peek(&mut self) -> u8 {
        loop {
            match self.bytes.get(self.at) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.at += 1,
                Some(byte) => return *byte,
                None => return 0,
            }
        }
    }

    /// Takes a byte behind white space if it is there.
    #[inline]
    pub fn take(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == byte;
        self.at += usize::from(is_there);
        is_there
    }

    #[inline]
    pub fn demand(&mut self, byte: u8, else_reason: &'static str) -> Result<(), Broken> {
        match self.take(byte) {
            true => Ok(()),
            false => Err(self.error(else_reason)),
        }
    }

    /// Nothing may follow.
    pub fn end(&mut self) -> Result<(), Broken> {
        self.peek();
        match self.at >= self.bytes.len() {
            true => Ok(()),
            false => Err(self.error_at(self.at, "something follows the value")),
        }
    }

    /// What comes next.
    #[inline]
    pub fn kind(&mut self) -> Result<Kind, Broken> {
        Ok(match self.peek() {
            b'"' => Kind::Text,
            b'-' | b'0'..=b'9' => Kind::Number,
            b'{' => Kind::Object,
            b'[' => Kind::Array,
            b't' => Kind::True,
            b'f' => Kind::False,
            b'n' => Kind::Null,
            _ => return Err(self.error("no value begins so")),
        })
    }

    /// One of the three words; it is known by its first byte which.
    #[inline]
    pub fn word(&mut self, word: &'static [u8]) -> Result<(), Broken> {
        match self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(word)) {
            true => {
                self.at += word.len();
                Ok(())
            }
            false => Err(self.error("no value begins so")),
        }
    }

    /// The next key of an object that was begun, with its colon; none where the object ends.
    #[inline]
    pub fn key(&mut self, first: bool) -> Result<Option<Raw<'a>>, Broken> {
        if self.take(b'}') {
            return Ok(None);
        }
        if !first {
            self.demand(b',', "a comma or the end of the object is missing")?;
            self.peek();
        }
        let key = self.text()?;
        self.demand(b':', "a colon is missing")?;
        Ok(Some(key))
    }

    /// Whether an array that was begun has another value.
    #[inline]
    pub fn another(&mut self, first: bool) -> Result<bool, Broken> {
        if self.take(b']') {
            return Ok(false);
        }
        if !first {
            self.demand(b',', "a comma or the end of the array is missing")?;
        }
        Ok(true)
    }

    /// Text. Escapes are checked only where they are undone.
    #[inline]
    pub fn text(&mut self) -> Result<Raw<'a>, Broken> {
        self.demand(b'"', "text is missing")?;
        let (start, mut escaped) = (self.at, false);
        loop {
            match self.stop_in_text() {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.at += 2;
                }
                Some(_) => return Err(self.error("a control character within text")),
                None => return Err(self.error("it ends too early")),
            }
        }
        let bytes = self.bytes.get(start..self.at).unwrap_or_default();
        self.at += 1;
        Ok(Raw { bytes, at: start, escaped })
    }

    /// Goes to the next quote, backslash or control character.
    #[inline]
    fn stop_in_text(&mut self) -> Option<u8> {
        while let Some(chunk) = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk()) {
            let word = u64::from_le_bytes(*chunk);
            let quotes = zeros(word ^ (ONES * b'"' as u64));
            let slashes = zeros(word ^ (ONES * b'\\' as u64));
            let controls = word.wrapping_sub(ONES * 0x20) & !word & HIGHS;
            let stops = quotes | slashes | controls;
            if stops != 0 {
                self.at += stops.trailing_zeros() as usize / 8;
                return self.bytes.get(self.at).copied();
            }
            self.at += 8;
        }
        loop {
            match self.bytes.get(self.at)? {
                byte @ (b'"' | b'\\' | 0..0x20) => return Some(*byte),
                _ => self.at += 1,
            }
        }
    }

    /// A number.
    #[inline]
    pub fn number(&mut self) -> Result<Number, Broken> {
        self.peek();
        let start = self.at;
        let is_negative = self.bytes.get(self.at) == Some(&b'-');
        self.at += usize::from(is_negative);
        let mut mantissa = 0u64;
        let whole = self.digits(&mut mantissa);
        if whole == 0 {
            return Err(self.error("a number has digits"));
        }
        let first = start + usize::from(is_negative);
        if whole > 1 && self.bytes.get(first) == Some(&b'0') {
            return Err(self.error_at(first, "a number does not begin with 0"));
        }
        let (mut fraction, mut exponent) = (0, 0);
        let mut is_whole = true;
        if self.bytes.get(self.at) == Some(&b'.') {
            (is_whole, self.at) = (false, self.at + 1);
            fraction = self.digits(&mut mantissa);
            if fraction == 0 {
                return Err(self.error("digits are missing behind the point"));
            }
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            is_whole = false;
            exponent = self.exponent()?;
        }
        // 19 digits always fit.
        if whole + fraction > 19 {
            return self.long(start, is_whole);
        }
        match (is_whole, is_negative) {
            (true, false) => return Ok(Number::Unsigned(mantissa)),
            (true, true) if mantissa != 0 && mantissa <= i64::MIN.unsigned_abs() => {
                return Ok(Number::Negative((mantissa as i64).wrapping_neg()));
            }
            _ => {}
        }
        // Exact, since both are, and one operation rounds once.
        let power = exponent - fraction as i32;
        let tens = POWERS.get(power.unsigned_abs() as usize);
        let Some(tens) = tens.filter(|_| mantissa < 1 << 53) else {
            return self.long(start, false);
        };
        let magnitude = if power < 0 { mantissa as f64 / tens } else { mantissa as f64 * tens };
        Ok(Number::Float(if is_negative { -magnitude } else { magnitude }))
    }

    /// How many digits there are, added to what they amount to.
    #[inline]
    fn digits(&mut self, mantissa: &mut u64) -> usize {
        let start = self.at;
        while let Some(digit @ b'0'..=b'9') = self.bytes.get(self.at) {
            *mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
            self.at += 1;
        }
        self.at - start
    }

    fn exponent(&mut self) -> Result<i32, Broken> {
        self.at += 1;
        let sign = self.bytes.get(self.at).copied();
        self.at += usize::from(matches!(sign, Some(b'+' | b'-')));
        let (mut magnitude, from) = (0, self.at);
        if self.digits(&mut magnitude) == 0 {
            return Err(self.error("digits are missing in the exponent"));
        }
        // What is longer is out of reach in any case.
        let magnitude = if self.at - from > 6 { 1_000_000 } else { magnitude as i32 };
        Ok(if sign == Some(b'-') { -magnitude } else { magnitude })
    }

    /// A number that takes care: many digits, or a large exponent.
    #[cold]
    fn long(&mut self, start: usize, is_whole: bool) -> Result<Number, Broken> {
        let bytes = self.bytes.get(start..self.at).unwrap_or_default();
        let text = str::from_utf8(bytes).unwrap_or_default();
        if is_whole && let Ok(number) = text.parse() {
            return Ok(Number::Unsigned(number));
        }
        match text.parse() {
            Ok(number) if f64::is_finite(number) => Ok(Number::Float(number)),
            _ => Err(self.error_at(start, "a number beyond what 64 bits hold")),
        }
    }

    /// Steps over a value, whatever it is; takes no stack.
    #[inline]
    pub fn skip(&mut self) -> Result<(), Broken> {
        match self.kind()? {
            Kind::Text => self.text().map(drop),
            Kind::Object | Kind::Array => self.skip_nested(),
            _ => {
                while let Some(byte) = self.bytes.get(self.at)
                    && !matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n')
                {
                    self.at += 1;
                }
                Ok(())
            }
        }
    }

    fn skip_nested(&mut self) -> Result<(), Broken> {
        // A bit for each that is open: whether it is an object.
        let (mut depth, mut objects) = (0, 0u64);
        loop {
            match self.stop_between() {
                b'"' => _ = self.text()?,
                open @ (b'{' | b'[') => {
                    if depth == DEPTH_MAX {
                        return Err(self.error("nested too deep"));
                    }
                    (depth, objects) = (depth + 1, objects << 1 | u64::from(open == b'{'));
                    self.at += 1;
                }
                close @ (b'}' | b']') => {
                    if (objects & 1 == 1) != (close == b'}') {
                        return Err(self.error("another bracket was opened"));
                    }
                    (depth, objects) = (depth - 1, objects >> 1);
                    self.at += 1;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                _ => return Err(self.error("it ends too early")),
            }
        }
    }

    /// Goes to the next quote or bracket; 0 if there is none.
    #[inline]
    fn stop_between(&mut self) -> u8 {
        while let Some(chunk) = self.bytes.get(self.at..).and_then(|rest| rest.first_chunk()) {
            let word = u64::from_le_bytes(*chunk);
            // Brackets and braces differ in one bit.
            let braces = word | (ONES * 0x20);
            let stops = zeros(word ^ (ONES * b'"' as u64))
                | zeros(braces ^ (ONES * b'{' as u64))
                | zeros(braces ^ (ONES * b'}' as u64));
            if stops != 0 {
                self.at += stops.trailing_zeros() as usize / 8;
                return self.bytes.get(self.at).copied().unwrap_or(0);
            }
            self.at += 8;
        }
        loop {
            match self.bytes.get(self.at) {
                Some(byte @ (b'"' | b'{' | b'}' | b'[' | b']')) => return *byte,
                Some(_) => self.at += 1,
                None => return 0,
            }
        }
    }
}

/// Powers of ten that a float holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// Hands on text with its escapes undone, piece by piece.
pub fn unescape(raw: Raw<'_>, mut push: impl FnMut(&str)) -> Result<(), Malformed> {
    let text = str::from_utf8(raw.bytes)
        .map_err(|error| Malformed::at(raw.at + error.valid_up_to(), "not UTF-8"))?;
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest.as_bytes()) {
        let place = raw.at + (text.len() - rest.len()) + at;
        let wrong = || Malformed::at(place, "no such escape");
        push(rest.get(..at).unwrap_or_default());
        let (letter, used) = escape(rest.get(at + 1..).unwrap_or_default()).ok_or_else(wrong)?;
        push(letter.encode_utf8(&mut [0; 4]));
        rest = rest.get(at + 1 + used..).ok_or_else(wrong)?;
    }
    push(rest);
    Ok(())
}

/// What an escape stands for, and how long it is behind its backslash.
fn escape(text: &str) -> Option<(char, usize)> {
    let simple = match text.as_bytes().first()? {
        byte @ (b'"' | b'\\' | b'/') => char::from(*byte),
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let first = hex(text.get(1..5))?;
            if !(0xd800..0xdc00).contains(&first) {
                return Some((char::from_u32(first)?, 5));
            }
            // Half of a letter; the other half must follow.
            let second = text.get(5..7).filter(|it| *it == "\\u").and(hex(text.get(7..11)))?;
            let low = second.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
            return Some((char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + low)?, 11));
        }
        _ => return None,
    };
    Some((simple, 1))
}

fn hex(digits: Option<&str>) -> Option<u32> {
    let digits = digits.filter(|it| it.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u32::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests;
