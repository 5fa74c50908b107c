//! Query 17: the statistics of an auction. Aggregates side by side.

use serde::{Deserialize, Serialize};

use super::model::Bid;
use super::q10::date;
use super::streams::{DAY, day};
use crate::dataflow::{Stage, Stream};
use crate::state::Text;
use crate::window::Tumbling;
use crate::window::aggregates::{count, max, min, sum};

/// A day of bids for an auction; prices in cents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct AuctionDay {
    /// The auction.
    pub auction: u64,
    /// As 2015-07-15.
    pub day: Text<10>,
    /// How many bids.
    pub bids: u64,
    /// How many below 100 dollars, below 10 000 dollars, and above.
    pub ranks: (u64, u64, u64),
    /// The lowest price.
    pub min: u64,
    /// The highest price.
    pub max: u64,
    /// The average price, in whole cents.
    pub average: u64,
    /// All prices together.
    pub sum: u64,
}

/// How much was bid for each auction in a day.
///
/// ```sql
/// SELECT auction, strftime(at, '%Y-%m-%d'), count(*), count(*) FILTER (price < 10000), ...,
///     min(price), max(price), avg(price), sum(price) FROM bid GROUP BY 1, 2
/// ```
///
/// When the day is over; the original corrects its result with every bid, as
/// `.trigger(triggers::count(1))` before the aggregate would do here. Keeps an accumulator by
/// auction of the days that are open.
pub fn q17<'p>(
    bids: Stream<'p, impl Stage<Out = Bid>>,
) -> Stream<'p, impl Stage<Out = AuctionDay>> {
    let price = |bid: &Bid| bid.price;
    let number = |is_in: fn(u64) -> bool| sum(move |bid: &Bid| u64::from(is_in(bid.price)));
    let low = number(|price| price < 10_000);
    let middle = number(|price| (10_000..1_000_000).contains(&price));
    let high = number(|price| price >= 1_000_000);
    bids.key_by(|bid| bid.auction)
        .window(Tumbling::of(DAY))
        .aggregate((count(), (low, middle, high), min(price), max(price), sum(price)))
        .map(|window| {
            let (bids, ranks, min, max, sum) = window.value;
            let (auction, day) = (window.key, date(day(window.span.start)));
            AuctionDay { auction, day, bids, ranks, min, max, average: sum / bids, sum }
        })
}
