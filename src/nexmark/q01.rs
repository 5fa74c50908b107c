//! Query 1: prices in another currency. A map.

use serde::{Deserialize, Serialize};

use super::model::Bid;
use super::words::Phrase;
use crate::dataflow::{Stage, Stream};
use crate::time::Timestamp;

/// What a dollar is worth, in thousandths of a euro.
const EURO_PER_1000: u64 = 908;

/// A bid in euros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Converted {
    /// As in the bid.
    pub auction: u64,
    /// As in the bid.
    pub bidder: u64,
    /// In thousandths of a cent: exact, as a decimal with three places is.
    pub price: u64,
    /// As in the bid.
    pub at: Timestamp,
    /// As in the bid.
    pub extra: Phrase,
}

/// Every bid, with its price in euros.
///
/// ```sql
/// SELECT auction, bidder, 0.908 * price AS price, at, extra FROM bid
/// ```
///
/// Keeps nothing.
pub fn q01<'p>(bids: Stream<'p, impl Stage<Out = Bid>>) -> Stream<'p, impl Stage<Out = Converted>> {
    bids.map(|bid| {
        let Bid { auction, bidder, at, extra, .. } = bid;
        Converted { auction, bidder, price: bid.price * EURO_PER_1000, at, extra }
    })
}
