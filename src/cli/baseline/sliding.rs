//! One thread, a ring of slices and a running total by key: a keyed sliding count and sum.

use std::collections::VecDeque;

use hashbrown::HashMap;

use super::Checksum;
use crate::cli::workload::{PERIOD_NS, reading};

type Totals = HashMap<u64, (u64, u64)>;

/// A slice that is over: nothing is looked up in it any more.
type Slice = Vec<(u64, (u64, u64))>;

/// Windows of `overlap` slices of `slide` nanoseconds, one of which ends with each slice.
struct Table {
    /// The slice that records fall into, in the same memory for all slices.
    open: Totals,
    /// The slices before it that the next window holds, the oldest first.
    closed: VecDeque<Slice>,
    overlap: usize,
    /// What they come to.
    totals: Totals,
    /// A slice that has been emptied, with room for as many keys.
    spare: Slice,
    checksum: Checksum,
}

/// Counts and sums `records` readings of `keys` meters by sliding window, in order of time.
pub fn count_and_sum(records: u64, keys: u64, slide: i64, overlap: u64) -> Checksum {
    let mut table = Table {
        open: Totals::new(),
        closed: VecDeque::new(),
        overlap: overlap as usize,
        totals: Totals::new(),
        spare: Slice::new(),
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

impl Table {
    /// Closes the open slice, and emits the window that ends with it.
    fn slide(&mut self, end: i64) {
        if self.closed.len() == self.overlap
            && let Some(oldest) = self.closed.pop_front()
        {
            self.deduct(oldest);
        }
        let mut slice = std::mem::take(&mut self.spare);
        slice.reserve_exact(self.open.len());
        slice.extend(self.open.drain());
        for &(key, (count, sum)) in &slice {
            let total = self.totals.entry(key).or_default();
            *total = (total.0 + count, total.1 + sum);
        }
        self.closed.push_back(slice);
        for (&key, &(count, sum)) in &self.totals {
            self.checksum.add(key, end, count, sum);
        }
    }

    fn deduct(&mut self, mut slice: Slice) {
        for (key, (count, sum)) in slice.drain(..) {
            if let Some(total) = self.totals.get_mut(&key) {
                *total = (total.0 - count, total.1 - sum);
                if total.0 == 0 {
                    self.totals.remove(&key);
                }
            }
        }
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
            let found = count_and_sum(records, keys, slide, overlap);
            assert_eq!(found, naive(records, keys, slide, overlap as i64));
        }
    }
}
