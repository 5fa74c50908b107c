//! Keyed count and sum, in windows that tumble and in windows that slide.

use std::collections::VecDeque;

use super::Table;
use crate::readings::Reading;

type Totals = Table<u32, (u64, u64)>;

/// A row: key, end of the window, count, sum.
pub type Row = [u64; 4];

/// One hash table by open window; emptied ones are used again.
pub struct Tumbling {
    size: i64,
    /// Ends of windows, the first one first.
    open: VecDeque<(i64, Totals)>,
    spare: Vec<Totals>,
}

impl Tumbling {
    /// Windows of so many nanoseconds.
    pub fn new(size: i64) -> Self {
        Self { size, open: VecDeque::new(), spare: Vec::new() }
    }

    /// Counts a reading.
    #[inline(always)]
    pub fn add(&mut self, reading: Reading) {
        self.add_all(&[reading]);
    }

    /// Counts readings, those of one window in a row by one look at it.
    #[inline]
    pub fn add_all(&mut self, mut readings: &[Reading]) {
        while let Some(first) = readings.first() {
            let end = (first.at.div_euclid(self.size) + 1) * self.size;
            let start = end - self.size;
            let is_here = |r: &&Reading| start <= r.at && r.at < end;
            // Most often all of them.
            let count = match readings.last().filter(is_here) {
                Some(_) if readings.is_sorted_by_key(|r| r.at) => readings.len(),
                _ => readings.iter().take_while(is_here).count(),
            };
            let (here, rest) = readings.split_at(count);
            let totals = self.totals(end);
            for reading in here {
                let total = totals.entry(reading.key).or_default();
                *total = (total.0 + 1, total.1 + u64::from(reading.value));
            }
            readings = rest;
        }
    }

    fn totals(&mut self, end: i64) -> &mut Totals {
        let Self { open, spare, .. } = self;
        let place = match open.iter().position(|(other, _)| *other >= end) {
            Some(place) if open[place].0 == end => place,
            place => {
                let place = place.unwrap_or(open.len());
                open.insert(place, (end, spare.pop().unwrap_or_default()));
                place
            }
        };
        &mut open[place].1
    }

    /// Closes windows that end by then.
    pub fn advance(&mut self, to: i64, mut emit: impl FnMut(Row)) {
        while let Some((end, mut totals)) = self.open.pop_front_if(|(end, _)| *end <= to) {
            for (key, (count, sum)) in totals.drain() {
                emit([key.into(), end as u64, count, sum]);
            }
            self.spare.push(totals);
        }
    }
}

/// A hash table of the slice that is open, packed ones of those before it, and running totals.
pub struct Sliding {
    slices: Tumbling,
    slide: i64,
    overlap: usize,
    /// The end of the last slice that was closed; none before the first record.
    closed: Option<i64>,
    packed: VecDeque<Vec<Row>>,
    totals: Totals,
}

impl Sliding {
    /// Windows of so many nanoseconds, one each `slide` of them.
    pub fn new(size: i64, slide: i64) -> Self {
        let (slices, overlap) = (Tumbling::new(slide), (size / slide) as usize);
        let (packed, totals) = Default::default();
        Self { slices, slide, overlap, closed: None, packed, totals }
    }

    /// Counts readings.
    #[inline(always)]
    pub fn add_all(&mut self, readings: &[Reading]) {
        self.slices.add_all(readings);
    }

    /// Closes windows that end by then; at `i64::MAX` all of them.
    pub fn advance(&mut self, to: i64, mut emit: impl FnMut(Row)) {
        loop {
            let first = self.slices.open.front().map(|(end, _)| *end);
            let end = match self.closed {
                Some(closed) if !self.totals.is_empty() => closed + self.slide,
                _ => match first {
                    Some(end) => end,
                    None => return,
                },
            };
            if end > to {
                return;
            }
            self.close(end, &mut emit);
        }
    }

    fn close(&mut self, end: i64, emit: &mut impl FnMut(Row)) {
        let (packed, totals) = (&mut self.packed, &mut self.totals);
        let mut slice = Vec::new();
        if packed.len() == self.overlap
            && let Some(mut oldest) = packed.pop_front()
        {
            for [key, _, count, sum] in oldest.drain(..) {
                let key = key as u32;
                if let Some(total) = totals.get_mut(&key) {
                    *total = (total.0 - count, total.1 - sum);
                    if total.0 == 0 {
                        totals.remove(&key);
                    }
                }
            }
            slice = oldest;
        }
        self.slices.advance(end, |row| slice.push(row));
        for [key, _, count, sum] in &slice {
            let total = totals.entry(*key as u32).or_default();
            *total = (total.0 + count, total.1 + sum);
        }
        packed.push_back(slice);
        for (key, (count, sum)) in totals.iter() {
            emit([u64::from(*key), end as u64, *count, *sum]);
        }
        self.closed = Some(end);
        if totals.is_empty() {
            packed.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::readings::reading;

    fn rows(size: i64, slide: i64, all: &[Reading]) -> Vec<Row> {
        let mut totals = BTreeMap::<(i64, u32), (u64, u64)>::new();
        for reading in all {
            let mut end = (reading.at.div_euclid(slide) + 1) * slide;
            while end - size <= reading.at {
                let total = totals.entry((end, reading.key)).or_default();
                *total = (total.0 + 1, total.1 + u64::from(reading.value));
                end += slide;
            }
        }
        let row =
            |((end, key), (count, sum)): ((i64, u32), _)| [key.into(), end as u64, count, sum];
        let mut rows: Vec<_> = totals.into_iter().map(row).collect();
        rows.sort_unstable();
        rows
    }

    #[test]
    fn both_find_what_every_window_holds() {
        for (keys, size, slide) in [(7, 50, 50), (300, 100, 20), (5, 1000, 10)] {
            // With a gap, longer than any window.
            let gap = |r: Reading| Reading { at: r.at + i64::from(r.at > 700) * 5_000, ..r };
            let all: Vec<_> = (0..1000).map(|n| gap(reading(n, keys, 1))).collect();
            let mut found = Vec::new();
            let mut sliding = Sliding::new(size, slide);
            let mut tumbling = Tumbling::new(size);
            let mut tumbled = Vec::new();
            for some in all.chunks(13) {
                sliding.advance(some[0].at, |row| found.push(row));
                sliding.add_all(some);
                tumbling.add_all(some);
                tumbling.advance(some[some.len() - 1].at, |row| tumbled.push(row));
            }
            sliding.advance(i64::MAX, |row| found.push(row));
            tumbling.advance(i64::MAX, |row| tumbled.push(row));
            found.sort_unstable();
            tumbled.sort_unstable();
            assert_eq!(found, rows(size, slide, &all));
            assert_eq!(tumbled, rows(size, size, &all));
        }
    }
}
