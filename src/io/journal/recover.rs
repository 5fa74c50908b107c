//! Where a journal goes on after its last writer ended, however that was.

use std::io;

use crate::error::{IoError, JournalError};
use crate::io::journal::catalog::{Catalog, Segment};
use crate::io::journal::format::BLOCK;
use crate::io::journal::kept::FirstKept;
use crate::io::journal::names::{remove_leftovers, segment_name};
use crate::io::journal::sequence::Sequence;
use crate::io::journal::walk::{End, Walk, latest};
use crate::io::storage::Files;
use crate::time::Timestamp;

/// What a journal holds when it is opened for writing.
#[derive(Debug)]
pub struct Recovered {
    /// The journal's id; none if there is no journal yet.
    pub journal: Option<u64>,
    /// How often it has been opened for writing.
    pub epoch: u64,
    /// The sequence of the next record.
    pub next: Sequence,
    /// The latest timestamp of all records.
    pub latest: Timestamp,
    /// How it ended.
    pub end: End,
    /// The segments that it goes on after.
    pub segments: Vec<Segment>,
}

impl Recovered {
    /// The number of the next segment.
    pub fn next_segment(&self) -> u64 {
        self.segments.last().map_or(0, |last| last.header.number + 1)
    }
}

/// Finds the end of a journal, cuts off what is torn and makes the rest durable: whoever opened it
/// has read it, so it must not go away again.
///
/// Read is only what no segment's beginning says had been durable: mostly the last one or two,
/// since what is in flight at any one time fits into half of one. A [`Reader`](super::Reader)
/// checks it all.
///
/// # Errors
/// Damage, missing and foreign segments, a later version, what the disk said. Nothing is changed
/// then.
pub fn recover(files: &mut impl Files) -> Result<Recovered, JournalError> {
    let catalog = Catalog::read(files)?;
    let journal = catalog.journal();
    let epoch = catalog.segments.iter().map(|it| it.header.epoch).max().unwrap_or(0);
    let firsts = catalog.segments.iter().filter_map(|segment| segment.first);
    let proven = firsts.map(|first| first.durable).max().unwrap_or_default();
    let start = catalog.last_begun(|first| first.follows() <= proven);
    let mut walk = Walk::new(catalog, start);
    let mut tail = Tail { latest: Timestamp::MIN, segment: None, end: BLOCK as u64 };
    while let Some(found) = walk.next(files)? {
        tail.latest = latest(walk.bytes(), &found);
        tail.segment = Some(found.segment);
        tail.end = found.offset + found.header.span() as u64;
    }
    let (next, end) = (walk.expected(), walk.end(files)?);
    let tear = match end {
        End::Torn { segment, offset, .. } if Some(segment) == tail.segment => Some(offset),
        _ => None,
    };
    tail.end = tear.map_or(tail.end, |at| at.next_multiple_of(BLOCK as u64)).min(tail.end);
    let mut segments = walk.catalog().segments.clone();
    cut(files, &mut segments, &tail)
        .map_err(|error| IoError::new("cut off the end of", "the journal", error))?;
    Ok(Recovered { journal, epoch, next, latest: tail.latest, end, segments })
}

/// Where the records end.
struct Tail {
    latest: Timestamp,
    segment: Option<u64>,
    end: u64,
}

/// Removes the segments behind the end, the last first, so that none is ever missing; cuts the last
/// one that is left and makes what is kept durable.
fn cut(files: &mut impl Files, segments: &mut Vec<Segment>, tail: &Tail) -> io::Result<()> {
    while let Some(last) = segments.last()
        && tail.segment.is_none_or(|segment| last.header.number > segment)
    {
        files.remove(&segment_name(last.header.number))?;
        files.sync_directory()?;
        segments.pop();
    }
    let first = segments.first().map_or(FirstKept::default(), |first| FirstKept {
        number: first.header.number,
        sequence: first.first.map_or(Sequence(0), |group| group.follows()),
    });
    first.begin(files)?;
    remove_leftovers(files)?;
    let before = segments.len().saturating_sub(1);
    for kept in segments.iter().take(before) {
        files.sync(&kept.name())?;
    }
    let Some(last) = segments.last_mut() else { return Ok(()) };
    if last.length > tail.end {
        files.truncate(&last.name(), tail.end)?;
        last.length = tail.end;
    }
    files.sync(&last.name())
}
