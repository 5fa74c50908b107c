//! Places that take records epoch by epoch, when their checkpoint is complete: files and servers.
//!
//! Each knows which epochs it has, so that a commit that is made again after a crash does nothing;
//! that is the whole of exactly once here, see [`AtCheckpoint`](crate::io::AtCheckpoint). All of
//! them block, and so have a thread of their own. May not know shards. Start with `elsewhere.rs`;
//! copy `parts.rs` for another place.

mod elsewhere;
mod parts;
#[cfg(feature = "postgres")]
mod postgres;

pub use elsewhere::Elsewhere;
pub use parts::Parts;
#[cfg(feature = "postgres")]
pub use postgres::{PostgresRows, PostgresValue};
