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
    /// So many stretches without a record begin a new pane.
    gap: u64,
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
    /// as long as `reach`.
    pub fn new(seed: u64, length: u64, reach: u64) -> Self {
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
        let mut place = self.panes.len().saturating_sub(1);
        while place > 0 && self.panes[place].start > stretch {
            place -= 1;
        }
        place
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
        if !begins_before || !pane.takes_all(stretches, records.len(), self.gap) {
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
        if pane.is_over(stretch, self.gap) {
            place += 1;
            self.open(place, stretch, stretch);
        } else if pane.is_ahead(stretch, self.gap) {
            let start = pane.start;
            self.panes[place].begin_later();
            self.open(place, start, stretch);
        }
        self.len += 1;
        self.panes[place].add(key, stretch, at, value)
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

impl<K: Key, T: Copy + Stored> Rescaled for Kept<K, T> {
    /// Shows what of it may be large.
    fn bulk(&mut self, each: &mut EachBulk<'_>) {
        let panes = self.panes.iter_mut().chain(&mut self.spent).chain(&mut self.clean);
        panes.for_each(|pane| pane.bulk(each));
    }

    fn rescaled(from: Vec<Self>, to: &Rescale) -> Result<Self, String> {
        let Self { seed, shift, gap, .. } = *from.first().ok_or("there was no shard")?;
        let mut all = Self { shift, gap, ..Self::new(seed, 0, 0) };
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
mod tests {
    use super::*;

    /// Against a list of all records: sparse and dense stretches, gaps, steps back, and clocks
    /// that are far ahead.
    #[test]
    fn looks_find_what_a_list_holds() {
        for seed in 0..40 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let length = 1 << rng.u32(1..24);
            let mut kept = Kept::<u64, u32>::new(seed, length, 8 * length);
            let mut list: Vec<(u64, i64, u32)> = Vec::new();
            let (mut now, mut past) = (rng.i64(-1_000_000..1_000_000), i64::MIN);
            for number in 0..4_000u32 {
                let far = if rng.u8(..) == 0 { 40 } else { rng.u32(1..14) };
                let ahead = rng.u16(..) == 0 || (number == 0 && seed % 2 == 0);
                now += if ahead { 0 } else { rng.i64(0..1 << far) };
                let at = if ahead { now + (1 << 50) } else { now - rng.i64(0..2 * length as i64) };
                let key = rng.u64(..3);
                let entry = kept.add(key, Timestamp(at), number);
                assert_eq!(kept.entry_at(Timestamp(at), entry).value, number);
                list.push((key, at, number));
                let from = now - rng.i64(0..2 * length as i64);
                let to = from + rng.i64(0..length as i64);
                let mut got = Vec::new();
                let mut look = kept.look(key, Timestamp(from), Timestamp(to));
                let mut units = 0;
                loop {
                    units += 1;
                    match kept.see(&mut look) {
                        Seen::Record(entry) => got.push(entry.value),
                        Seen::Passed => {}
                        Seen::End => break,
                    }
                }
                let is_found = |&(k, at, _): &(u64, i64, u32)| k == key && from <= at && at <= to;
                let held = list.iter().filter(|one| is_found(one) && one.1 > past);
                got.retain(|number| list[*number as usize].1 > past);
                let mut want: Vec<u32> = held.map(|one| one.2).collect();
                got.sort_unstable();
                want.sort_unstable();
                assert_eq!(got, want);
                assert!(units <= list.len() + 4);
                if rng.u8(..) < 8 {
                    past = past.max(now - 4 * length as i64);
                    while kept.drop_past(Timestamp(past)) {}
                }
            }
            past = i64::MAX;
            while kept.drop_past(Timestamp(past)) {}
            assert_eq!(kept.len(), 0, "drained to nothing");
        }
    }

    /// Batches of any kind are kept as they are one by one, and looks that begin together see what
    /// those do that begin alone.
    #[test]
    fn together_is_as_one_by_one() {
        for seed in 0..30 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let length = 1 << rng.u32(1..24);
            let new = || Kept::<u64, u32>::new(7, length, 8 * length);
            let (mut some, mut each) = (new(), new());
            let (mut runs, mut looks, mut together) = (Vec::new(), Vec::new(), 0usize);
            let (keys, far) = (1 << rng.u32(0..12), rng.u32(1..16));
            let mut now = 0;
            for number in 0..200u32 {
                let count = rng.usize(1..=64);
                let is_jump = rng.u8(..) < 10;
                now += if is_jump { rng.i64(-200..200) * length as i64 } else { 0 };
                let key: Vec<u64> = (0..count).map(|_| rng.u64(..keys)).collect();
                let mut time = || {
                    now += rng.i64(0..1 << far);
                    Timestamp(now - if rng.u8(..) == 0 { rng.i64(0..2 * length as i64) } else { 0 })
                };
                let records: Vec<_> = (0..count).map(|_| Record::new(time(), number)).collect();
                let times = records.iter().map(|record| record.at);
                let ends = (times.clone().min().unwrap(), times.max().unwrap());
                let pairs = || key.iter().zip(&records);
                let alone: Vec<u32> =
                    pairs().map(|(key, r)| each.add(*key, r.at, r.value)).collect();
                let numbers = match some.add_all(&key, &records, ends, &mut runs) {
                    Some(first) => {
                        together += 1;
                        (first..first + count as u32).collect()
                    }
                    None => {
                        pairs().map(|(key, r)| some.add(*key, r.at, r.value)).collect::<Vec<_>>()
                    }
                };
                assert_eq!(numbers, alone);
                let wanted: Vec<_> = (0..count)
                    .map(|_| {
                        let from = now - rng.i64(-100..3 * length as i64);
                        let to = from + rng.i64(0..length as i64);
                        (rng.u64(..keys), Timestamp(from), Timestamp(to))
                    })
                    .collect();
                some.begin(wanted.iter().copied(), &mut looks, &mut runs);
                for (mut look, (key, from, to)) in looks.iter().copied().zip(wanted) {
                    let mut other = each.look(key, from, to);
                    assert_eq!(all(&mut some, &mut look), all(&mut each, &mut other));
                }
                if rng.u8(..) < 20 {
                    let past = Timestamp(now - 3 * length as i64);
                    while some.drop_past(past) | each.drop_past(past) {}
                }
            }
            assert_eq!((some.len(), some.panes.len()), (each.len(), each.panes.len()));
            assert!(together > 0, "no batch was kept as one");
        }
    }

    /// The time and the value of all that a look sees.
    fn all(kept: &mut Kept<u64, u32>, look: &mut Look<u64>) -> Vec<(Timestamp, u32)> {
        let mut found = Vec::new();
        assert!(!look.is_at_end() || matches!(kept.see(look), Seen::End));
        loop {
            match kept.see(look) {
                Seen::Record(entry) => found.push((entry.at, entry.value)),
                Seen::Passed => {}
                Seen::End => return found,
            }
        }
    }

    /// One record with a clock far ahead keeps nothing else from being dropped.
    #[test]
    fn a_clock_that_is_ahead_holds_up_nobody() {
        for first in [true, false] {
            let mut kept = Kept::<u64, ()>::new(0, 1_000, 1_000);
            if !first {
                (0..10).for_each(|n| _ = kept.add(0, Timestamp(n), ()));
            }
            kept.add(0, Timestamp(1 << 50), ());
            for n in 0..100_000 {
                kept.add(n as u64 % 7, Timestamp(n * 10), ());
                while kept.drop_past(Timestamp(n * 10 - 5_000)) {}
            }
            assert!(kept.len() < 5_000, "{} are kept", kept.len());
            assert!(kept.panes.len() < 20, "in {} panes", kept.panes.len());
        }
    }
}
