//! Query 14: a calculation. A function of the user's own is a function.

use serde::{Deserialize, Serialize};

use super::model::Bid;
use super::q01::{Converted, q01};
use super::streams::minute;
use super::words::Phrase;
use crate::dataflow::{Stage, Stream};
use crate::state::Text;
use crate::time::Timestamp;

/// A bid in euros, and what was found out about it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Calculated {
    /// As in the bid.
    pub auction: u64,
    /// As in the bid.
    pub bidder: u64,
    /// In thousandths of a cent.
    pub price: u64,
    /// When people bid so: `dayTime`, `nightTime` or `otherTime`.
    pub time: Text<9>,
    /// As in the bid.
    pub at: Timestamp,
    /// As in the bid.
    pub extra: Phrase,
    /// How often the letter c is in that.
    pub letters: u64,
}

/// The bids between ten thousand and half a million euros.
///
/// ```sql
/// SELECT auction, bidder, 0.908 * price, CASE
///     WHEN hour(at) BETWEEN 8 AND 18 THEN 'dayTime'
///     WHEN hour(at) <= 6 OR hour(at) >= 20 THEN 'nightTime'
///     ELSE 'otherTime' END, at, extra, count_char(extra, 'c') FROM bid
/// WHERE 0.908 * price > 1000000 AND 0.908 * price < 50000000
/// ```
///
/// Keeps nothing. Begins as [query 1](q01): parts of a pipeline are put together like functions.
pub fn q14<'p>(
    bids: Stream<'p, impl Stage<Out = Bid>>,
) -> Stream<'p, impl Stage<Out = Calculated>> {
    q01(bids).filter(|bid| (1_000_000_001..50_000_000_000).contains(&bid.price)).map(|bid| {
        let Converted { auction, bidder, price, at, extra } = bid;
        let (time, letters) = (time_type(at), count_char(extra.as_str(), b'c'));
        Calculated { auction, bidder, price, time, at, extra, letters }
    })
}

fn time_type(at: Timestamp) -> Text<9> {
    const DAY: Text<9> = Text::literal("dayTime");
    const NIGHT: Text<9> = Text::literal("nightTime");
    const OTHER: Text<9> = Text::literal("otherTime");
    match minute(at) / 60 {
        8..=18 => DAY,
        ..=6 | 20.. => NIGHT,
        _ => OTHER,
    }
}

fn count_char(text: &str, letter: u8) -> u64 {
    text.bytes().filter(|byte| *byte == letter).count() as u64
}
