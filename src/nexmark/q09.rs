//! Query 9: which bid won. State and a timer by key.

use super::model::{Auction, Bid};
use super::winning::{Won, winning};
use crate::dataflow::{Stage, Stream};

/// Each auction that had a bid, with the bid that won it, when it is over.
///
/// ```sql
/// SELECT a.*, b.auction, b.bidder, b.price, b.at, b.extra FROM auction a JOIN bid b
/// ON a.id = b.auction AND b.at BETWEEN a.at AND a.expires
/// QUALIFY row_number() OVER (PARTITION BY a.id ORDER BY b.price DESC, b.at) = 1
/// ```
///
/// Keeps the auctions that are open, each with its best bid: `winning.rs` has all of it.
pub fn q09<'p>(
    auctions: Stream<'p, impl Stage<Out = Auction>>,
    bids: Stream<'p, impl Stage<Out = Bid>>,
) -> Stream<'p, impl Stage<Out = Won>> {
    winning(auctions, bids)
}
