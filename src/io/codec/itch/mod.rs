//! NASDAQ TotalView-ITCH 5.0, as of the 2026 revision: all 23 types of messages, read where they
//! are and written as they are.
//!
//! A message is a type byte and fields of fixed length, the most significant byte first. Each type
//! is a struct here whose fields lie in memory as they do on the wire, so that decoding is a look
//! at the type and the length, and a field is read when it is asked for:
//!
//! ```
//! use millstream::io::itch::{AddOrder, Alpha, Header, Message};
//!
//! let order = AddOrder {
//!     header: Header::new(17, 0, 34_200_000_000_000),
//!     order: 4711.into(),
//!     side: b'B',
//!     shares: 100.into(),
//!     stock: Alpha::new("MSFT"),
//!     price: 4_105_000.into(),
//! };
//! let mut bytes = Vec::new();
//! Message::AddOrder(&order).encode(&mut bytes);
//! assert_eq!(bytes.len(), 36);
//! match Message::decode(&bytes)? {
//!     Message::AddOrder(order) => {
//!         assert_eq!((order.shares.get(), order.price.get()), (100, 4_105_000));
//!         assert_eq!(order.stock.as_bytes(), b"MSFT");
//!     }
//!     other => panic!("{other:?}"),
//! }
//! # Ok::<(), millstream::io::Malformed>(())
//! ```
//!
//! Codes such as the side or a market category stay the byte that they are: the exchange adds new
//! ones, and a reader that must know a code looks at those it knows. A type that is not known is
//! [`Message::Unknown`], for the same reason, and skipping it is up to the caller. A known type of
//! another length is an error: its fields could be anywhere.
//!
//! Messages come behind their length, two bytes with the most significant one first, in files and
//! in the payload of SoupBinTCP ([`LengthPrefixed::big_endian_u16`]), and several to a datagram of
//! [`moldudp64`]. [`soupbintcp`] says what else there is in a session.
//!
//! [`LengthPrefixed::big_endian_u16`]: crate::io::LengthPrefixed::big_endian_u16
//! [`moldudp64`]: crate::io::moldudp64
//! [`soupbintcp`]: crate::io::soupbintcp

mod fields;
mod message;

pub use fields::{Alpha, Header, Nanos, Price4, Price8};
pub use message::*;

/// The longest message.
pub const BYTES_MAX: usize = 50;
