//! FIX tag-value, 4.2 to 4.4 and 5.0 over FIXT 1.1: messages framed, checked, read and written.
//!
//! A message is a sequence of `tag=value` fields, each with a byte 1 behind it. [`Frames`] finds
//! its end by BodyLength; [`Message::decode`] checks BodyLength, CheckSum and the session's fields,
//! and reads others where they are when they are asked for:
//!
//! ```
//! use millstream::io::fix::{Encoder, Message, tags};
//!
//! let mut bytes = Vec::new();
//! let mut order = Encoder::begin(&mut bytes, "FIX.4.4", "D");
//! order.session(7, "BUYER", "SELLER", "20261129-09:30:00.123456789");
//! order.text(55, "MSFT").number(54, 1).number(38, 100).text(44, "410.50");
//! order.finish()?;
//!
//! let message = Message::decode(&bytes)?;
//! assert_eq!((message.header.kind, message.header.sequence), (&b"D"[..], 7));
//! assert_eq!(message.get(38)?.unwrap().int()?, 100);
//! let price = message.get(44)?.unwrap().decimal()?;
//! assert_eq!((price.digits, price.places), (41_050, 2));
//! assert_eq!(message.get(tags::TEXT)?, None);
//!
//! bytes[30] ^= 1;
//! let error = Message::decode(&bytes).unwrap_err();
//! assert!(error.reason.starts_with("CheckSum says"), "{error}");
//! # Ok::<(), millstream::io::Malformed>(())
//! ```
//!
//! A repeating group is read in order: [`Message::group`] is told the tags that may be in it, since
//! only a dictionary knows, and this is none. What a raw data field holds may be anything, a byte 1
//! among them: it is as long as the field before it says, by the pairs in [`tags::DATA`]. Tags that
//! nobody asks for are stepped over. There is no session here: nothing is answered, no gap is
//! filled, no sequence number is kept.

mod encoder;
mod field;
mod frames;
mod message;
pub mod tags;

pub use encoder::Encoder;
pub use field::{Decimal, Field, Fields};
pub use frames::Frames;
pub use message::{Group, Groups, Header, Message};

/// What is behind each field.
const END: u8 = 1;

/// The last field of a message, `10=000` and its end.
const TRAILER: usize = 7;

/// What all bytes add up to, of which a CheckSum says the rest by 256.
#[inline]
fn sum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum, byte| sum.wrapping_add(*byte))
}
