//! What one input keeps until no partner can come.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::dataflow::Record;
use crate::join::pane::{Entry, Pane};
use crate::state::{Cursor, EachBulk, Key, NONE, Rescale, Rescaled, Stored};
use crate::time::Timestamp;

/// The shortest stretch of time, as a power of two: 1024 ns.
const SHIFT_MIN: u32 = 10;

/// So many stretches without a record are worth a new pane.
const GAP_MIN: u64 = 64;

/// So many records are worth a pane of their own.
const PANE_MIN: usize = 1024;

/// So many panes are few, beside one for as many records as are worth one.
const PANES_FEW: usize = 16;

/// So many panes, from the last on, are asked one by one for what belongs there.
const PANES_NEAR: usize = 4;

/// The records of one input, by key and by time.
///
/// Time is cut into stretches at least as long as the interval of the join, so that a record finds
/// its partners in two look-ups, however many older records a hot key has. Panes hold many
/// stretches where records are few, and one where they are many. A pane is dropped whole when its
/// last record is past: nothing is ever searched for what is old, and its memory serves the next
/// pane.
#[derive(Serialize, Deserialize)]
#[serde(bound = "T: Stored")]
pub struct Kept<K: Key, T: Copy> {
    /// In the order of time, and never none: the first reaches back to the beginning of time, each
    /// to where the next begins, and the last to the end.
    panes: VecDeque<Pane<K, T>>,
    /// Panes that were dropped and are to be cleaned, from the cursor of the first on.
    spent: VecDeque<Pane<K, T>>,
    cursor: Cursor,
    clean: Vec<Pane<K, T>>,
    len: usize,
    seed: u64,
    /// A stretch is two to the power of this, in nanoseconds.
    shift: u32,
    /// So many stretches without a record begin a new pane; more once panes are no longer few.
    gap: u64,
    /// So many records are worth a pane of their own. As the config says, not the snapshot.
    #[serde(skip)]
    pub pane_min: usize,
}

/// Where a record is, as long as nothing is added to or dropped from what its input keeps.
#[derive(Clone, Copy)]
struct Place {
    pane: u32,
    entry: u32,
}

/// A look through the records of one key between two times, which can be cut short anywhere.
#[derive(Clone, Copy)]
pub struct Look<K> {
    key: K,
    from: Timestamp,
    to: Timestamp,
    /// The next stretch, and the last one.
    stretch: i64,
    last: i64,
    /// The next record of the stretch before that.
    next: Place,
}

impl<K> Look<K> {
    /// Whether there is nothing left to see.
    #[inline(always)]
    pub fn is_at_end(&self) -> bool {
        self.is_over() && self.next.entry == NONE
    }

    /// Whether it has passed all its stretches, if not yet all the records of the last one.
    #[inline(always)]
    fn is_over(&self) -> bool {
        self.stretch > self.last
    }
}

/// What one unit of work found.
pub enum Seen<'a, T> {
    /// A record between the two times.
    Record(&'a mut Entry<T>),
    /// Nothing yet.
    Passed,
    /// There are no more.
    End,
}

impl<K: Key, T: Copy + Stored> Kept<K, T> {
    /// Nothing is kept. Looks will reach over `length` nanoseconds, and records be kept for about
    /// as long as `reach`; at most `records_max` of them, of which a pane shall be a small part.
    pub fn new(seed: u64, length: u64, reach: u64, records_max: usize) -> Self {
        // A stretch is longer than a look, which so touches two of them at most.
        let shift = u64::BITS - length.leading_zeros();
        let shift = shift.clamp(SHIFT_MIN, i64::BITS - 2);
        let mut panes = VecDeque::with_capacity(16);
        panes.push_back(Pane::new(seed));
        Self {
            panes,
            spent: VecDeque::with_capacity(16),
            cursor: Cursor::default(),
            clean: Vec::with_capacity(16),
            len: 0,
            seed,
            shift,
            gap: GAP_MIN.max((reach >> shift) / GAP_MIN),
            pane_min: (records_max / 8).clamp(1, PANE_MIN),
        }
    }

    /// How many records are kept.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The stretch of time that holds `at`.
    #[inline(always)]
    fn stretch(&self, at: Timestamp) -> i64 {
        at.0 >> self.shift
    }

    /// The place of the pane that a stretch belongs to: mostly one of the last.
    #[inline]
    fn pane_of(&self, stretch: i64) -> usize {
        // By index: an iterator over a queue of two halves is a quarter of a look.
        last_not(self.panes.len(), |place| self.panes[place].start > stretch)
    }

    /// Starts loading what it takes to keep records of these keys and times: at most 64.
    #[inline]
    pub fn warm(&self, records: impl Iterator<Item = (K, Timestamp)>, runs: &mut Vec<(K, i64)>) {
        runs.clear();
        runs.extend(records.map(|(key, at)| (key, self.stretch(at))));
        self.by_pane(runs, |_, _, pane, runs| pane.warm(runs));
    }

    /// Looks of these keys, from some time to another: at most 64. The first unit of work of all
    /// that have any is done at once, so that their cache misses overlap, and what comes next is
    /// being loaded.
    pub fn begin(
        &self,
        wanted: impl Iterator<Item = (K, Timestamp, Timestamp)>,
        looks: &mut Vec<Look<K>>,
        runs: &mut Vec<(K, i64)>,
    ) {
        looks.clear();
        let all = self.stretches();
        looks.extend(wanted.map(|(key, from, to)| self.look_within(all, key, from, to)));
        if looks.iter().all(Look::is_over) {
            return;
        }
        runs.clear();
        runs.extend(looks.iter().map(|look| (look.key, look.stretch)));
        self.by_pane(runs, |place, first, pane, runs| {
            pane.firsts(runs, |run, entry| {
                let look = &mut looks[first + run];
                if !look.is_over() {
                    look.next = Place { pane: place as u32, entry };
                    look.stretch += 1;
                }
            });
        });
        // Few reach into a second stretch, and then all of them into the same.
        runs.clear();
        let more = looks.iter().filter(|look| !look.is_over());
        runs.extend(more.map(|look| (look.key, look.stretch)));
        self.by_pane(runs, |_, _, pane, runs| pane.firsts(runs, |_, _| ()));
    }

    /// Calls `each` with runs that belong to one pane: its place, and that of the first of them.
    #[inline(always)]
    fn by_pane(
        &self,
        runs: &mut [(K, i64)],
        mut each: impl FnMut(usize, usize, &Pane<K, T>, &mut [(K, i64)]),
    ) {
        // They are all near each other in time.
        let mut begin = 0;
        while let Some(&(_, stretch)) = runs.get(begin) {
            let place = self.pane_of(stretch);
            let (pane, next) = (&self.panes[place], self.panes.get(place + 1));
            let is_here = |run: &&(K, i64)| {
                (pane.start <= run.1 || place == 0) && next.is_none_or(|next| run.1 < next.start)
            };
            let here = runs[begin..].iter().take_while(is_here).count().max(1);
            each(place, begin, pane, &mut runs[begin..begin + here]);
            begin += here;
        }
    }

    /// Keeps records of these keys, at most 64, whose times lie between two, if all belong into one
    /// pane; returns the number of the first of them there, as [`add`](Self::add) does.
    pub fn add_all(
        &mut self,
        keys: &[K],
        records: &[Record<T>],
        (first, last): (Timestamp, Timestamp),
        runs: &mut Vec<(K, i64)>,
    ) -> Option<u32> {
        let (stretches, shift) = ((self.stretch(first), self.stretch(last)), self.shift);
        let place = self.pane_of(stretches.1);
        let pane = &mut self.panes[place];
        let begins_before = pane.start <= stretches.0 || place == 0;
        if !begins_before || !pane.takes_all(stretches, records.len(), self.pane_min, self.gap) {
            return None;
        }
        runs.clear();
        runs.extend(keys.iter().zip(records).map(|(key, record)| (*key, record.at.0 >> shift)));
        self.len += records.len();
        Some(pane.add_all(runs, stretches, records, last))
    }

    /// Keeps a record; returns its number in the pane that holds its time, by which
    /// [`entry_at`](Self::entry_at) finds it.
    #[inline]
    pub fn add(&mut self, key: K, at: Timestamp, value: T) -> u32 {
        let stretch = self.stretch(at);
        let mut place = self.pane_of(stretch);
        let pane = &self.panes[place];
        if pane.is_over(stretch, self.pane_min, self.gap) || pane.is_ahead(stretch, self.gap) {
            place = self.open_beside(place, stretch);
        }
        self.len += 1;
        self.panes[place].add(key, stretch, at, value)
    }

    /// Opens a pane for a record of a stretch behind or before all that the pane of this place
    /// holds; returns its place.
    #[cold]
    fn open_beside(&mut self, place: usize, stretch: i64) -> usize {
        let (panes, few) = (self.panes.len(), PANES_FEW + self.len / self.pane_min);
        let pane = &mut self.panes[place];
        if pane.len() < self.pane_min && panes > few {
            // It is for the gap alone.
            self.gap = self.gap.saturating_mul(2);
        }
        let (start, last) = (pane.start, pane.stretches().1);
        if stretch > last {
            // Also for what comes in between later: so no pane is followed by two.
            self.open(place + 1, last + 1, stretch);
            return place + 1;
        }
        pane.begin_later();
        self.open(place, start, stretch);
        place
    }

    /// Opens a pane that begins at `start`, for a record of `stretch`.
    #[cold]
    fn open(&mut self, place: usize, start: i64, stretch: i64) {
        let mut pane = self.clean.pop().unwrap_or_else(|| Pane::new(self.seed));
        pane.open(start, stretch);
        self.panes.insert(place, pane);
    }

    /// The record that was added as number `entry` of the pane that holds its time.
    #[inline]
    pub fn entry_at(&mut self, at: Timestamp, entry: u32) -> &mut Entry<T> {
        let pane = self.pane_of(self.stretch(at));
        self.panes[pane].entry_mut(entry)
    }

    /// A look through the records of a key, from one time to another, both included. It passes no
    /// stretch before the first one or behind the last one that has a record.
    #[inline]
    pub fn look(&self, key: K, from: Timestamp, to: Timestamp) -> Look<K> {
        self.look_within(self.stretches(), key, from, to)
    }

    /// The first and the last stretch that have a record; the last before the first if none.
    #[inline]
    fn stretches(&self) -> (i64, i64) {
        let first = self.panes.front().map_or(i64::MAX, |pane| pane.stretches().0);
        (first, self.panes.back().map_or(i64::MIN, |pane| pane.stretches().1))
    }

    #[inline(always)]
    fn look_within(&self, all: (i64, i64), key: K, from: Timestamp, to: Timestamp) -> Look<K> {
        let (stretch, last) = (self.stretch(from).max(all.0), self.stretch(to).min(all.1));
        Look { key, from, to, stretch, last, next: Place { pane: 0, entry: NONE } }
    }

    /// One unit of work of a look.
    #[inline(always)]
    pub fn see(&mut self, look: &mut Look<K>) -> Seen<'_, T> {
        let Place { pane, entry } = look.next;
        if entry == NONE {
            if look.is_over() {
                return Seen::End;
            }
            let pane = self.pane_of(look.stretch);
            let entry = self.panes[pane].first(look.key, look.stretch);
            look.next = Place { pane: pane as u32, entry };
            look.stretch += 1;
            return Seen::Passed;
        }
        let pane = &mut self.panes[pane as usize];
        let Entry { at, next, .. } = *pane.entry(entry);
        look.next.entry = next;
        if look.from <= at && at <= look.to {
            return Seen::Record(pane.entry_mut(entry));
        }
        Seen::Passed
    }

    /// One unit of work towards dropping what is not after `past`; says whether there was any.
    #[inline]
    pub fn drop_past(&mut self, past: Timestamp) -> bool {
        if let Some(pane) = self.spent.front_mut() {
            if pane.clean(&mut self.cursor) {
                self.cursor = Cursor::default();
                self.clean.extend(self.spent.pop_front());
            }
            return true;
        }
        match self.panes.front() {
            Some(first) if first.is_past(past) => {
                self.len -= first.len();
                self.spent.extend(self.panes.pop_front());
                if self.panes.is_empty() {
                    self.open(0, i64::MIN, 0);
                }
                true
            }
            _ => false,
        }
    }

    /// Shows what is kept, by key.
    pub fn visit(&self, mut each: impl FnMut(K, &T)) {
        let mut each = |key, entry: &Entry<T>| each(key, &entry.value);
        self.panes.iter().for_each(|pane| pane.visit(&mut each));
    }

    /// Shows each record with its number, by which [`entry_at`](Self::entry_at) finds it.
    pub fn numbered(&self) -> impl Iterator<Item = (u32, &Entry<T>)> {
        self.panes.iter().flat_map(|pane| (0..pane.len() as u32).map(|it| (it, pane.entry(it))))
    }
}

/// The last of so many places that is not `after` what is looked for, or the first: those after it
/// are the last ones, and mostly none or few.
#[inline(always)]
fn last_not(places: usize, after: impl Fn(usize) -> bool) -> usize {
    let last = places.saturating_sub(1);
    let mut place = last;
    while place > 0 && after(place) {
        if last - place == PANES_NEAR {
            return last_not_far(place, after);
        }
        place -= 1;
    }
    place
}

/// The same where it is before `end`, by halves.
#[cold]
fn last_not_far(mut end: usize, after: impl Fn(usize) -> bool) -> usize {
    let mut begin = 0;
    while end - begin > 1 {
        let place = begin + (end - begin) / 2;
        if after(place) {
            end = place;
        } else {
            begin = place;
        }
    }
    begin
}

impl<K: Key, T: Copy + Stored> Rescaled for Kept<K, T> {
    /// Shows what of it may be large.
    fn bulk(&mut self, each: &mut EachBulk<'_>) {
        let panes = self.panes.iter_mut().chain(&mut self.spent).chain(&mut self.clean);
        panes.for_each(|pane| pane.bulk(each));
    }

    fn rescaled(from: Vec<Self>, to: &Rescale) -> Result<Self, String> {
        let Self { seed, shift, gap, .. } = *from.first().ok_or("there was no shard")?;
        let mut all = Self { shift, gap, ..Self::new(seed, 0, 0, usize::MAX) };
        for pane in from.iter().flat_map(|kept| &kept.panes) {
            pane.visit(&mut |key, Entry { at, value, matched, .. }| {
                if to.owns(key) {
                    let entry = all.add(key, *at, *value);
                    all.entry_at(*at, entry).matched = *matched;
                }
            });
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests;
