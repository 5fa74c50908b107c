//! Query 20: bids with their auctions. A join by key and interval of time.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::model::{Auction, Bid};
use crate::dataflow::{Stage, Stream};
use crate::join::{after, before};

/// A bid and its auction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Expanded {
    /// The bid.
    pub bid: Bid,
    /// What it is for.
    pub auction: Auction,
}

/// The bids for auctions of category 10, with these auctions.
///
/// ```sql
/// SELECT b.*, a.* FROM bid b JOIN auction a ON b.auction = a.id WHERE a.category = 10
/// ```
///
/// Whichever of the two comes first waits for the other. The SQL waits for ever; here `reach` says
/// how far apart in time the two may be. Keeps what is not further back than that.
pub fn q20<'p>(
    auctions: Stream<'p, impl Stage<Out = Auction>>,
    bids: Stream<'p, impl Stage<Out = Bid>>,
    reach: Duration,
) -> Stream<'p, impl Stage<Out = Expanded>> {
    let auctions = auctions.filter(|auction| auction.category == 10);
    bids.key_by(|bid| bid.auction)
        .interval_join(auctions.key_by(|auction| auction.id))
        .between(before(reach), after(reach))
        .select(|bid, auction| Expanded { bid: *bid, auction: *auction })
}
