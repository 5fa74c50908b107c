//! The records of a piece of time.

use serde::{Deserialize, Serialize};

use crate::dataflow::Record;
use crate::memory::{Blocks, prefetch};
use crate::state::{Cursor, EachBulk, Key, NONE, Stored, TOGETHER, Table};
use crate::time::Timestamp;

/// The stretches of no record.
const NO_STRETCH: (i64, i64) = (i64::MAX, i64::MIN);

/// A record that is kept.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Entry<T> {
    pub at: Timestamp,
    pub value: T,
    /// Whether a partner has come.
    pub matched: bool,
    /// The next of the same key and stretch of time, in order of arrival.
    pub next: u32,
}

/// The records of one key in one stretch of time.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Run {
    first: u32,
    last: u32,
}

impl Default for Run {
    fn default() -> Self {
        Self { first: NONE, last: NONE }
    }
}

/// The records of some stretches of time: an arena, and a table of their runs.
#[derive(Serialize, Deserialize)]
#[serde(bound = "K: Key, T: Copy + Stored")]
pub struct Pane<K: Key, T> {
    /// The first stretch that belongs here.
    pub start: i64,
    /// The stretch that the table counts from: so that panes of the same keys have tables of the
    /// same shape, and the memory of one is right for the next.
    origin: i64,
    /// The first and the last stretch that have a record here.
    stretches: (i64, i64),
    /// The time of the last record.
    last: Timestamp,
    runs: Table<(K, i64), Run>,
    entries: Blocks<Entry<T>>,
}

impl<K: Key, T: Copy> Pane<K, T> {
    /// Shows its records and the table of their runs.
    pub fn bulk(&mut self, each: &mut EachBulk<'_>)
    where
        T: Stored,
    {
        each(&mut self.runs);
        each(&mut self.entries);
    }

    /// Holds nothing.
    pub fn new(seed: u64) -> Self {
        let (runs, entries) = (Table::new(seed), Blocks::new());
        let (start, last) = (i64::MIN, Timestamp::MIN);
        Self { start, origin: 0, stretches: NO_STRETCH, last, runs, entries }
    }

    /// Begins at `start`; the record it is opened for belongs to `stretch`.
    pub fn open(&mut self, start: i64, stretch: i64) {
        (self.start, self.origin) = (start, stretch);
    }

    /// How many records it holds.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether a stretch should have a pane of its own: it is later than all here, of which there
    /// are many, or there is a gap between.
    #[inline]
    pub fn is_over(&self, stretch: i64, many: usize, gap: u64) -> bool {
        let last = self.stretches.1;
        let is_later = stretch > last && self.len() > 0;
        is_later && (self.len() >= many || stretch.abs_diff(last) > gap)
    }

    /// Whether a stretch is so long before all here that it should have a pane of its own: what is
    /// far ahead must not keep what comes before it.
    #[inline]
    pub fn is_ahead(&self, stretch: i64, gap: u64) -> bool {
        let first = self.stretches.0;
        stretch < first && self.len() > 0 && first.abs_diff(stretch) > gap
    }

    /// Leaves to another pane what comes before all here.
    pub fn begin_later(&mut self) {
        self.start = self.stretches.0;
    }

    /// Whether all its records are at `past` or before, and it has any.
    #[inline]
    pub fn is_past(&self, past: Timestamp) -> bool {
        self.last <= past && self.len() > 0
    }

    /// The first and the last stretch that have a record here; the last before the first if none.
    #[inline(always)]
    pub fn stretches(&self) -> (i64, i64) {
        self.stretches
    }

    /// Starts loading what it takes to add to these runs: at most 64 of them.
    #[inline]
    pub fn warm(&self, runs: &mut [(K, i64)]) {
        self.locate(runs);
        self.runs.get_batch(runs, |_, run| {
            if let Some(Run { last, .. }) = run {
                prefetch(self.entry(*last));
            }
        });
    }

    /// Calls `begins` with the place of each of these runs, at most 64 of them, and the number of
    /// the first record of it, or [`NONE`], and starts loading that record.
    #[inline]
    pub fn firsts(&self, runs: &mut [(K, i64)], mut begins: impl FnMut(usize, u32)) {
        self.locate(runs);
        self.runs.get_batch(runs, |place, run| match run {
            Some(Run { first, .. }) => {
                prefetch(self.entry(*first));
                begins(place, *first);
            }
            None => begins(place, NONE),
        });
    }

    /// Makes of stretches what the table has them under.
    #[inline(always)]
    fn locate(&self, runs: &mut [(K, i64)]) {
        runs.iter_mut().for_each(|run| run.1 = run.1.wrapping_sub(self.origin));
    }

    /// Whether so many records, the stretches of which lie between two, all belong here whatever
    /// comes first, so that there is nothing to ask for each.
    #[inline]
    pub fn takes_all(&self, (from, to): (i64, i64), records: usize, many: usize, gap: u64) -> bool {
        let (first, last) = self.stretches;
        let is_near = |one: i64, other: i64| one.abs_diff(other) <= gap;
        let is_later_here = || self.len() + records <= many && is_near(to, last);
        self.len() > 0 && (first <= from || is_near(first, from)) && (to <= last || is_later_here())
    }

    /// Takes records of these runs, at most 64, the last of which is of the time `last`; returns
    /// the number of the first.
    pub fn add_all(
        &mut self,
        runs: &mut [(K, i64)],
        stretches: (i64, i64),
        records: &[Record<T>],
        last: Timestamp,
    ) -> u32 {
        self.locate(runs);
        let entry = |record: &Record<T>| {
            let Record { at, value } = *record;
            Entry { at, value, matched: false, next: NONE }
        };
        let begin = self.entries.extend(records.iter().map(entry)) as u32;
        let (mut before, mut count) = ([NONE; TOGETHER], 0);
        self.runs.update_batch(records, runs, |run, _| {
            let number = begin + count as u32;
            match std::mem::replace(&mut run.last, number) {
                NONE => run.first = number,
                last => {
                    prefetch(&raw const self.entries[last as usize]);
                    before[count] = last;
                }
            }
            count += 1;
        });
        for (number, last) in (begin..).zip(before).take(count).filter(|it| it.1 != NONE) {
            self.entries[last as usize].next = number;
        }
        let (first, end) = self.stretches;
        self.stretches = (first.min(stretches.0), end.max(stretches.1));
        self.last = self.last.max(last);
        begin
    }

    /// Takes a record; returns its number.
    #[inline]
    pub fn add(&mut self, key: K, stretch: i64, at: Timestamp, value: T) -> u32 {
        let entry = Entry { at, value, matched: false, next: NONE };
        let number = self.entries.push(entry) as u32;
        let run = self.runs.entry((key, stretch.wrapping_sub(self.origin)));
        let last = std::mem::replace(&mut run.last, number);
        if last == NONE {
            run.first = number;
        } else {
            self.entries[last as usize].next = number;
        }
        let (first, last) = self.stretches;
        self.stretches = (first.min(stretch), last.max(stretch));
        self.last = self.last.max(at);
        number
    }

    /// The number of the first record of a key in a stretch.
    #[inline(always)]
    pub fn first(&self, key: K, stretch: i64) -> u32 {
        self.runs.get((key, stretch.wrapping_sub(self.origin))).map_or(NONE, |run| run.first)
    }

    /// A record by its number.
    #[inline(always)]
    pub fn entry(&self, number: u32) -> &Entry<T> {
        &self.entries[number as usize]
    }

    /// A record by its number, to change it.
    #[inline(always)]
    pub fn entry_mut(&mut self, number: u32) -> &mut Entry<T> {
        &mut self.entries[number as usize]
    }

    /// One unit of cleaning; true when it is as new, and still has its memory.
    pub fn clean(&mut self, cursor: &mut Cursor) -> bool {
        self.entries.clear();
        (self.stretches, self.last) = (NO_STRETCH, Timestamp::MIN);
        self.runs.clear_slice(cursor, 1)
    }

    /// Shows what it holds, by key, the records of a key and stretch in order of arrival.
    pub fn visit(&self, each: &mut impl FnMut(K, &Entry<T>)) {
        self.runs.visit(&mut Cursor::default(), usize::MAX, |(key, _), run| {
            let mut number = run.first;
            while number != NONE {
                let entry = self.entry(number);
                each(key, entry);
                number = entry.next;
            }
        });
    }
}
