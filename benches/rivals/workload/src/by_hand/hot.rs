//! NEXMark 5 and 7: bids by auction in sliding windows, and the largest of each window.

use std::collections::{BTreeMap, VecDeque};

use super::Table;

/// Bids by auction in windows of ten seconds, one every two.
pub struct Counts {
    slide: i64,
    overlap: usize,
    /// The slices of the next window that has not closed, by their end, the last one open.
    slices: VecDeque<(i64, Table<u64, u64>)>,
    totals: Table<u64, u64>,
    /// The end of the next window.
    next: i64,
}

impl Counts {
    /// Windows of `overlap` slices of so many nanoseconds.
    pub fn new(slide: i64, overlap: usize) -> Self {
        let (slices, totals) = Default::default();
        Self { slide, overlap, slices, totals, next: i64::MIN }
    }

    /// Counts a bid.
    #[inline(always)]
    pub fn add(&mut self, at: i64, auction: u64) {
        let end = (at.div_euclid(self.slide) + 1) * self.slide;
        let slices = &mut self.slices;
        let place = match slices.back() {
            Some((last, _)) if *last == end => slices.len() - 1,
            _ => match slices.binary_search_by_key(&end, |slice| slice.0) {
                Ok(place) => place,
                Err(place) => {
                    slices.insert(place, (end, Table::new()));
                    place
                }
            },
        };
        *slices[place].1.entry(auction).or_default() += 1;
    }

    /// Closes windows that end by then. A row is end, auction, bids; only those than which no
    /// other here has more.
    pub fn advance(&mut self, to: i64, mut emit: impl FnMut([u64; 3])) {
        while let Some((first, _)) = self.slices.front() {
            // The window that ends with the oldest slice is the first one that there is.
            self.next = self.next.max(*first);
            if self.next > to {
                return;
            }
            let end = self.next;
            let start = end - self.overlap as i64 * self.slide;
            self.totals.clear();
            for (_, slice) in self.slices.iter().filter(|slice| slice.0 <= end) {
                slice.iter().for_each(|(auction, bids)| {
                    *self.totals.entry(*auction).or_default() += bids;
                });
            }
            let most = self.totals.values().copied().max().unwrap_or(0);
            for (auction, bids) in self.totals.iter().filter(|count| *count.1 == most) {
                emit([end as u64, *auction, *bids]);
            }
            self.next = end + self.slide;
            while self.slices.pop_front_if(|slice| slice.0 <= start + self.slide).is_some() {}
        }
    }
}

/// Of rows the largest of each window, ties included.
pub struct Leading<const N: usize> {
    windows: BTreeMap<i64, (u64, Vec<[u64; N]>)>,
}

impl<const N: usize> Default for Leading<N> {
    fn default() -> Self {
        Self { windows: BTreeMap::new() }
    }
}

impl<const N: usize> Leading<N> {
    /// Takes a row of the window that ends then.
    #[inline]
    pub fn add(&mut self, end: i64, measure: u64, row: [u64; N]) {
        let (most, rows) = self.windows.entry(end).or_default();
        if measure > *most {
            *most = measure;
            rows.clear();
        }
        if measure == *most {
            rows.push(row);
        }
    }

    /// Closes windows that end by then: their ends, and their rows.
    pub fn advance(&mut self, to: i64, mut emit: impl FnMut(i64, [u64; N])) {
        while let Some(window) = self.windows.first_entry().filter(|window| *window.key() <= to) {
            let (end, (_, rows)) = window.remove_entry();
            rows.into_iter().for_each(|row| emit(end, row));
        }
    }
}
