//! The group that records are put into, in the buffer that will be written.

use crate::io::journal::format::{GROUP_HEADER, GroupHeader, blocks, encode_record, frame_bytes};
use crate::io::journal::sequence::Sequence;
use crate::io::storage::Write;
use crate::time::Timestamp;

/// A group being filled: its place in the segment is fixed, its length is not yet.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// The slot whose buffer it is in.
    pub slot: usize,
    /// The segment that it will be written to, and where.
    pub segment: u64,
    /// Where in the segment.
    pub offset: u64,
    /// What check sums of the segment are seeded by.
    pub salt: u64,
    /// How long it may become.
    pub capacity: usize,
    /// The sequence of its first record.
    pub first: Sequence,
    /// The latest timestamp of all records before it.
    pub latest: Timestamp,
    /// Sequences before the first that were given and not written.
    pub skipped: u64,
    /// When its first record came.
    pub since: Timestamp,
    /// How long it is, header included.
    pub used: usize,
    /// How many records it has.
    pub records: u32,
}

impl Group {
    /// How many bytes of records still fit.
    #[inline(always)]
    pub fn room(&self) -> usize {
        self.capacity - self.used
    }

    /// Adds a record, for which there is room.
    #[inline(always)]
    pub fn push(&mut self, buffer: &mut [u8], sequence: Sequence, at: Timestamp, bytes: &[u8]) {
        encode_record(&mut buffer[self.used..], self.salt, sequence, at, bytes);
        self.used += frame_bytes(bytes.len());
        self.records += 1;
    }

    /// Puts the header in front and zeros behind; the write that this takes.
    pub fn seal(
        &self,
        buffer: &mut [u8],
        durable: Sequence,
        written: Timestamp,
        closed: bool,
    ) -> GroupHeader {
        let (bytes, records, first) = (self.used - GROUP_HEADER, self.records, self.first);
        let (latest, skipped) = (self.latest, self.skipped);
        let header =
            GroupHeader { bytes, records, first, durable, latest, written, skipped, closed };
        buffer[self.used..header.span()].fill(0);
        header.encode(buffer, self.salt, self.offset);
        header
    }

    /// The write of it.
    pub fn write(&self, durable: bool) -> Write {
        let bytes = blocks(self.used);
        Write { slot: self.slot, segment: self.segment, offset: self.offset, bytes, durable }
    }
}
