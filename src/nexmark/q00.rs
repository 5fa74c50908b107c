//! Query 0: nothing. What it costs to bring bids through.

use serde::{Deserialize, Serialize};

use super::model::Bid;
use super::words::Phrase;
use crate::dataflow::{Stage, Stream};
use crate::time::Timestamp;

/// What of a bid goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Passed {
    /// As in the bid.
    pub auction: u64,
    /// As in the bid.
    pub bidder: u64,
    /// As in the bid, in cents.
    pub price: u64,
    /// As in the bid.
    pub at: Timestamp,
    /// As in the bid.
    pub extra: Phrase,
}

/// Every bid, without its channel and address.
///
/// ```sql
/// SELECT auction, bidder, price, at, extra FROM bid
/// ```
///
/// Keeps nothing. A function that builds a part of a pipeline takes and gives
/// `Stream<impl Stage<Out = T>>`: steps that follow each other become one loop.
pub fn q00<'p>(bids: Stream<'p, impl Stage<Out = Bid>>) -> Stream<'p, impl Stage<Out = Passed>> {
    bids.map(|bid| {
        let Bid { auction, bidder, price, at, extra, .. } = bid;
        Passed { auction, bidder, price, at, extra }
    })
}
