//! The journal: an append-only log of records, for sources that cannot replay and for event
//! sourcing.
//!
//! # What it promises
//!
//! Every record before [`Journal::durable`] is there after any crash, in its place, once, whole.
//! Records behind that may be there, in order and without gaps. What is not there was never said to
//! be durable. When a journal is opened again it says which of these it found:
//!
//! | what happened | what it is | what is read |
//! |---|---|---|
//! | it was closed | [`End::Closed`] | everything |
//! | the writer ended between two writes | [`End::Open`] | everything |
//! | the writer ended while it was writing | [`End::Torn`] | all before; the rest is cut off |
//! | a bit flipped, a block was lost | [`Damaged`] | all before; nothing is cut off |
//! | a segment's file is gone | [`Missing`] | all before |
//! | a file of another journal, a later format | [`Foreign`], [`Newer`] | all before |
//! | another process writes it | [`Locked`] | by a [`Reader`] that follows |
//!
//! A torn tail and damage look alike where they are. They are told apart by what lies behind: each
//! write says up to where everything had been durable when it began. So a block that should have
//! been durable and is not whole is damage. Only where nothing was ever written behind it, which is
//! within [`Settings::mark_after`] of the last write, damage may be taken for a torn tail; and the
//! last segments, if all are gone with no later one left, are not missed. Which segment is the
//! first is written down before retention removes one, so first ones that went otherwise are.
//!
//! # How it works
//!
//! A journal is a directory of segments (`format.rs` has every byte). A record is encoded into the
//! buffer that will be written; [`poll`](Journal::poll) hands buffers to the disk, several in
//! flight, and takes in which are done: neither blocks, and neither allocates after warm-up. A
//! write is always of whole blocks that were never written with records before, so that no crash
//! can tear a record that was durable. That costs space: each write takes at least 4 KiB.
//!
//! Segments are made ahead of need, filled with zeros, header and name durable before they are
//! used. So writing a record changes no metadata, and a full disk is met while there still is room.
//! What becomes of records then is [`OnFull`]: the choice of whoever runs it, and told by
//! [`Notice`] and counted in [`Stats`] in any case.
//!
//! Retention removes the oldest segments by size and by age, never those that hold a record behind
//! [`Journal::hold`]. Their files are used again: a salt in every check sum keeps what is still in
//! them from being taken for records.
//!
//! What was journalled is a source again: [`JournalSource`] replays it, and [`Journalled`] makes a
//! source that says everything once one that can go on from a snapshot.
//!
//! It is pure code over two traits, [`Storage`](crate::io::Storage) and
//! [`Files`](crate::io::Files): on the real disk by `disk::open`, under seeds by
//! [`SimDisk`](crate::sim::SimDisk).
//!
//! ```
//! use millstream::io::journal::{Journal, Reader, Settings};
//! use millstream::{Timestamp, sim::SimDisk};
//!
//! let settings = Settings { segment_bytes: 1 << 20, slot_bytes: 8192, ..Settings::default() };
//! let mut disk = SimDisk::new(7);
//! let (storage, now) = (disk.storage(&settings), Timestamp(0));
//! let (mut journal, _) = Journal::open(&mut disk, storage, settings, 1, now)?;
//! let first = journal.append(Timestamp(5), b"hello").unwrap();
//! while journal.durable() <= first {
//!     journal.poll(now)?;
//! }
//! drop(journal);
//! disk.crash();
//!
//! let mut reader = Reader::open(disk)?;
//! assert_eq!(reader.read()?.map(|record| record.bytes), Some(&b"hello"[..]));
//! assert_eq!(reader.read()?, None);
//! # Ok::<(), millstream::Error>(())
//! ```
//!
//! Start with `format.rs`, then `writer.rs` and `walk.rs`.
//!
//! [`JournalError`]: crate::error::JournalError
//! [`Damaged`]: crate::error::JournalError::Damaged
//! [`Missing`]: crate::error::JournalError::Missing
//! [`Foreign`]: crate::error::JournalError::Foreign
//! [`Newer`]: crate::error::JournalError::Newer
//! [`Locked`]: crate::error::JournalError::Locked

mod catalog;
pub(crate) mod crc;
mod flight;
mod format;
mod group;
mod journalled;
mod kept;
mod names;
mod notice;
mod places;
mod reader;
mod recover;
mod sequence;
mod settings;
mod source;
mod walk;
mod writer;

pub use catalog::{Broken, Catalog, Segment};
pub use format::{BLOCK, GroupHeader, NoHeader, SegmentHeader, VERSION};
pub use journalled::Journalled;
pub use kept::{FirstKept, KEPT};
pub use names::{LOCK, MAKING, make_segment, remove_segment, segment_name, segment_number};
pub use notice::{Durable, Notice, Stats};
pub use reader::{Entry, Reader};
pub use recover::{Recovered, recover};
pub use sequence::Sequence;
pub use settings::{OnFull, Settings, Sync};
pub use source::JournalSource;
pub use walk::{End, Found, Walk};
pub use writer::{Journal, Refused};
