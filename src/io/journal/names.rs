//! The names of a journal's files, and the steps by which a segment comes and goes.
//!
//! A segment gets its name only when its header is durable. So a file with a segment's name and no
//! header is damaged, and no crash leaves one.

use std::io;

use crate::io::journal::format::SegmentHeader;
use crate::io::journal::kept::FirstKept;
use crate::io::storage::Files;

/// The file that whoever writes the journal holds locked.
pub const LOCK: &str = "lock";

/// A segment on its way in: not part of the journal.
pub const MAKING: &str = "next.making";

/// A segment that retention took out, kept to be written over: its blocks have all been written,
/// so that a new one need not be filled with zeros.
const SPARE: &str = "spare.making";

const SUFFIX: &str = ".segment";

/// The name of a segment.
pub fn segment_name(number: u64) -> String {
    format!("{number:012}{SUFFIX}")
}

/// The number of a segment, if it is the name of one.
pub fn segment_number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(SUFFIX)?;
    let is_number = digits.len() >= 12 && digits.bytes().all(|digit| digit.is_ascii_digit());
    let number = is_number.then(|| digits.parse().ok())??;
    (segment_name(number) == name).then_some(number)
}

/// Makes a segment: all of it written, its header and its name durable. `spare` says whether
/// [`remove_segment`] left a file of the same length; it is used up.
///
/// # Errors
/// What the disk said; the journal is then as it was.
pub fn make_segment(
    files: &mut impl Files,
    header: &SegmentHeader,
    spare: &mut Option<u64>,
) -> io::Result<()> {
    if spare.take() == Some(header.bytes) {
        files.rename(SPARE, MAKING)?;
    } else if let Err(error) = files.create(MAKING, header.bytes) {
        // Half a file takes room, and the disk may be full.
        let _ = files.remove(MAKING);
        return Err(error);
    }
    files.write_at(MAKING, 0, &header.encode())?;
    files.sync(MAKING)?;
    files.rename(MAKING, &segment_name(header.number))?;
    files.sync_directory()
}

/// Takes the first segment out, and writes that down first. If `keep` says how long it is, its file
/// is kept as the spare.
///
/// # Errors
/// What the disk said.
pub fn remove_segment(
    files: &mut impl Files,
    number: u64,
    keep: Option<u64>,
    spare: &mut Option<u64>,
) -> io::Result<()> {
    FirstKept::pass(files, number)?;
    let name = segment_name(number);
    if keep.is_some() && spare.is_none() {
        files.rename(&name, SPARE)?;
        *spare = keep;
    } else {
        files.remove(&name)?;
    }
    // Before the file may be written over: it must not come back under its old name.
    files.sync_directory()
}

/// Removes what a crash may have left of segments on their way in or out.
///
/// # Errors
/// What the disk said.
pub fn remove_leftovers(files: &mut impl Files) -> io::Result<()> {
    for (name, _) in files.list()? {
        if name == MAKING || name == SPARE {
            files.remove(&name)?;
        }
    }
    files.sync_directory()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_numbers() {
        for number in [0, 7, 999_999_999_999, 1_000_000_000_000, u64::MAX] {
            assert_eq!(segment_number(&segment_name(number)), Some(number));
        }
        for name in ["7.segment", "00000000000a.segment", "0000000000007.segment", LOCK, SPARE] {
            assert_eq!(segment_number(name), None, "{name}");
        }
    }
}
