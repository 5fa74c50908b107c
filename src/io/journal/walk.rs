//! From group to group, checking everything, and telling at the end what kind of end it is.

use crate::error::{IoError, JournalError};
use crate::io::journal::catalog::{Broken, Catalog, Segment};
use crate::io::journal::format::{BLOCK, GROUP_HEADER, GroupHeader, decode_record};
use crate::io::journal::kept::FirstKept;
use crate::io::journal::sequence::Sequence;
use crate::io::storage::Files;
use crate::time::Timestamp;

const DAMAGED: &str = "it had been durable, and is not what was written";

/// How much is read at once to look for groups behind an end.
const LOOK: usize = 64 * BLOCK;

/// Where the records end, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The journal was closed.
    Closed,
    /// Nothing was being written when the writer ended, or it is writing now.
    Open,
    /// The writer ended while it was writing: what follows was never durable, and is not whole.
    Torn {
        /// The segment's number.
        segment: u64,
        /// The first byte that is not what it should be.
        offset: u64,
        /// Whole groups behind it that cannot be used without what is torn.
        groups: u64,
    },
}

/// A group whose records have been checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its segment's number.
    pub segment: u64,
    /// Where in the segment it is.
    pub offset: u64,
    /// What it says of itself.
    pub header: GroupHeader,
    /// How many of its records are whole, from the first on.
    pub whole: u32,
    /// What its check sums are seeded by.
    pub salt: u64,
}

impl Found {
    /// The sequence behind its last whole record.
    pub fn end(&self) -> Sequence {
        self.header.first.plus(self.whole.into())
    }
}

/// A walk over the groups of a journal.
pub struct Walk {
    catalog: Catalog,
    /// The segment that it is in.
    at: usize,
    offset: u64,
    expected: Option<Sequence>,
    /// The byte where the group before was broken.
    broken: Option<u64>,
    /// Everything before it is durable, as far as what was read says.
    proven: Sequence,
    closed: bool,
    buffer: Vec<u8>,
    /// The segment that was read last, and its name.
    name: (u64, String),
}

impl Walk {
    /// A walk from the beginning of a segment of the catalog on.
    pub fn new(catalog: Catalog, at: usize) -> Self {
        let expected = catalog.segments.get(at).and_then(|it| it.first).map(|it| it.follows());
        Self {
            catalog,
            at,
            offset: BLOCK as u64,
            expected,
            broken: None,
            proven: Sequence(0),
            closed: false,
            buffer: Vec::new(),
            name: (u64::MAX, String::new()),
        }
    }

    /// The segments that it walks over.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// The sequence that comes next.
    pub fn expected(&self) -> Sequence {
        self.expected.unwrap_or_default()
    }

    /// Takes in what a writer has added since.
    ///
    /// # Errors
    /// What the disk said.
    pub fn extend(&mut self, files: &mut impl Files) -> Result<(), JournalError> {
        self.catalog.extend(files)?;
        if self.expected.is_none() {
            let first = self.catalog.segments.get(self.at).and_then(|segment| segment.first);
            self.expected = first.map(|first| first.follows());
        }
        Ok(())
    }

    /// Whether there is a next group and a later one says that it was durable: then it is whole, or
    /// damaged, and not being written.
    ///
    /// # Errors
    /// What the disk said.
    pub fn is_next_proven(&mut self, files: &mut impl Files) -> Result<bool, JournalError> {
        let (mut at, mut offset, mut next) = (self.at, self.offset, self.expected);
        if self.is_of_the_past() {
            return Ok(true);
        }
        let mut end = None;
        while end.is_none_or(|end| self.proven < end) {
            let Some(segment) = self.catalog.segments.get(at).copied() else { return Ok(false) };
            match self.header_at(files, &segment, offset)? {
                Some(header) if next.is_none_or(|next| header.follows() == next) => {
                    self.proven = self.proven.max(header.durable);
                    end.get_or_insert(header.end());
                    (offset, next) = (offset + header.span() as u64, Some(header.end()));
                }
                _ if at == self.at => (at, offset) = (at + 1, BLOCK as u64),
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Whether the journal has been opened again since this segment: recovery made durable what it
    /// left, and nobody writes it any more.
    fn is_of_the_past(&self) -> bool {
        let mut later = self.catalog.segments.iter().skip(self.at);
        let epoch = later.next().map(|segment| segment.header.epoch);
        later.any(|later| Some(later.header.epoch) != epoch && later.first.is_some())
    }

    /// Whether a later segment has been begun.
    pub fn is_left_behind(&self) -> bool {
        self.catalog.segments.iter().skip(self.at + 1).any(|later| later.first.is_some())
    }

    /// Whether the group before is not whole.
    pub fn is_broken(&self) -> bool {
        self.broken.is_some()
    }

    /// The group that [`next`](Self::next) found, header and records.
    pub fn bytes(&self) -> &[u8] {
        &self.buffer
    }

    /// The next group, or none at the end. A group that is torn is given with its whole records.
    ///
    /// # Errors
    /// What the disk said.
    pub fn next(&mut self, files: &mut impl Files) -> Result<Option<Found>, JournalError> {
        loop {
            let Some(segment) = self.catalog.segments.get(self.at).copied() else {
                return Ok(None);
            };
            if self.broken.is_none()
                && let Some(header) = self.header_at(files, &segment, self.offset)?
                && self.expected.is_none_or(|expected| header.follows() == expected)
            {
                return self.enter(files, &segment, header).map(Some);
            }
            if !self.goes_on_behind(&segment) {
                return Ok(None);
            }
            (self.at, self.offset, self.broken) = (self.at + 1, BLOCK as u64, None);
        }
    }

    /// Whether the next segment goes on where this one has ended. It does behind a torn tail too,
    /// if the journal was opened again, which makes another epoch.
    fn goes_on_behind(&self, segment: &Segment) -> bool {
        let Some(next) = self.catalog.segments.get(self.at + 1) else { return false };
        let follows = next.first.map(|first| first.follows());
        let may_be_torn = next.header.epoch != segment.header.epoch;
        (self.broken.is_none() || may_be_torn) && follows.is_some() && follows == self.expected
    }

    /// Reads a group and checks its records.
    fn enter(
        &mut self,
        files: &mut impl Files,
        segment: &Segment,
        header: GroupHeader,
    ) -> Result<Found, JournalError> {
        let (offset, salt) = (self.offset, segment.header.salt);
        self.buffer.resize(header.span(), 0);
        let read = read(files, &mut self.name, segment, offset, &mut self.buffer)?;
        self.buffer.truncate(read);
        let (whole, bad) = check(&self.buffer, &header, salt);
        self.broken = bad.map(|at| offset + at as u64);
        self.offset += header.span() as u64;
        self.proven = self.proven.max(header.durable);
        self.closed = header.closed;
        let found = Found { segment: segment.header.number, offset, header, whole, salt };
        self.expected = Some(found.end());
        Ok(found)
    }

    fn header_at(
        &mut self,
        files: &mut impl Files,
        segment: &Segment,
        offset: u64,
    ) -> Result<Option<GroupHeader>, JournalError> {
        let mut bytes = [0; GROUP_HEADER];
        let read = read(files, &mut self.name, segment, offset, &mut bytes)?;
        Ok(GroupHeader::decode(bytes.get(..read).unwrap_or(&[]), segment.header.salt, offset))
    }

    /// What kind of end [`next`](Self::next) has come to, from what lies behind it.
    ///
    /// # Errors
    /// Damage, if a later group says that what should be here was durable; a segment that is not
    /// there or cannot be used; what the disk said.
    pub fn end(&mut self, files: &mut impl Files) -> Result<End, JournalError> {
        if let Some(FirstKept { number, sequence }) = self.catalog.lost {
            return Err(Broken::Missing(number).error(0, sequence));
        }
        let journal = self.catalog.journal().unwrap_or(0);
        let Some(segment) = self.catalog.segments.get(self.at).copied() else {
            return match self.catalog.broken {
                Some(broken) => Err(broken.error(journal, self.expected())),
                None => Ok(End::Closed),
            };
        };
        let offset = self.broken.unwrap_or(self.offset);
        let rest = self.broken.map_or(self.offset, |at| at.next_multiple_of(BLOCK as u64));
        let (mut groups, mut here) = (0, 0);
        for at in self.at..self.catalog.segments.len() {
            let from = if at == self.at { rest } else { BLOCK as u64 };
            groups += self.look(files, at, from)?;
            here = if at == self.at { groups } else { here };
            if self.proven > self.expected() {
                // With nothing behind this segment's end, it is the next one's beginning.
                let next = self.catalog.segments.get(self.at + 1);
                let is_end = here == 0 && self.broken.is_none();
                let next = next.filter(|next| next.first.is_none() && is_end);
                let place = next.map(|next| (next.name(), BLOCK as u64));
                let (file, offset) = place.unwrap_or((segment.name(), offset));
                let (sequence, reason) = (self.expected().0, DAMAGED);
                return Err(JournalError::Damaged { file, offset, sequence, reason });
            }
        }
        if let Some(broken) = self.catalog.broken {
            return Err(broken.error(journal, self.expected()));
        }
        let torn = End::Torn { segment: segment.header.number, offset, groups };
        if self.broken.is_some() || groups > 0 || self.has_more(&segment, offset) {
            return Ok(torn);
        }
        Ok(if self.closed { End::Closed } else { End::Open })
    }

    /// Whether a file that was cut off at its end has something behind it.
    fn has_more(&self, segment: &Segment, offset: u64) -> bool {
        segment.length != segment.header.bytes && segment.length > offset
    }

    /// Counts the whole groups of a segment from an offset on, up to one that proves something of
    /// what is expected durable.
    fn look(&mut self, files: &mut impl Files, at: usize, from: u64) -> Result<u64, JournalError> {
        let Some(segment) = self.catalog.segments.get(at).copied() else { return Ok(0) };
        let (mut groups, mut offset) = (0, from);
        let mut buffer = vec![0; LOOK];
        while offset < segment.length {
            let read = read(files, &mut self.name, &segment, offset, &mut buffer)?;
            for block in buffer[..read].chunks(BLOCK) {
                if let Some(header) = GroupHeader::decode(block, segment.header.salt, offset) {
                    groups += 1;
                    self.proven = self.proven.max(header.durable);
                    if self.proven > self.expected() {
                        return Ok(groups);
                    }
                }
                offset += BLOCK as u64;
            }
            if read < LOOK {
                break;
            }
        }
        Ok(groups)
    }
}

/// Reads from a segment; `name` is that of the one read before, which is mostly the same.
fn read(
    files: &mut impl Files,
    name: &mut (u64, String),
    segment: &Segment,
    offset: u64,
    into: &mut [u8],
) -> Result<usize, JournalError> {
    if name.0 != segment.header.number {
        *name = (segment.header.number, segment.name());
    }
    let failed = |error| IoError::new("read", name.1.as_str(), error).into();
    files.read_at(&name.1, offset, into).map_err(failed)
}

/// How many records of a group are whole, and the first byte that is not as it should be.
fn check(group: &[u8], header: &GroupHeader, salt: u64) -> (u32, Option<usize>) {
    let mut at = GROUP_HEADER;
    let end = GROUP_HEADER + header.bytes;
    for index in 0..header.records {
        let rest = group.get(at..end.min(group.len())).unwrap_or(&[]);
        match decode_record(rest, salt, header.first.plus(index.into())) {
            Some((_, _, frame)) => at += frame,
            None => return (index, Some(at)),
        }
    }
    let zeros = group.get(at..).unwrap_or(&[]);
    let is_whole = at == end && group.len() == header.span();
    match zeros.iter().position(|byte| *byte != 0) {
        Some(more) => (header.records, Some(at + more)),
        None => (header.records, (!is_whole).then_some(at)),
    }
}

/// The latest timestamp of the whole records of a group and of all before it.
pub fn latest(group: &[u8], found: &Found) -> Timestamp {
    let mut latest = found.header.latest;
    each(group, found, |_, at, _| latest = latest.max(at));
    latest
}

/// Calls `take` with each whole record of a group.
pub fn each(group: &[u8], found: &Found, mut take: impl FnMut(Sequence, Timestamp, &[u8])) {
    let mut rest = group.get(GROUP_HEADER..).unwrap_or(&[]);
    for index in 0..found.whole {
        let sequence = found.header.first.plus(index.into());
        let Some((at, bytes, frame)) = decode_record(rest, found.salt, sequence) else { return };
        take(sequence, at, bytes);
        rest = &rest[frame..];
    }
}
