//! Rings in memory that two processes of one host share: records from one to the other without a
//! call to the system.
//!
//! The writer makes the memory, a file without a name that cannot be made shorter, and hands it
//! over by a Unix socket whose name is in no file system. Nothing is left behind, however either
//! side ends. The socket stays open: that the other side is gone is seen by it.
//!
//! The memory, all of it words of 8 bytes in this host's order:
//!
//! | byte | word | who writes |
//! |---|---|---|
//! | 0 | `MILLRING` | the writer, once |
//! | 8 | version: 1 | the writer, once |
//! | 16 | bytes of a value | the writer, once |
//! | 24 | format: what the user calls the layout | the writer, once |
//! | 32 | capacity: a power of two | the writer, once |
//! | 256 | tail: records published | the writer, once a batch |
//! | 264 | 1 when no more will come | the writer |
//! | 512 | head: records taken | the reader, once a batch |
//! | 4096 | slots: timestamp in ns, then the value, filled up to words | the writer |
//!
//! Record number `n` is in slot `n % capacity`. Both indices only grow. All that is shared is read
//! and written as atomic words, so that a side that is mad can say what is wrong, and no more.
//!
//! When the memory is handed over each side says the first five words, the reader with the capacity
//! that it takes at most: both find out whether they mean the same.
//!
//! Start with `ring.rs`, then `source.rs` and `outgoing.rs`.

mod handover;
mod listener;
mod memory;
mod outgoing;
mod plain;
mod ring;
mod sink;
mod source;

pub use listener::SharedListener;
pub use plain::Plain;
pub use sink::{SharedSink, Sharing, WhenFull};
pub use source::{Gone, SharedSource, Taking};

/// How often the sockets are looked at: a side that is gone is noticed so much later at most.
const LOOK_EVERY_NS: i64 = 1_000_000;
