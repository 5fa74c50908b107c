//! Query 19: the ten highest bids. The first records of a key, with their places.

use std::cmp::Reverse;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::model::Bid;
use crate::dataflow::{Change, Stage, Stream};
use crate::state::Ttl;
use crate::time::Timestamp;

/// A bid and its place among those for its auction, from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ranked {
    /// The bid.
    pub bid: Bid,
    /// Its place.
    pub rank: u64,
}

/// The ten highest bids for each auction, with their places.
///
/// ```sql
/// SELECT *, row_number() OVER (PARTITION BY auction ORDER BY price DESC, at) AS rank FROM bid
/// QUALIFY rank <= 10
/// ```
///
/// Changes of a table by auction and rank: a bid that comes in moves those behind it. Keeps ten
/// bids by auction until there has been none for `life`, when they are forgotten, and not taken
/// back.
pub fn q19<'p>(
    bids: Stream<'p, impl Stage<Out = Bid>>,
    life: Duration,
) -> Stream<'p, impl Stage<Out = Change<Ranked>>> {
    bids.key_by(|bid| bid.auction)
        .ttl(Ttl::of(life))
        .ranked::<10>(|one, other| order(one).cmp(&order(other)))
        .filter_map(|((_, rank), change)| change.filter_map(|bid| Some(Ranked { bid: *bid, rank })))
}

/// The higher price first, of equal ones the earlier bid.
fn order(bid: &Bid) -> (Reverse<u64>, Timestamp) {
    (Reverse(bid.price), bid.at)
}
