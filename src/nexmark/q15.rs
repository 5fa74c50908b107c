//! Query 15: the statistics of a day. Counts of distinct ones, in two windows.

use serde::{Deserialize, Serialize};

use super::model::Bid;
use super::q10::date;
use super::statistics::{Ranks, statistics};
use super::streams::day;
use crate::dataflow::{Stage, Stream};
use crate::state::Text;

/// A day of bids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Day {
    /// As 2015-07-15.
    pub day: Text<10>,
    /// Bids.
    pub bids: Ranks,
    /// People who bid.
    pub bidders: Ranks,
    /// Auctions that were bid for.
    pub auctions: Ranks,
}

/// How many bids, bidders and auctions a day has, in all and in three ranks of price.
///
/// ```sql
/// SELECT strftime(at, '%Y-%m-%d'),
///     count(*), count(*) FILTER (price < 10000), ...,
///     count(DISTINCT bidder), count(DISTINCT bidder) FILTER (price < 10000), ...,
///     count(DISTINCT auction), count(DISTINCT auction) FILTER (price < 10000), ...
/// FROM bid GROUP BY 1
/// ```
///
/// When the day is over; the original corrects its result with every bid. Keeps
/// [the days that are open](statistics).
pub fn q15<'p>(bids: Stream<'p, impl Stage<Out = Bid>>) -> Stream<'p, impl Stage<Out = Day>> {
    statistics(bids, |_| ()).map(|window| {
        let counted = window.value;
        let day = date(day(window.span.start));
        Day { day, bids: counted.bids, bidders: counted.bidders, auctions: counted.auctions }
    })
}
