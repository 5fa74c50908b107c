//! Query 7: the highest bid. A stream joined with its own maximum.

use serde::{Deserialize, Serialize};

use super::leading::leading;
use super::model::Bid;
use super::words::Phrase;
use crate::dataflow::{Stage, Stream};
use crate::time::{Timestamp, secs};

/// A bid than which there was none higher.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Highest {
    /// As in the bid.
    pub auction: u64,
    /// As in the bid, in cents.
    pub price: u64,
    /// As in the bid.
    pub bidder: u64,
    /// As in the bid.
    pub at: Timestamp,
    /// As in the bid.
    pub extra: Phrase,
}

/// The highest bids of each ten seconds.
///
/// ```sql
/// SELECT auction, price, bidder, at, extra FROM bid b
/// WHERE price = (SELECT max(price) FROM bid m WHERE window(m.at, 10 s) = window(b.at, 10 s))
/// ```
///
/// A bid counts in its own window; the SQL of the original also takes one at the first moment of
/// the next, if it is as high. Keeps [what leads](leading) so far.
pub fn q07<'p>(bids: Stream<'p, impl Stage<Out = Bid>>) -> Stream<'p, impl Stage<Out = Highest>> {
    leading(bids, secs(10), |bid| bid.at, |bid| bid.price).map(|bid| {
        let Bid { auction, price, bidder, at, extra, .. } = bid;
        Highest { auction, price, bidder, at, extra }
    })
}
