//! A disk as two traits: plain files, which may block, and writes that never do.
//!
//! The journal is pure code over these two. The real disk is in `disk/`, the simulated one, with
//! torn and lost writes, in `sim/`.

use std::io;

use crate::io::journal::SegmentHeader;

/// The files of one directory. Every call may block: for opening, recovery and reading, and for
/// the thread that makes and removes segments.
///
/// Nothing is durable before [`sync`](Files::sync) for contents, and
/// [`sync_directory`](Files::sync_directory) for names.
pub trait Files {
    /// All plain files: name and length in bytes, in no order.
    fn list(&mut self) -> io::Result<Vec<(String, u64)>>;
    /// Reads until `into` is full or the file ends, and returns how much that was.
    fn read_at(&mut self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize>;
    /// Creates a file of so many zeros that are really written, in the place of any of that name.
    fn create(&mut self, name: &str, bytes: u64) -> io::Result<()>;
    /// Creates a file of these bytes, one part behind the other, in the place of any of that name.
    fn write(&mut self, name: &str, parts: &[&[u8]]) -> io::Result<()>;
    /// Writes over what is there.
    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes the contents and the length of a file durable.
    fn sync(&mut self, name: &str) -> io::Result<()>;
    /// Cuts a file off.
    fn truncate(&mut self, name: &str, bytes: u64) -> io::Result<()>;
    /// Gives a file another name, in the place of any that has it.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&mut self, name: &str) -> io::Result<()>;
    /// Makes names durable: files created, renamed and removed.
    fn sync_directory(&mut self) -> io::Result<()>;
}

/// One write of a slot's buffer into a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Write {
    /// The slot whose buffer it is.
    pub slot: usize,
    /// The number of the segment.
    pub segment: u64,
    /// Where in the segment: a multiple of the block.
    pub offset: u64,
    /// How much of the buffer: a multiple of the block.
    pub bytes: usize,
    /// Whether it counts as done only when it is durable.
    pub durable: bool,
}

/// Something that was asked of a [`Storage`], done or failed.
#[derive(Debug)]
pub enum Done {
    /// A write; its slot is free again. A write that was to be durable is.
    Written {
        /// The slot.
        slot: usize,
        /// How it went.
        result: io::Result<()>,
    },
    /// A segment, made with its header: its name and its contents are durable.
    Made {
        /// The number of the segment.
        segment: u64,
        /// How it went.
        result: io::Result<()>,
    },
    /// A segment, with all that was written before: it is durable.
    Synced {
        /// The number of the segment.
        segment: u64,
        /// How it went.
        result: io::Result<()>,
    },
    /// A segment that is there no longer.
    Removed {
        /// The number of the segment.
        segment: u64,
        /// How it went.
        result: io::Result<()>,
    },
}

/// A disk that a shard's step can use: nothing here blocks, and nothing allocates after warm-up.
///
/// There is a fixed number of slots, each with a buffer of the same size, which the journal fills
/// in place. So many writes can be in flight, one for each slot, in any order.
pub trait Storage {
    /// How many slots there are.
    fn slots(&self) -> usize;
    /// How many bytes the buffer of each slot has: a multiple of the block.
    fn slot_bytes(&self) -> usize;
    /// The buffer of a slot; empty while the slot is being written.
    fn buffer(&mut self, slot: usize) -> &mut [u8];
    /// Begins a write of a slot that is not being written, into a segment that has been made.
    fn write(&mut self, write: Write);
    /// Begins to make a segment, at most one at a time.
    fn make(&mut self, header: SegmentHeader);
    /// Begins to make what was written to a segment durable, at most one at a time.
    fn sync(&mut self, segment: u64);
    /// Begins to remove a segment, at most one at a time.
    fn remove(&mut self, segment: u64);
    /// Hands over what was begun and looks what is done.
    fn drive(&mut self);
    /// The next thing done that [`drive`](Storage::drive) saw.
    fn next_done(&mut self) -> Option<Done>;
}

/// Whether an error says that there is no room: the disk is full, the quota used up, or the file
/// as long as it may be. All three may pass.
pub fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{FileTooLarge, QuotaExceeded, StorageFull};
    matches!(error.kind(), StorageFull | QuotaExceeded | FileTooLarge)
}
