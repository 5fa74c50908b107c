//! Query 6: what a seller has got lately. A list as state.

use serde::{Deserialize, Serialize};

use super::model::{Auction, Bid};
use super::winning::paid;
use crate::dataflow::{Stage, Stream};
use crate::operators::{KeyContext, Order, Process};

/// The average price of the last ten auctions of each seller, whenever one is over, in whole cents.
///
/// ```sql
/// SELECT seller, avg(price) OVER
///     (PARTITION BY seller ORDER BY expires ROWS BETWEEN 9 PRECEDING AND CURRENT ROW)
/// FROM winning
/// ```
///
/// Seller and average. Ten, as the query says in words, and in the order in which they were over;
/// the SQL of the original takes eleven, in the order of their winning bids. Keeps the auctions
/// that are open, and ten prices by seller, for ever.
pub fn q06<'p>(
    auctions: Stream<'p, impl Stage<Out = Auction>>,
    bids: Stream<'p, impl Stage<Out = Bid>>,
) -> Stream<'p, impl Stage<Out = (u64, u64)>> {
    paid(auctions, bids, |auction| auction.seller).key_by(|paid| paid.0).process(LastTen)
}

struct LastTen;

/// The last prices of a seller: a ring.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Prices {
    last: [u64; 10],
    count: u64,
}

impl Process for LastTen {
    type Key = u64;
    type In = (u64, u64);
    type State = Prices;
    type Out = (u64, u64);

    const NAME: &'static str = "last ten";
    /// Auctions of one seller come from all shards.
    const ORDER: Order = Order::Time;

    fn on_record(&mut self, (seller, price): (u64, u64), ctx: &mut KeyContext<'_, Self>) {
        let prices = ctx.state();
        prices.last[prices.count as usize % 10] = price;
        prices.count += 1;
        let average = prices.last.iter().sum::<u64>() / prices.count.min(10);
        ctx.emit((seller, average));
    }
}
