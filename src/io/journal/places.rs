//! The segments of a journal that is being written: the one that groups go into, the next, which is
//! made ahead of need, and the old ones, which retention removes.

use std::collections::VecDeque;

use crate::io::journal::catalog::Segment;
use crate::io::journal::format::{BLOCK, GROUP_HEADER, SegmentHeader};
use crate::io::journal::sequence::Sequence;
use crate::io::journal::settings::Settings;
use crate::time::{Timestamp, nanos};

/// A segment with records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its number.
    pub number: u64,
    /// The sequence of its first record.
    pub first: Sequence,
    /// When its first group was written.
    pub begun: Timestamp,
    /// How long it is.
    pub bytes: u64,
}

/// Whether the next segment is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// It will be made as soon as this is past.
    Wanted(Timestamp),
    Making(SegmentHeader),
    Ready(SegmentHeader),
}

/// See the module.
#[derive(Debug)]
pub struct Places {
    journal: u64,
    epoch: u64,
    number: u64,
    kept: VecDeque<Kept>,
    bytes: u64,
    current: Option<(SegmentHeader, u64)>,
    next: Next,
    /// Making the next one found no room.
    is_full: bool,
    /// The segment that is being made durable as a whole, and the next one to be.
    syncing: Option<u64>,
    unsynced: u64,
    removing: Option<u64>,
    remove_after: Timestamp,
}

impl Places {
    /// Behind these segments.
    pub fn new(journal: u64, epoch: u64, before: &[Segment], settings: &Settings) -> Self {
        let mut kept = VecDeque::with_capacity(settings.segments_max + 1);
        kept.extend(before.iter().filter_map(|segment| {
            let first = segment.first?;
            let (number, bytes) = (segment.header.number, segment.length);
            Some(Kept { number, first: first.follows(), begun: first.written, bytes })
        }));
        let number = before.last().map_or(0, |last| last.header.number + 1);
        Self {
            journal,
            epoch,
            number,
            bytes: kept.iter().map(|kept| kept.bytes).sum(),
            kept,
            current: None,
            next: Next::Wanted(Timestamp::MIN),
            is_full: false,
            syncing: None,
            unsynced: number,
            removing: None,
            remove_after: Timestamp::MIN,
        }
    }

    /// Where the next group goes and how long it may become, if `frame` bytes of records fit there.
    pub fn place(&self, settings: &Settings, frame: usize) -> Option<(SegmentHeader, u64, usize)> {
        let (header, offset) = self.current?;
        let capacity = (header.bytes - offset).min(settings.slot_bytes as u64) as usize;
        (capacity >= GROUP_HEADER + frame).then_some((header, offset, capacity))
    }

    /// A group of so many bytes was put in its place.
    pub fn took(&mut self, bytes: usize) {
        if let Some((_, offset)) = &mut self.current {
            *offset += bytes as u64;
        }
    }

    /// Goes on to the next segment, if that is ready; it begins with `first`.
    pub fn roll(&mut self, first: Sequence, now: Timestamp) -> bool {
        let Next::Ready(header) = self.next else { return false };
        self.current = Some((header, BLOCK as u64));
        let bytes = header.bytes;
        self.kept.push_back(Kept { number: header.number, first, begun: now, bytes });
        self.bytes += bytes;
        self.number = header.number + 1;
        self.next = Next::Wanted(now);
        true
    }

    /// The header of the segment to be made now, if it is time.
    pub fn next_to_make(&mut self, settings: &Settings, now: Timestamp) -> Option<SegmentHeader> {
        match self.next {
            Next::Wanted(when) if when <= now && self.kept.len() < settings.segments_max => {
                let bytes = settings.segment_bytes;
                let header = SegmentHeader::new(self.journal, self.number, self.epoch, bytes);
                self.next = Next::Making(header);
                Some(header)
            }
            Next::Wanted(when) if when <= now => {
                self.is_full = true;
                None
            }
            _ => None,
        }
    }

    /// The segment that was being made is there.
    pub fn made(&mut self) {
        if let Next::Making(header) = self.next {
            self.next = Next::Ready(header);
        }
        self.is_full = false;
    }

    /// There was no room for the segment that was being made.
    pub fn not_made(&mut self, again: Timestamp) {
        self.next = Next::Wanted(again);
        self.is_full = true;
    }

    /// Whether there was no room for the next segment.
    pub fn is_full(&self) -> bool {
        self.is_full
    }

    /// Whether the next segment is being made.
    pub fn is_busy(&self) -> bool {
        let is_making = matches!(self.next, Next::Making(_));
        is_making || self.syncing.is_some() || self.removing.is_some()
    }

    /// The number of the next segment, if its file may be there, and the one that is written with
    /// how much of it is used.
    pub fn ends(&self) -> (Option<u64>, Option<(u64, u64)>) {
        let next = match self.next {
            Next::Wanted(_) => None,
            Next::Making(header) | Next::Ready(header) => Some(header.number),
        };
        (next, self.current.map(|(header, offset)| (header.number, offset)))
    }

    /// The number of a segment to be made durable: the oldest that is not, once it is full and all
    /// of it is written.
    pub fn next_to_sync(&mut self, written: Sequence) -> Option<u64> {
        if self.syncing.is_some() || written < self.end_of(self.unsynced)? {
            return None;
        }
        self.syncing = Some(self.unsynced);
        self.syncing
    }

    /// The segment that was being made durable is: with it, everything before the sequence
    /// returned.
    pub fn synced(&mut self) -> Option<Sequence> {
        let segment = self.syncing.take()?;
        let end = self.end_of(segment);
        self.unsynced += 1;
        end
    }

    /// The sequence behind the last record of a segment that is full.
    fn end_of(&self, number: u64) -> Option<Sequence> {
        let front = self.kept.front()?.number;
        let next = self.kept.get((number + 1).checked_sub(front)? as usize)?;
        Some(next.first)
    }

    /// The number of a segment that retention takes out now: none with a record from `hold` on, and
    /// none before the beginning of the next is durable, which alone knows how far the journal was.
    pub fn next_to_remove(
        &mut self,
        settings: &Settings,
        hold: Option<Sequence>,
        durable: Sequence,
        now: Timestamp,
    ) -> Option<u64> {
        if self.removing.is_some() || now < self.remove_after {
            return None;
        }
        let (oldest, second) = (self.kept.front()?, self.kept.get(1)?);
        let is_long = settings.bytes_max.is_some_and(|most| self.bytes > most);
        let is_old =
            settings.age_max.is_some_and(|most| now.0.saturating_sub(second.begun.0) > nanos(most));
        let is_held = hold.is_some_and(|hold| second.first > hold);
        if is_held || second.first >= durable || !(is_long || is_old) {
            return None;
        }
        self.removing = Some(oldest.number);
        self.removing
    }

    /// The segment that was being removed is gone.
    pub fn removed(&mut self) {
        self.removing = None;
        if let Some(gone) = self.kept.pop_front() {
            self.bytes -= gone.bytes;
        }
    }

    /// The segment that was being removed is not gone.
    pub fn not_removed(&mut self, again: Timestamp) {
        self.removing = None;
        self.remove_after = again;
    }

    /// The sequence of the first record that is kept, and how many segments and bytes there are.
    pub fn kept(&self) -> (Option<Sequence>, usize, u64) {
        (self.kept.front().map(|kept| kept.first), self.kept.len(), self.bytes)
    }
}

/// What is asked of segments now and then.
impl Places {
    /// The numbers of the segments with records.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.kept.iter().map(|kept| kept.number)
    }

    /// How many records of `frame` bytes surely fit into `slots` groups, behind `unused` bytes of a
    /// group that is being filled.
    pub fn room(&self, settings: &Settings, unused: usize, slots: usize, frame: usize) -> usize {
        let next = match self.next {
            Next::Ready(header) => header.bytes - BLOCK as u64,
            Next::Wanted(_) | Next::Making(_) => 0,
        };
        let here = self.current.map_or(0, |(header, offset)| header.bytes - offset);
        let mut left = [here.saturating_sub(unused as u64), next];
        let mut records = 0;
        for _ in 0..slots {
            let fits = |left: &u64| *left >= (GROUP_HEADER + frame) as u64;
            let Some(segment) = left.iter_mut().find(|left| fits(left)) else { break };
            let group = (*segment).min(settings.slot_bytes as u64);
            records += (group as usize - GROUP_HEADER) / frame;
            *segment -= group;
        }
        records
    }
}
