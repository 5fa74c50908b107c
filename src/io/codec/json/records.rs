//! Records out of lines, and lines out of records.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::CodecError;
use crate::io::codec::json::cursor::Cursor;
use crate::io::codec::json::serde::Value;
use crate::io::codec::{Codec, Malformed};

/// Room for a text with escapes that a codec takes beforehand, at most.
const ROOM_MAX: usize = 64 << 10;

/// Reads values, one at a time, and counts what it has stepped over.
#[derive(Debug, Default)]
pub struct Reader {
    /// Text whose escapes are undone; it keeps its memory.
    text: String,
    skipped: u64,
}

impl Reader {
    /// One that has read nothing. It takes memory for the first text with an escape in it, and for
    /// each that is longer than those before.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with room for texts of so many bytes, which then take none.
    pub fn with_room(bytes: usize) -> Self {
        Self { text: String::with_capacity(bytes), skipped: 0 }
    }

    /// The value that bytes are, and no more.
    ///
    /// # Errors
    /// What is no JSON where it was looked at, and what is not as the type has it: with the way to
    /// it, as `orders[2].price`, and the byte at which it begins.
    #[inline]
    pub fn read<'a, T: Deserialize<'a>>(&mut self, bytes: &'a [u8]) -> Result<T, Malformed> {
        let Self { text, skipped } = self;
        let mut value = Value { cursor: Cursor::new(bytes), text, skipped, depth: 0 };
        match T::deserialize(&mut value) {
            Ok(read) => match value.cursor.end() {
                Ok(()) => Ok(read),
                Err(_) => Err(value.cursor.malformed()),
            },
            Err(refused) => Err(refused.told(&value.cursor)),
        }
    }

    /// How many fields were there that nobody asked for, in all.
    pub fn skipped(&self) -> u64 {
        self.skipped
    }
}

impl Clone for Reader {
    /// With as much room.
    fn clone(&self) -> Self {
        Self { skipped: self.skipped, ..Self::with_room(self.text.capacity()) }
    }
}

/// A [`Codec`] for records that are their JSON, for types that own what they hold. Types that
/// borrow are read by a [`Reader`] within [`selective`](crate::io::selective).
///
/// ```
/// use millstream::io::json::Json;
/// use millstream::io::Codec;
/// use millstream::Text;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, PartialEq, Serialize, Deserialize)]
/// struct Trade {
///     symbol: Text<8>,
///     price: f64,
/// }
///
/// let mut trades = Json::<Trade>::new(200);
/// let trade = Trade { symbol: "MSFT".try_into().unwrap(), price: 410.5 };
/// let mut line = Vec::new();
/// trades.encode(&trade, &mut line);
/// assert_eq!(line, br#"{"symbol":"MSFT","price":410.5}"#);
/// assert_eq!(trades.decode(&line), Ok(Some(trade)));
/// ```
#[derive(Clone, Debug)]
pub struct Json<T> {
    bytes_max: usize,
    reader: Reader,
    of: PhantomData<fn() -> T>,
}

impl<T: Serialize + DeserializeOwned + 'static> Json<T> {
    /// For records whose JSON has at most so many bytes.
    pub fn new(bytes_max: usize) -> Self {
        Self { bytes_max, reader: Reader::with_room(bytes_max.min(ROOM_MAX)), of: PhantomData }
    }
}

impl<T: Serialize + DeserializeOwned + 'static> Codec for Json<T> {
    type Value = T;

    fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// What cannot be JSON, such as an object whose keys are no text, is an empty line.
    fn encode(&mut self, value: &T, into: &mut Vec<u8>) {
        let from = into.len();
        if serde_json::to_writer(&mut *into, value).is_err() {
            into.truncate(from);
        }
    }

    #[inline]
    fn decode(&mut self, bytes: &[u8]) -> Result<Option<T>, Malformed> {
        self.reader.read(bytes).map(Some)
    }
}

/// The records of a text, one a line; empty lines are none.
///
/// ```
/// use millstream::io::json::Records;
///
/// let text = b"[1, 2]\n\n[3, oh]\n[4, 5]\n";
/// let mut pairs = Records::<(u8, u8)>::new("pairs.json", text);
/// assert_eq!(pairs.next(), Some(Ok((1, 2))));
/// let error = pairs.next().unwrap().unwrap_err();
/// assert_eq!(error.to_string(), "pairs.json:3: at byte 4: [1]: no value begins so");
/// assert_eq!(pairs.next(), Some(Ok((4, 5))), "the next line is another record");
/// assert_eq!(pairs.next(), None);
/// ```
#[derive(Clone, Debug)]
pub struct Records<'a, T> {
    place: String,
    rest: &'a [u8],
    line: u64,
    reader: Reader,
    of: PhantomData<fn() -> T>,
}

impl<'a, T: Deserialize<'a>> Records<'a, T> {
    /// Of a text from a place that errors name.
    pub fn new(place: impl Into<String>, text: &'a [u8]) -> Self {
        let (reader, of) = (Reader::new(), PhantomData);
        Self { place: place.into(), rest: text, line: 0, reader, of }
    }

    /// How many fields were there that nobody asked for, in all.
    pub fn skipped(&self) -> u64 {
        self.reader.skipped()
    }
}

impl<'a, T: Deserialize<'a>> Iterator for Records<'a, T> {
    type Item = Result<T, CodecError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let end = memchr::memchr(b'\n', self.rest);
            let (line, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
            self.rest = rest.get(1..).unwrap_or_default();
            self.line += 1;
            if !line.trim_ascii().is_empty() {
                let read = self.reader.read(line);
                return Some(read.map_err(|malformed| CodecError {
                    place: self.place.clone(),
                    line: self.line,
                    reason: malformed.to_string(),
                }));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
