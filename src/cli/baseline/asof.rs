//! One thread, two sorted arrays and one pass over both: each trade with the latest quote.

use serde::{Deserialize, Serialize};

use super::Checksum;
use crate::cli::workload::{Reading, reading};

/// Nanoseconds between two quotes.
pub const QUOTE_NS: i64 = 1_000;
/// Nanoseconds between two trades: as many quotes a trade as in the recorded files of two symbols.
pub const TRADE_NS: i64 = 3_400;

/// A quote or a trade of one of many symbols.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Tick {
    /// When, in nanoseconds.
    pub at: i64,
    /// Of which symbol, and its price.
    pub reading: Reading,
}

/// The quote of this number.
#[inline(always)]
pub fn quote(index: u64, symbols: u64) -> Tick {
    Tick { at: index as i64 * QUOTE_NS, reading: reading(2 * index, symbols) }
}

/// The trade of this number.
#[inline(always)]
pub fn trade(index: u64, symbols: u64) -> Tick {
    Tick { at: index as i64 * TRADE_NS, reading: reading(2 * index + 1, symbols) }
}

/// How many trades there are for so many quotes.
pub const fn trades(quotes: u64) -> u64 {
    quotes * QUOTE_NS as u64 / TRADE_NS as u64
}

/// Fills both arrays, then joins each trade with the latest quote of its symbol that is not later.
pub fn asof_join(quotes: u64, symbols: u64) -> Checksum {
    let all_quotes: Vec<Tick> = (0..quotes).map(|index| quote(index, symbols)).collect();
    let all_trades: Vec<Tick> = (0..trades(quotes)).map(|index| trade(index, symbols)).collect();
    let mut latest: Vec<Option<u32>> = vec![None; symbols as usize];
    let mut checksum = Checksum::default();
    let mut next = all_quotes.iter().peekable();
    for Tick { at, reading: Reading { key, value } } in all_trades {
        while let Some(quote) = next.next_if(|quote| quote.at <= at) {
            latest[quote.reading.key as usize] = Some(quote.reading.value);
        }
        if let Some(quote) = latest[key as usize] {
            checksum.add_pair(key, at, value, quote);
        }
    }
    checksum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_what_a_search_finds() {
        let (quotes, symbols) = (3_000, 7);
        let mut want = Checksum::default();
        for Tick { at, reading: Reading { key, value } } in
            (0..trades(quotes)).map(|index| trade(index, symbols))
        {
            let before = (0..quotes).rev().map(|index| quote(index, symbols));
            let mut fitting = before.filter(|quote| quote.at <= at && quote.reading.key == key);
            if let Some(quote) = fitting.next() {
                want.add_pair(key, at, value, quote.reading.value);
            }
        }
        assert_eq!(asof_join(quotes, symbols), want);
        assert!(want.results > 800);
    }
}
