//! Which segment is the first, written down: so that segments that are gone and should not be are
//! told from those that retention has removed.
//!
//! A file of one sector beside the segments, written over in place, so that it takes no room on a
//! full disk. It says so before a segment goes: what a crash leaves is never one too few.

use std::io::{self, ErrorKind};

use crate::error::{IoError, JournalError};
use crate::io::journal::crc::crc;
use crate::io::journal::format::{BLOCK, GroupHeader, SegmentHeader};
use crate::io::journal::names::segment_name;
use crate::io::journal::sequence::Sequence;
use crate::io::storage::Files;

/// The name of the file.
pub const KEPT: &str = "kept";

const BYTES: usize = 512;
const MAGIC: [u8; 8] = *b"MSKEPT01";

/// The first segment that is kept, and its first record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FirstKept {
    /// The segment's number.
    pub number: u64,
    /// The record's sequence.
    pub sequence: Sequence,
}

impl FirstKept {
    fn encode(self) -> [u8; BYTES] {
        let mut bytes = [0; BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..16].copy_from_slice(&self.number.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.sequence.0.to_le_bytes());
        let sum = crc(0, &bytes[..24]);
        bytes[24..28].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// What was written down; none if that is damaged. Where nothing was, nothing was ever removed.
    fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.iter().all(|byte| *byte == 0) {
            return Some(Self::default());
        }
        let word = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let sum = crc(0, bytes.get(..24)?).to_le_bytes();
        let is_whole = bytes.get(..8)? == MAGIC && bytes.get(24..28)? == sum;
        is_whole.then_some(Self { number: word(8)?, sequence: Sequence(word(16)?) })
    }

    /// What was written down; none if there is no such file, as in journals of an earlier version.
    ///
    /// # Errors
    /// If it is damaged; what the disk said.
    pub fn read(files: &mut impl Files) -> Result<Option<Self>, JournalError> {
        let mut bytes = [0; BYTES];
        let read = match files.read_at(KEPT, 0, &mut bytes) {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(IoError::new("read", KEPT, error).into()),
        };
        let kept = Self::decode(bytes.get(..read).unwrap_or(&[]));
        kept.map(Some).ok_or_else(|| JournalError::Damaged {
            file: KEPT.to_owned(),
            offset: 0,
            sequence: 0,
            reason: "it does not say which segment is the first",
        })
    }

    /// Makes the file, if there is none. The directory is to be synced.
    ///
    /// # Errors
    /// What the disk said.
    pub fn begin(self, files: &mut impl Files) -> io::Result<()> {
        match files.read_at(KEPT, 0, &mut [0]) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                files.create(KEPT, BYTES as u64)?;
                self.write(files)
            }
            _ => Ok(()),
        }
    }

    fn write(self, files: &mut impl Files) -> io::Result<()> {
        files.write_at(KEPT, 0, &self.encode())?;
        files.sync(KEPT)
    }

    /// Writes down that the segment of this number goes, and makes that durable.
    ///
    /// # Errors
    /// What the disk said.
    pub fn pass(files: &mut impl Files, number: u64) -> io::Result<()> {
        let next = number + 1;
        let sequence = first_record(files, next)?;
        let kept = Self { number: next, sequence };
        kept.begin(files)?;
        kept.write(files)
    }
}

/// The sequence that a segment begins with, or that of no record if it is not begun.
fn first_record(files: &mut impl Files, number: u64) -> io::Result<Sequence> {
    let mut start = [0; 2 * BLOCK];
    let read = files.read_at(&segment_name(number), 0, &mut start)?;
    let (header, group) = start[..read].split_at(BLOCK.min(read));
    let group = SegmentHeader::decode(header)
        .ok()
        .and_then(|header| GroupHeader::decode(group, header.salt, BLOCK as u64));
    Ok(group.map_or(Sequence(0), |group| group.follows()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_back_and_no_flip_passes() {
        let kept = FirstKept { number: 7, sequence: Sequence(900) };
        let mut bytes = kept.encode();
        assert_eq!(FirstKept::decode(&bytes), Some(kept));
        assert_eq!(FirstKept::decode(&[0; BYTES]), Some(FirstKept::default()));
        assert_eq!(FirstKept::decode(&bytes[..27]), None);
        for at in 0..28 {
            bytes[at] ^= 4;
            assert_eq!(FirstKept::decode(&bytes), None, "byte {at}");
            bytes[at] ^= 4;
        }
    }
}
