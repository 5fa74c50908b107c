//! Query 5: what is bid for most. Sliding windows, one after the other.

use serde::{Deserialize, Serialize};

use super::leading::leading;
use super::model::Bid;
use crate::dataflow::{Stage, Stream};
use crate::time::{Timestamp, secs};
use crate::window::Sliding;
use crate::window::aggregates::count;

/// An auction that no other had more bids than.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HotItem {
    /// The end of the window.
    pub end: Timestamp,
    /// The auction.
    pub auction: u64,
    /// Its bids in the window.
    pub bids: u64,
}

/// The auctions with the most bids in the last ten seconds, every two seconds.
///
/// ```sql
/// WITH counts AS (
///     SELECT auction, count(*) AS bids, window_end AS "end" FROM hop(bid, at, 2 s, 10 s)
///     GROUP BY auction, window_end)
/// SELECT * FROM counts c WHERE bids = (SELECT max(bids) FROM counts m WHERE m."end" = c."end")
/// ```
///
/// What a window yields carries its last moment as its time. So the counts of one window, and of no
/// other, fall into one window of two seconds. Keeps a count by auction and slice of two seconds.
pub fn q05<'p>(bids: Stream<'p, impl Stage<Out = Bid>>) -> Stream<'p, impl Stage<Out = HotItem>> {
    let counts = bids
        .map(|bid| bid.auction)
        .key_by(|auction| *auction)
        .window(Sliding::of(secs(10)).every(secs(2)))
        .aggregate(count())
        .map(|window| HotItem { end: window.span.end, auction: window.key, bids: window.value });
    leading(counts, secs(2), |item| item.end.offset(-1), |item| item.bids)
}
