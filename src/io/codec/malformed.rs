//! Bytes that are no record.

use std::borrow::Cow;
use std::fmt;

/// Why bytes are no record, and where in them that shows.
///
/// One of a reason that is known beforehand takes no memory, so that a peer who sends nothing but
/// garbage costs no more than one who does not.
///
/// ```
/// use millstream::io::Malformed;
///
/// let cut_short = Malformed::at(12, "a price has eight bytes");
/// assert_eq!(cut_short.to_string(), "at byte 12: a price has eight bytes");
/// assert_eq!(Malformed::from("no price".to_owned()).to_string(), "no price");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// The byte of the record, from 0, at which it shows: at most the record's length, where
    /// something is missing at its end. None if it is about all of it.
    pub offset: Option<usize>,
    /// What is wrong.
    pub reason: Cow<'static, str>,
}

impl Malformed {
    /// What is wrong at a byte.
    pub fn at(offset: usize, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { offset: Some(offset), reason: reason.into() }
    }

    /// The same in a record that begins so many bytes later.
    pub fn behind(mut self, bytes: usize) -> Self {
        self.offset = self.offset.map(|offset| offset + bytes);
        self
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(offset) = self.offset {
            write!(f, "at byte {offset}: ")?;
        }
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Malformed {}

impl From<String> for Malformed {
    fn from(reason: String) -> Self {
        Self { offset: None, reason: reason.into() }
    }
}

impl From<&'static str> for Malformed {
    fn from(reason: &'static str) -> Self {
        Self { offset: None, reason: reason.into() }
    }
}

impl From<Malformed> for String {
    fn from(malformed: Malformed) -> Self {
        malformed.to_string()
    }
}
