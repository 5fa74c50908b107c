//! Query 2: some auctions only. A filter.

use super::model::Bid;
use crate::dataflow::{Stage, Stream};

/// Auction and price of the bids for every 123rd auction.
///
/// ```sql
/// SELECT auction, price FROM bid WHERE auction % 123 = 0
/// ```
///
/// Keeps nothing.
pub fn q02<'p>(
    bids: Stream<'p, impl Stage<Out = Bid>>,
) -> Stream<'p, impl Stage<Out = (u64, u64)>> {
    bids.filter(|bid| bid.auction % 123 == 0).map(|bid| (bid.auction, bid.price))
}
