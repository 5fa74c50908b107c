//! The world as traits: where records come from and where they go.
//!
//! Pure code and plain files; sockets and io_uring live on a higher floor. Start with `source.rs`
//! and `sink.rs`; the formats of records are in `codec/`.

mod at_once;
mod codec;
pub mod csv;
#[cfg(feature = "uring")]
mod direct;
mod directory;
mod framing;
mod gate;
mod generator;
mod iter;
pub mod journal;
mod legible;
mod memory;
mod numbered;
mod option;
mod partitioned;
mod replay;
mod schedule;
mod sink;
mod source;
mod storage;
mod when_durable;

pub use at_once::{AtOnce, Seen, Token};
pub use codec::{
    Codec, CodecOf, Decoded, Malformed, Plain, codec, fix, itch, json, moldudp64, openrtb,
    selective, soupbintcp,
};
pub use directory::Directory;
pub use framing::{Fixed, Framing, LengthPrefixed, Lines, Split};
pub use gate::{AtCheckpoint, Commit, MemoryCommits};
pub use generator::Generator;
pub use iter::IterSource;
pub use legible::Legible;
pub use memory::{Callback, MemorySink, MemorySource, callback};
pub use numbered::{Numbered, Origin};
pub use partitioned::Partitioned;
pub use replay::{Pace, Replay};
pub use schedule::{Arrival, Schedule};
pub use sink::{Driven, Sink};
pub use source::{Polled, Source};
pub use storage::{Done, Files, Storage, Write, is_full};
pub use when_durable::{Journals, WhenDurable};
