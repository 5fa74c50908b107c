//! One thread, a ring of slices and a running total by key: a keyed sliding count and sum.
//!
//! Twice: with slices that are over left in the hash tables they were made in, as one writes it,
//! and with them packed into arrays, as one rewrites it after a profile, since nobody looks
//! anything up in them any more.

use std::collections::VecDeque;

use hashbrown::HashMap;

use super::Checksum;
use crate::cli::workload::{PERIOD_NS, reading};

type Totals = HashMap<u64, (u64, u64)>;

/// A slice that is over, left in its hash table.
#[derive(Default)]
pub struct Hashed(Totals);

/// A slice that is over, packed.
#[derive(Default)]
pub struct Packed(Vec<(u64, (u64, u64))>);

/// How slices are kept when they are over.
pub trait Slice: Default {
    /// Takes what is in the open slice, and leaves that empty; `self` is one that was emptied.
    fn close(self, open: &mut Totals) -> Self;
    /// Shows keys, counts and sums.
    fn each(&self, show: impl FnMut(u64, (u64, u64)));
    /// Empties it.
    fn clear(&mut self);
}

impl Slice for Hashed {
    fn close(self, open: &mut Totals) -> Self {
        Self(std::mem::replace(open, self.0))
    }

    fn each(&self, mut show: impl FnMut(u64, (u64, u64))) {
        self.0.iter().for_each(|(key, part)| show(*key, *part));
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

impl Slice for Packed {
    fn close(mut self, open: &mut Totals) -> Self {
        self.0.reserve_exact(open.len());
        self.0.extend(open.drain());
        self
    }

    fn each(&self, mut show: impl FnMut(u64, (u64, u64))) {
        self.0.iter().for_each(|(key, part)| show(*key, *part));
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}

/// Windows of `overlap` slices of `slide` nanoseconds, one of which ends with each slice.
struct Table<S> {
    /// The slice that records fall into.
    open: Totals,
    /// The slices before it that the next window holds, the oldest first.
    closed: VecDeque<S>,
    overlap: usize,
    /// What they come to.
    totals: Totals,
    /// A slice that has been emptied, with room for as many keys.
    spare: S,
    checksum: Checksum,
}

/// Counts and sums `records` readings of `keys` meters by sliding window, in order of time.
pub fn count_and_sum<S: Slice>(records: u64, keys: u64, slide: i64, overlap: u64) -> Checksum {
    let mut table = Table::<S> {
        open: Totals::new(),
        closed: VecDeque::new(),
        overlap: overlap as usize,
        totals: Totals::new(),
        spare: S::default(),
        checksum: Checksum::default(),
    };
    let mut end = slide;
    for index in 0..records {
        let at = index as i64 * PERIOD_NS;
        while at >= end {
            table.slide(end);
            end += slide;
        }
        let reading = reading(index, keys);
        let (count, sum) = table.open.entry(reading.key).or_default();
        *count += 1;
        *sum += u64::from(reading.value);
    }
    while !table.open.is_empty() || !table.totals.is_empty() {
        table.slide(end);
        end += slide;
    }
    table.checksum
}

impl<S: Slice> Table<S> {
    /// Closes the open slice, and emits the window that ends with it.
    fn slide(&mut self, end: i64) {
        if self.closed.len() == self.overlap
            && let Some(oldest) = self.closed.pop_front()
        {
            self.deduct(oldest);
        }
        let Self { open, totals, spare, .. } = self;
        let slice = std::mem::take(spare).close(open);
        slice.each(|key, (count, sum)| {
            let total = totals.entry(key).or_default();
            *total = (total.0 + count, total.1 + sum);
        });
        self.closed.push_back(slice);
        for (&key, &(count, sum)) in &self.totals {
            self.checksum.add(key, end, count, sum);
        }
    }

    fn deduct(&mut self, mut slice: S) {
        let totals = &mut self.totals;
        slice.each(|key, (count, sum)| {
            if let Some(total) = totals.get_mut(&key) {
                *total = (total.0 - count, total.1 - sum);
                if total.0 == 0 {
                    totals.remove(&key);
                }
            }
        });
        slice.clear();
        self.spare = slice;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every window over, from all records again.
    fn naive(records: u64, keys: u64, slide: i64, overlap: i64) -> Checksum {
        let mut checksum = Checksum::default();
        let last = (records - 1) as i64 * PERIOD_NS;
        for end in (1..=last / slide + overlap).map(|n| n * slide) {
            let mut totals = std::collections::BTreeMap::new();
            for index in 0..records {
                let at = index as i64 * PERIOD_NS;
                if (end - slide * overlap..end).contains(&at) {
                    let reading = reading(index, keys);
                    let total: &mut (u64, u64) = totals.entry(reading.key).or_default();
                    *total = (total.0 + 1, total.1 + u64::from(reading.value));
                }
            }
            for (key, (count, sum)) in totals {
                checksum.add(key, end, count, sum);
            }
        }
        checksum
    }

    #[test]
    fn it_finds_what_every_window_holds() {
        for (records, keys, slide, overlap) in
            [(1, 1, 1, 1), (2000, 70, 100_000, 5), (999, 500, 33_000, 10), (100, 3, 1_000, 4)]
        {
            let want = naive(records, keys, slide, overlap as i64);
            assert_eq!(count_and_sum::<Hashed>(records, keys, slide, overlap), want);
            assert_eq!(count_and_sum::<Packed>(records, keys, slide, overlap), want);
        }
    }
}
