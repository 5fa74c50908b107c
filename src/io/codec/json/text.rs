//! Text that is left as it is.

use std::fmt;

use crate::io::codec::Malformed;
use crate::io::codec::json::cursor::{Raw, unescape};

/// Text: either as it stands between the quotes of a JSON document, or as it is meant. It takes no
/// memory in both ways; two are equal if they mean the same.
///
/// ```
/// use millstream::io::json::Str;
///
/// let text = Str::from("a/b");
/// assert_eq!((text.as_str(), text == "a/b"), (Some("a/b"), true));
/// ```
#[derive(Clone, Copy, Default)]
pub struct Str<'a> {
    text: &'a str,
    /// Whether there are escapes in it, which were checked.
    escaped: bool,
}

impl<'a> Str<'a> {
    /// Of text that was found, whose escapes are right.
    #[inline]
    pub(in crate::io::codec) fn found(raw: Raw<'a>) -> Result<Self, Malformed> {
        if raw.escaped {
            unescape(raw, |_| {})?;
        }
        match std::str::from_utf8(raw.bytes) {
            Ok(text) => Ok(Self { text, escaped: raw.escaped }),
            Err(error) => Err(Malformed::at(raw.at + error.valid_up_to(), "not UTF-8")),
        }
    }

    /// As it is meant, if it stands there without an escape.
    #[inline]
    pub fn as_str(self) -> Option<&'a str> {
        (!self.escaped).then_some(self.text)
    }

    /// As it is meant, piece by piece.
    pub fn pieces(self, mut each: impl FnMut(&str)) {
        match self.escaped {
            false => each(self.text),
            // It was found to be right.
            true => _ = unescape(Raw { bytes: self.text.as_bytes(), at: 0, escaped: true }, each),
        }
    }

    /// Appends it as it is meant.
    pub fn append_to(self, into: &mut String) {
        self.pieces(|piece| into.push_str(piece));
    }

    /// Whether nothing is in it.
    pub fn is_empty(self) -> bool {
        self.text.is_empty()
    }

    /// Appends it as JSON, with its quotes.
    pub(in crate::io::codec) fn write(self, into: &mut Vec<u8>) {
        into.push(b'"');
        if self.escaped {
            into.extend_from_slice(self.text.as_bytes());
        } else {
            let mut rest = self.text.as_bytes();
            while let Some(at) = rest.iter().position(|it| matches!(it, b'"' | b'\\' | 0..0x20)) {
                into.extend_from_slice(&rest[..at]);
                match rest[at] {
                    byte @ (b'"' | b'\\') => into.extend_from_slice(&[b'\\', byte]),
                    byte => {
                        let digits = b"0123456789abcdef";
                        into.extend_from_slice(b"\\u00");
                        into.push(digits[usize::from(byte >> 4)]);
                        into.push(digits[usize::from(byte & 15)]);
                    }
                }
                rest = &rest[at + 1..];
            }
            into.extend_from_slice(rest);
        }
        into.push(b'"');
    }
}

impl<'a> From<&'a str> for Str<'a> {
    fn from(text: &'a str) -> Self {
        Self { text, escaped: false }
    }
}

impl PartialEq<str> for Str<'_> {
    #[inline]
    fn eq(&self, other: &str) -> bool {
        if !self.escaped {
            return self.text == other;
        }
        let mut rest = Some(other);
        self.pieces(|piece| rest = rest.and_then(|rest| rest.strip_prefix(piece)));
        rest == Some("")
    }
}

impl PartialEq<&str> for Str<'_> {
    #[inline]
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

impl PartialEq for Str<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self.escaped, other.escaped) {
            (_, false) => *self == *other.text,
            (false, true) => *other == *self.text,
            (true, true) => self.text == other.text || self.to_string() == other.to_string(),
        }
    }
}

impl fmt::Display for Str<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut written = Ok(());
        self.pieces(|piece| written = written.and_then(|()| f.write_str(piece)));
        written
    }
}

impl fmt::Debug for Str<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}
