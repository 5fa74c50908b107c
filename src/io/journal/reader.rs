//! Reading a journal: all of it, from a sequence or a time on, or behind a writer.

use crate::error::{JournalError, Result};
use crate::io::journal::catalog::Catalog;
use crate::io::journal::format::{GROUP_HEADER, GroupHeader, decode_record};
use crate::io::journal::sequence::Sequence;
use crate::io::journal::walk::{End, Found, Walk};
use crate::io::storage::Files;
use crate::time::Timestamp;

/// A record in a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Its number.
    pub sequence: Sequence,
    /// Its timestamp.
    pub at: Timestamp,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// Reads the records of a journal in order, each checked.
///
/// There is no index beside the records that could disagree with them: every segment begins with
/// the sequence and the latest time before it, and every group says how long it is, so that a
/// search reads some bytes of each segment and then of each group of one segment.
///
/// Reading takes no lock and changes nothing. It may block.
pub struct Reader<F> {
    files: F,
    walk: Walk,
    /// The group that is being read, how many of its records have been, and where the next one is.
    group: Option<(Found, u32, usize)>,
    /// Only what later groups say was durable.
    follows: bool,
}

impl<F: Files> Reader<F> {
    /// At the first record that there is.
    ///
    /// # Errors
    /// What the disk said; a first segment that cannot be used.
    pub fn open(mut files: F) -> Result<Self, JournalError> {
        let catalog = Catalog::read(&mut files)?;
        match catalog.broken {
            Some(broken) if catalog.segments.is_empty() => Err(broken.error(0, Sequence(0))),
            _ => Ok(Self { files, walk: Walk::new(catalog, 0), group: None, follows: false }),
        }
    }

    /// Gives a record only once a later write says that it is durable: for reading behind a writer
    /// in another process, which may yet lose what is not.
    pub fn follow(mut self) -> Self {
        self.follows = true;
        self
    }

    /// What is known of the segments.
    pub fn catalog(&self) -> &Catalog {
        self.walk.catalog()
    }

    /// Goes to the record of this sequence, or behind the last.
    ///
    /// # Errors
    /// If it is not there: retention has removed it, or it is yet to be written.
    pub fn seek(&mut self, sequence: Sequence) -> Result<(), JournalError> {
        self.walk.extend(&mut self.files)?;
        let catalog = self.walk.catalog().clone();
        let at = catalog.last_begun(|first| first.follows() <= sequence);
        self.restart(catalog, at);
        let first = self.walk.expected();
        while self.walk.expected() < sequence || first > sequence {
            let Some(found) = self.enter()? else {
                let (wanted, end) = (sequence.0, self.walk.expected().0);
                return Err(JournalError::Gone { wanted, first: first.0, end });
            };
            if first <= sequence && found.end() > sequence {
                self.skip_to(sequence);
                return Ok(());
            }
            self.group = None;
        }
        Ok(())
    }

    /// Goes to the first record with this timestamp or a later one, or behind the last record.
    ///
    /// # Errors
    /// Damage on the way; what the disk said.
    pub fn seek_time(&mut self, at: Timestamp) -> Result<(), JournalError> {
        self.walk.extend(&mut self.files)?;
        let catalog = self.walk.catalog().clone();
        let segment = catalog.last_begun(|first| first.latest < at);
        self.restart(catalog, segment);
        while self.enter()?.is_some() {
            while let Some((found, read, place)) = self.group {
                let entry = decode(self.walk.bytes(), &found, read, place);
                match entry.filter(|_| read < found.whole) {
                    Some((entry, _)) if entry.at >= at => return Ok(()),
                    Some((_, frame)) => self.group = Some((found, read + 1, place + frame)),
                    None => self.group = None,
                }
            }
        }
        Ok(())
    }

    fn restart(&mut self, catalog: Catalog, at: usize) {
        self.walk = Walk::new(catalog, at);
        self.group = None;
    }

    fn skip_to(&mut self, sequence: Sequence) {
        while let Some((found, read, place)) = self.group
            && found.header.first.plus(read.into()) < sequence
        {
            let entry = decode(self.walk.bytes(), &found, read, place);
            self.group = entry.map(|(_, frame)| (found, read + 1, place + frame));
        }
    }

    /// The group that is being read, or else the next one.
    fn enter(&mut self) -> Result<Option<Found>, JournalError> {
        if self.group.is_none() {
            // What is still being written must not be looked at: it would seem to be torn.
            if self.follows && !self.walk.is_next_proven(&mut self.files)? {
                return Ok(None);
            }
            let found = self.walk.next(&mut self.files)?;
            self.group = found.map(|found| (found, 0, GROUP_HEADER));
        }
        Ok(self.group.map(|(found, _, _)| found))
    }

    /// The next record, or none at the end; [`end`](Self::end) says what kind of end it is. Behind
    /// a writer there may be more later.
    ///
    /// # Errors
    /// What the disk said.
    pub fn read(&mut self) -> Result<Option<Entry<'_>>, JournalError> {
        loop {
            let Some(found) = self.enter()? else {
                self.walk.extend(&mut self.files)?;
                if self.enter()?.is_none() {
                    return Ok(None);
                }
                continue;
            };
            let Some((_, read, place)) = self.group else { return Ok(None) };
            if read == found.whole {
                self.group = None;
                continue;
            }
            let entry = decode(self.walk.bytes(), &found, read, place);
            let Some((entry, frame)) = entry else { return Ok(None) };
            self.group = Some((found, read + 1, place + frame));
            return Ok(Some(entry));
        }
    }

    /// The sequence that comes next.
    pub fn position(&self) -> Sequence {
        match self.group {
            Some((found, read, _)) => found.header.first.plus(read.into()),
            None => self.walk.expected(),
        }
    }

    /// The header of the group that is being read.
    pub fn group(&self) -> Option<GroupHeader> {
        self.group.map(|(found, _, _)| found.header)
    }

    /// Whether there is more behind this place, so that whoever stays here has met damage, or a
    /// writer that has just gone on to another segment.
    pub fn should_go_on(&self) -> bool {
        self.walk.is_broken() || self.walk.is_left_behind()
    }

    /// What kind of end [`read`](Self::read) has come to.
    ///
    /// # Errors
    /// Damage, if a later group says that what should come next was durable; a segment that is
    /// missing or cannot be used; what the disk said. Behind a writer that is at work, what it is
    /// writing is neither torn nor damaged.
    pub fn end(&mut self) -> Result<End, JournalError> {
        let end = self.walk.end(&mut self.files);
        let is_at_work = match &end {
            Ok(end) => matches!(end, End::Torn { .. }),
            // It may have been written since it was looked for.
            Err(JournalError::Damaged { .. }) if !self.walk.is_broken() => {
                self.walk.is_next_proven(&mut self.files)?
            }
            Err(_) => false,
        };
        if self.follows && is_at_work { Ok(End::Open) } else { end }
    }
}

fn decode<'a>(
    group: &'a [u8],
    found: &Found,
    read: u32,
    place: usize,
) -> Option<(Entry<'a>, usize)> {
    let sequence = found.header.first.plus(read.into());
    let (at, bytes, frame) = decode_record(group.get(place..)?, found.salt, sequence)?;
    Some((Entry { sequence, at, bytes }, frame))
}
