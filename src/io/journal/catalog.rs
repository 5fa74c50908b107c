//! Which segments there are, from their names and first blocks alone.

use std::io::ErrorKind;

use crate::error::{IoError, JournalError};
use crate::io::journal::format::{BLOCK, GroupHeader, NoHeader, SegmentHeader, VERSION};
use crate::io::journal::kept::FirstKept;
use crate::io::journal::names::{segment_name, segment_number};
use crate::io::journal::sequence::Sequence;
use crate::io::storage::Files;

/// A segment, as its first blocks tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// What its header says.
    pub header: SegmentHeader,
    /// How long the file is.
    pub length: u64,
    /// Its first group, once it has one.
    pub first: Option<GroupHeader>,
}

impl Segment {
    /// The name of its file.
    pub fn name(&self) -> String {
        segment_name(self.header.number)
    }
}

/// The segments from the first on, up to where the sequence of their numbers breaks.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// In order, one number after the other.
    pub segments: Vec<Segment>,
    /// The first segment that should be there and is not, if none before those that are there is.
    pub lost: Option<FirstKept>,
    /// Why there are no more that can be used; none if these are all.
    pub broken: Option<Broken>,
}

/// Why a segment cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// Its first block is no header.
    NoHeader(u64),
    /// There is none of this number, and there are later ones.
    Missing(u64),
    /// It belongs to another journal.
    Foreign(u64, u64),
    /// It is of a later version.
    Newer(u64, u32),
}

impl Broken {
    /// As an error, where the record of this sequence should be.
    pub fn error(self, journal: u64, sequence: Sequence) -> JournalError {
        let sequence = sequence.0;
        match self {
            Self::NoHeader(number) => JournalError::Damaged {
                file: segment_name(number),
                offset: 0,
                sequence,
                reason: "its header is not that of this segment",
            },
            Self::Missing(number) => JournalError::Missing { file: segment_name(number), sequence },
            Self::Foreign(number, found) => {
                JournalError::Foreign { file: segment_name(number), found, journal }
            }
            Self::Newer(number, version) => {
                JournalError::Newer { file: segment_name(number), version, known: VERSION }
            }
        }
    }
}

fn is_gone(error: &IoError) -> bool {
    error.cause.kind() == ErrorKind::NotFound
}

impl Catalog {
    /// Reads the first two blocks of every segment.
    ///
    /// # Errors
    /// What the disk said. A segment that cannot be used is none: it is in `broken`.
    pub fn read(files: &mut impl Files) -> Result<Self, JournalError> {
        let all = files.list().map_err(|error| IoError::new("list", "segments", error))?;
        let numbered = |(name, length): &(String, u64)| Some((segment_number(name)?, *length));
        let mut numbers: Vec<(u64, u64)> = all.iter().filter_map(numbered).collect();
        numbers.sort_unstable();
        let mut catalog = Self::default();
        for (number, length) in numbers {
            if catalog.broken.is_none() {
                catalog.add(files, number, length)?;
            }
        }
        catalog.look_for_the_first(files)?;
        Ok(catalog)
    }

    /// Whether there should be segments before the first. Looked up after that was read, since a
    /// writer may remove it meanwhile, and says so before.
    fn look_for_the_first(&mut self, files: &mut impl Files) -> Result<(), JournalError> {
        let Some(kept) = FirstKept::read(files)? else { return Ok(()) };
        let is_there = match self.segments.first() {
            Some(first) => first.header.number <= kept.number,
            None => self.broken.is_some() || kept.number == 0,
        };
        self.lost = (!is_there).then_some(kept);
        Ok(())
    }

    /// Takes in what a writer has added since: the beginnings of segments, and more segments.
    ///
    /// # Errors
    /// What the disk said.
    pub fn extend(&mut self, files: &mut impl Files) -> Result<(), JournalError> {
        if self.segments.is_empty() && self.broken.is_none() {
            *self = Self::read(files)?;
            return Ok(());
        }
        // A later segment's beginning may be written before an earlier one's.
        let is_begun = |segment: &Segment| segment.first.is_some();
        let begun = self.segments.iter().take_while(|segment| is_begun(segment)).count();
        for segment in self.segments.split_off(begun) {
            if self.broken.is_none() {
                self.add(files, segment.header.number, segment.length)?;
            }
        }
        while let Some(last) = self.segments.last()
            && self.broken.is_none()
        {
            let (number, length) = (last.header.number + 1, last.header.bytes);
            match files.read_at(&segment_name(number), 0, &mut [0]) {
                Err(error) if error.kind() == ErrorKind::NotFound => break,
                _ => self.add(files, number, length)?,
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        files: &mut impl Files,
        number: u64,
        length: u64,
    ) -> Result<(), JournalError> {
        match self.next(files, number, length) {
            Ok(Ok(segment)) => self.segments.push(segment),
            Ok(Err(broken)) => self.broken = Some(broken),
            // Retention has removed it since it was listed.
            Err(JournalError::Io(error)) if is_gone(&error) && self.segments.is_empty() => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn next(
        &self,
        files: &mut impl Files,
        number: u64,
        length: u64,
    ) -> Result<Result<Segment, Broken>, JournalError> {
        let last = self.segments.last().map(|last| last.header);
        if let Some(missing) = last.map(|last| last.number + 1).filter(|next| *next != number) {
            return Ok(Err(Broken::Missing(missing)));
        }
        let name = segment_name(number);
        let mut start = [0; 2 * BLOCK];
        let read = files
            .read_at(&name, 0, &mut start)
            .map_err(|error| IoError::new("read", &name, error))?;
        let header = match SegmentHeader::decode(start.get(..BLOCK.min(read)).unwrap_or(&[])) {
            Ok(header) if header.number == number => header,
            Ok(_) | Err(NoHeader::Damaged) => return Ok(Err(Broken::NoHeader(number))),
            Err(NoHeader::Newer(version)) => return Ok(Err(Broken::Newer(number, version))),
        };
        if last.is_some_and(|last| last.journal != header.journal) {
            return Ok(Err(Broken::Foreign(number, header.journal)));
        }
        let group = start.get(BLOCK..read).unwrap_or(&[]);
        let first = GroupHeader::decode(group, header.salt, BLOCK as u64);
        Ok(Ok(Segment { header, length, first }))
    }

    /// The journal's id, if there is a segment.
    pub fn journal(&self) -> Option<u64> {
        self.segments.first().map(|segment| segment.header.journal)
    }

    /// The last segment that begins at or before what `is_before` looks for; the first if none.
    pub fn last_begun(&self, is_before: impl Fn(&GroupHeader) -> bool) -> usize {
        let fits = |segment: &Segment| segment.first.as_ref().is_some_and(&is_before);
        self.segments.iter().rposition(fits).unwrap_or(0)
    }
}
