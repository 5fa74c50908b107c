//! What a segment looks like on the disk. All numbers are little endian.
//!
//! A segment is a file of blocks of 4 KiB. The first holds its header and zeros:
//!
//! | bytes | what |
//! |---|---|
//! | 0..8 | `MSJOURNL` |
//! | 8..12 | CRC-32C of the rest of the block |
//! | 12..16 | version of the format, 1 |
//! | 16..24 | the journal's id: the same in all of its segments |
//! | 24..32 | the segment's number |
//! | 32..40 | salt: another for each segment that was ever made |
//! | 40..48 | epoch: how often the journal had been opened for writing |
//! | 48..56 | how long the file was made |
//!
//! Then come groups, each the records of one write: a header of 64 bytes, records, zeros up to the
//! next block.
//!
//! | bytes | what |
//! |---|---|
//! | 0..4 | CRC-32C of the rest of the header, seeded by salt and offset |
//! | 4..8 | `GRUP` |
//! | 8..12 | bytes of records |
//! | 12..16 | number of records |
//! | 16..24 | sequence of the first record |
//! | 24..32 | every record before this sequence was durable when this was written |
//! | 32..40 | the latest timestamp of all records before this group |
//! | 40..48 | when it was written |
//! | 48..56 | sequences before the first that were given and, the disk being full, never written |
//! | 56..60 | 1 if the journal was closed after it |
//! | 60..64 | 0 |
//!
//! And a record:
//!
//! | bytes | what |
//! |---|---|
//! | 0..4 | length of its bytes |
//! | 4..8 | CRC-32C of what follows, seeded by salt, sequence and length |
//! | 8..16 | timestamp |
//! | 16.. | its bytes, and zeros up to a multiple of 8 |
//!
//! A record's sequence is that of its group's first and its place in the group. It is in the seed
//! of the check sum, so a record found at another place than its own does not pass. Nor does what
//! an earlier segment left in a file that is used again: the salt is another.

use crate::io::journal::crc::{crc, seed};
use crate::io::journal::sequence::Sequence;
use crate::time::Timestamp;

/// The unit of writing, and of alignment.
pub const BLOCK: usize = 4096;

/// The version of the format that is written, and the newest that is read.
pub const VERSION: u32 = 1;

/// Bytes of a group's header.
pub const GROUP_HEADER: usize = 64;

/// Bytes of a record's header.
pub const RECORD_HEADER: usize = 16;

/// The most bytes that a group may claim to have; more is damage.
pub const GROUP_MAX: usize = 64 << 20;

const MAGIC: [u8; 8] = *b"MSJOURNL";
const GROUP: u32 = u32::from_le_bytes(*b"GRUP");
const CLOSED: u32 = 1;

/// The least multiple of the block that is not less.
pub const fn blocks(bytes: usize) -> usize {
    bytes.next_multiple_of(BLOCK)
}

/// How much of a group a record of `bytes` takes.
#[inline(always)]
pub const fn frame_bytes(bytes: usize) -> usize {
    RECORD_HEADER + bytes.next_multiple_of(8)
}

#[inline(always)]
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map_or(0, u32::from_le_bytes)
}

#[inline(always)]
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|eight| eight.try_into().ok()).map_or(0, u64::from_le_bytes)
}

#[inline(always)]
fn put<const N: usize>(into: &mut [u8], at: usize, bytes: [u8; N]) {
    into[at..at + N].copy_from_slice(&bytes);
}

/// What the first block of a segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// The journal that it belongs to.
    pub journal: u64,
    /// Its number: one more than that of the segment before it.
    pub number: u64,
    /// What its check sums are seeded by.
    pub salt: u64,
    /// How often the journal had been opened for writing.
    pub epoch: u64,
    /// How long the file was made, header included.
    pub bytes: u64,
}

/// Why a first block is not a header that can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoHeader {
    /// It is of a later version.
    Newer(u32),
    /// It is something else, or was damaged.
    Damaged,
}

impl SegmentHeader {
    /// The header of a new segment, with a salt of its own.
    pub fn new(journal: u64, number: u64, epoch: u64, bytes: u64) -> Self {
        let mix = |n: u64| (n ^ (n >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let salt = mix(mix(mix(journal).wrapping_add(number)).wrapping_add(epoch));
        Self { journal, number, salt, epoch, bytes }
    }

    /// The first block of the segment.
    pub fn encode(&self) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        put(&mut block, 0, MAGIC);
        put(&mut block, 12, VERSION.to_le_bytes());
        let words = [self.journal, self.number, self.salt, self.epoch, self.bytes];
        for (at, word) in words.into_iter().enumerate() {
            put(&mut block, 16 + 8 * at, word.to_le_bytes());
        }
        let sum = crc(0, &block[12..]);
        put(&mut block, 8, sum.to_le_bytes());
        block
    }

    /// What a first block says.
    ///
    /// # Errors
    /// If it is no header, a damaged one, or one of a later version.
    pub fn decode(block: &[u8]) -> Result<Self, NoHeader> {
        let is_whole = block.len() == BLOCK && block[..8] == MAGIC;
        if !is_whole || u32_at(block, 8) != crc(0, &block[12..]) {
            return Err(NoHeader::Damaged);
        }
        let version = u32_at(block, 12);
        if version != VERSION {
            return Err(NoHeader::Newer(version));
        }
        let word = |at: usize| u64_at(block, 16 + 8 * at);
        let (journal, number, salt) = (word(0), word(1), word(2));
        Ok(Self { journal, number, salt, epoch: word(3), bytes: word(4) })
    }
}

/// What the first bytes of a group say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupHeader {
    /// Bytes of records, without this header and the zeros at the end.
    pub bytes: usize,
    /// How many records there are; a group may have none, to say what is durable.
    pub records: u32,
    /// The sequence of the first.
    pub first: Sequence,
    /// Every record before this one was durable when this was written.
    pub durable: Sequence,
    /// The latest timestamp of all records before this group.
    pub latest: Timestamp,
    /// When it was written.
    pub written: Timestamp,
    /// How many sequences before the first were given and never written.
    pub skipped: u64,
    /// The journal was closed after it.
    pub closed: bool,
}

impl GroupHeader {
    /// The sequence behind its last record.
    pub fn end(&self) -> Sequence {
        Sequence(self.first.0.saturating_add(self.records.into()))
    }

    /// The sequence that the group before it ended with.
    pub fn follows(&self) -> Sequence {
        Sequence(self.first.0.saturating_sub(self.skipped))
    }

    /// How much of the segment it takes.
    pub fn span(&self) -> usize {
        blocks(GROUP_HEADER + self.bytes)
    }

    /// Puts it in front of its records.
    pub fn encode(&self, into: &mut [u8], salt: u64, offset: u64) {
        put(into, 4, GROUP.to_le_bytes());
        put(into, 8, (self.bytes as u32).to_le_bytes());
        put(into, 12, self.records.to_le_bytes());
        put(into, 16, self.first.0.to_le_bytes());
        put(into, 24, self.durable.0.to_le_bytes());
        put(into, 32, self.latest.0.to_le_bytes());
        put(into, 40, self.written.0.to_le_bytes());
        put(into, 48, self.skipped.to_le_bytes());
        put(into, 56, if self.closed { CLOSED } else { 0 }.to_le_bytes());
        put(into, 60, [0; 4]);
        let sum = crc(seed(salt, offset, 0), &into[4..GROUP_HEADER]);
        put(into, 0, sum.to_le_bytes());
    }

    /// What is at the beginning of `bytes`, if that is a group of this segment and place.
    pub fn decode(bytes: &[u8], salt: u64, offset: u64) -> Option<Self> {
        let header = bytes.get(..GROUP_HEADER)?;
        let sum = crc(seed(salt, offset, 0), &header[4..]);
        if u32_at(header, 0) != sum || u32_at(header, 4) != GROUP {
            return None;
        }
        let time = |at| Timestamp(u64_at(header, at).cast_signed());
        let found = Self {
            bytes: u32_at(header, 8) as usize,
            records: u32_at(header, 12),
            first: Sequence(u64_at(header, 16)),
            durable: Sequence(u64_at(header, 24)),
            latest: time(32),
            written: time(40),
            skipped: u64_at(header, 48),
            closed: u32_at(header, 56) & CLOSED != 0,
        };
        (found.bytes <= GROUP_MAX).then_some(found)
    }
}

/// Puts a record at the beginning of `into`, which has room for its frame.
#[inline(always)]
pub fn encode_record(into: &mut [u8], salt: u64, sequence: Sequence, at: Timestamp, bytes: &[u8]) {
    let (head, body) = into[..frame_bytes(bytes.len())].split_at_mut(RECORD_HEADER);
    head[8..].copy_from_slice(&at.0.to_le_bytes());
    body[..bytes.len()].copy_from_slice(bytes);
    body[bytes.len()..].fill(0);
    head[..4].copy_from_slice(&(bytes.len() as u32).to_le_bytes());
    let end = RECORD_HEADER + bytes.len();
    let sum = crc(seed(salt, sequence.0, bytes.len()), &into[8..end]);
    into[4..8].copy_from_slice(&sum.to_le_bytes());
}

/// The record at the beginning of `from` and how much it takes; none if it does not pass.
#[inline]
pub fn decode_record(
    from: &[u8],
    salt: u64,
    sequence: Sequence,
) -> Option<(Timestamp, &[u8], usize)> {
    let bytes = u32_at(from.get(..RECORD_HEADER)?, 0) as usize;
    let frame = from.get(..frame_bytes(bytes))?;
    let (checked, zeros) = frame[8..].split_at(8 + bytes);
    let is_whole = u32_at(frame, 4) == crc(seed(salt, sequence.0, bytes), checked);
    if !is_whole || zeros.iter().any(|byte| *byte != 0) {
        return None;
    }
    Some((Timestamp(u64_at(frame, 8).cast_signed()), &checked[8..], frame.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_header_comes_back_and_no_flip_passes() {
        let header = SegmentHeader::new(7, 3, 2, 1 << 20);
        let mut block = header.encode();
        assert_eq!(SegmentHeader::decode(&block), Ok(header));
        assert_eq!(SegmentHeader::decode(&block[..BLOCK - 1]), Err(NoHeader::Damaged));
        for at in 0..BLOCK {
            block[at] ^= 1 << (at % 8);
            assert_eq!(SegmentHeader::decode(&block), Err(NoHeader::Damaged), "byte {at}");
            block[at] ^= 1 << (at % 8);
        }
    }

    #[test]
    fn a_later_version_is_told_from_damage() {
        let mut block = SegmentHeader::new(7, 3, 2, 1 << 20).encode();
        put(&mut block, 12, 9u32.to_le_bytes());
        let sum = crc(0, &block[12..]);
        put(&mut block, 8, sum.to_le_bytes());
        assert_eq!(SegmentHeader::decode(&block), Err(NoHeader::Newer(9)));
    }

    #[test]
    fn salts_differ() {
        let salt = |journal, number, epoch| SegmentHeader::new(journal, number, epoch, 0).salt;
        let mut all: Vec<u64> = Vec::new();
        for n in 0..20 {
            all.extend([salt(n, 50, 60), salt(70, n, 60), salt(70, 80, n)]);
        }
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 60);
    }

    #[test]
    fn a_group_header_passes_only_whole_and_in_its_place() {
        let header = GroupHeader {
            bytes: 80,
            records: 1,
            first: Sequence(9),
            durable: Sequence(5),
            latest: Timestamp(-4),
            written: Timestamp(77),
            skipped: 2,
            closed: true,
        };
        let mut bytes = [0xff; GROUP_HEADER];
        header.encode(&mut bytes, 11, 4096);
        assert_eq!(GroupHeader::decode(&bytes, 11, 4096), Some(header));
        assert_eq!(
            (header.end(), header.follows(), header.span()),
            (Sequence(10), Sequence(7), BLOCK)
        );
        for (salt, offset) in [(12, 4096), (11, 8192)] {
            assert_eq!(GroupHeader::decode(&bytes, salt, offset), None);
        }
        for at in 0..GROUP_HEADER {
            bytes[at] ^= 0x10;
            assert_eq!(GroupHeader::decode(&bytes, 11, 4096), None, "byte {at}");
            bytes[at] ^= 0x10;
        }
    }

    #[test]
    fn a_record_passes_only_whole_and_as_its_own_sequence() {
        for bytes in [&b""[..], b"a", b"sixteen and more"] {
            let mut into = vec![0xee; frame_bytes(bytes.len()) + 3];
            encode_record(&mut into, 5, Sequence(6), Timestamp(-7), bytes);
            let frame = frame_bytes(bytes.len());
            let want = Some((Timestamp(-7), bytes, frame));
            assert_eq!(decode_record(&into, 5, Sequence(6)), want);
            assert_eq!(into[frame..], [0xee; 3], "no further than its frame");
            assert_eq!(decode_record(&into, 5, Sequence(7)), None);
            assert_eq!(decode_record(&into, 4, Sequence(6)), None);
            assert_eq!(decode_record(&into[..frame - 1], 5, Sequence(6)), None);
            for bit in 0..frame * 8 {
                into[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(decode_record(&into, 5, Sequence(6)), None, "bit {bit}");
                into[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }
}
