//! JSON, a record to a line, of which only the fields that somebody asks for are read.
//!
//! Which fields those are says a struct that derives `serde::Deserialize`. Text is borrowed from
//! the line, nothing else is built, and whatever the struct does not name is stepped over, eight
//! bytes at a time:
//!
//! ```
//! use millstream::io::json;
//! use serde::Deserialize;
//!
//! #[derive(Deserialize)]
//! struct Trade<'a> {
//!     symbol: &'a str,
//!     price: f64,
//! }
//!
//! let line = br#"{"venue": {"id": 7}, "symbol": "MSFT", "price": 410.5, "flags": [1, 2]}"#;
//! let mut reader = json::Reader::new();
//! let trade: Trade = reader.read(line)?;
//! assert_eq!((trade.symbol, trade.price), ("MSFT", 410.5));
//! assert_eq!(reader.skipped(), 2, "venue and flags");
//! let error = reader.read::<Trade>(br#"{"symbol": "MSFT", "price": "?"}"#).err().unwrap();
//! assert_eq!(error.offset, Some(28));
//! assert_eq!(error.reason, "price: invalid type: string \"?\", expected f64");
//! # Ok::<(), millstream::io::Malformed>(())
//! ```
//!
//! What is bounded: a line by its framing ([`Lines`](crate::io::Lines)); nesting by
//! [`DEPTH_MAX`], whatever comes deeper is an error and takes no stack; memory by what the struct
//! is made of: `&str`, [`Text`](crate::Text), numbers and arrays take none, `String` and `Vec`
//! take as much as the line says. Text with escapes in it is not in the line as it is meant: it
//! can be read as `Text` or `String`, and as `&str` it is an error.
//!
//! What is stepped over is not checked beyond what tells where it ends: quotes, brackets and
//! escapes. What is read is checked.

mod cursor;
mod records;
mod serde;
mod text;

pub(super) use cursor::{Broken, Cursor, Kind, Number};
pub use records::{Json, Reader, Records};
pub use text::Str;

/// How deep objects and arrays may be in each other.
pub const DEPTH_MAX: usize = 64;
