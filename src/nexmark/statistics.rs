//! Counts by day of bids, of bidders and of auctions: what queries 15 and 16 have in common.
//!
//! Whoever is counted once must be known, and there is no aggregate that knows them: an accumulator
//! has a size, and a day has as many bidders as come. So a day is counted in two windows of that
//! day: one by bidder and by auction, which knows them by its table of keys and says in which ranks
//! of price each was seen, and one over all of them, which counts those. The hot ones are met by
//! aggregating on each shard first.

use serde::{Deserialize, Serialize};

use super::model::Bid;
use super::streams::{DAY, minute};
use crate::dataflow::{Stage, Stream};
use crate::state::Key;
use crate::window::aggregates::reduce;
use crate::window::{Tumbling, Windowed};

/// How many there were: in all, below 100 dollars, below 10 000 dollars, and above.
pub type Ranks = [u64; 4];

/// What is counted of a day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Statistics {
    /// Bids.
    pub bids: Ranks,
    /// People who bid.
    pub bidders: Ranks,
    /// Auctions that were bid for.
    pub auctions: Ranks,
    /// The last minute of the day with a bid.
    pub minute: u16,
}

/// Which of its three counts a bid is part of, and as what.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Counted {
    Bid,
    Bidder(u64),
    Auction(u64),
}

impl Counted {
    fn key(self) -> (u8, u64) {
        match self {
            Self::Bid => (0, 0),
            Self::Bidder(id) => (1, id),
            Self::Auction(id) => (2, id),
        }
    }
}

/// Something that is counted, by group.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Seen<G> {
    group: G,
    key: (u8, u64),
    /// How often, by rank.
    ranks: Ranks,
    minute: u16,
}

/// The statistics of each group and day, when the day is over.
///
/// Keeps what was counted once of the days that are open: a day that is over is dropped whole.
pub fn statistics<'p, G: Key + Default>(
    bids: Stream<'p, impl Stage<Out = Bid>>,
    group: fn(&Bid) -> G,
) -> Stream<'p, impl Stage<Out = Windowed<G, Statistics>>> {
    bids.flat_map(move |bid| {
        let (group, ranks, minute) = (group(&bid), ranks(bid.price), minute(bid.at));
        [Counted::Bid, Counted::Bidder(bid.bidder), Counted::Auction(bid.auction)]
            .map(|counted| Seen { group, key: counted.key(), ranks, minute })
    })
    .key_by(|seen| (seen.group, seen.key))
    .window(Tumbling::of(DAY))
    .precombine()
    .aggregate(reduce(|all: &mut Seen<G>, seen: &Seen<G>| {
        all.ranks = sum(all.ranks, seen.ranks);
        all.minute = all.minute.max(seen.minute);
    }))
    .map(|window| (window.key.0, once(window.value)))
    .key_by(|(group, _)| *group)
    .window(Tumbling::of(DAY))
    .aggregate(reduce(|all: &mut (G, Statistics), some: &(G, Statistics)| {
        let (all, some) = (&mut all.1, &some.1);
        all.bids = sum(all.bids, some.bids);
        all.bidders = sum(all.bidders, some.bidders);
        all.auctions = sum(all.auctions, some.auctions);
        all.minute = all.minute.max(some.minute);
    }))
    .map(|Windowed { key, span, value, timing }| Windowed {
        key,
        span,
        value: value.1,
        timing,
    })
}

/// One, in all and in the rank of this price in cents.
fn ranks(price: u64) -> Ranks {
    match price {
        ..10_000 => [1, 1, 0, 0],
        10_000..1_000_000 => [1, 0, 1, 0],
        _ => [1, 0, 0, 1],
    }
}

/// Bids count as often as they come; bidders and auctions once in each rank.
fn once<G>(seen: Seen<G>) -> Statistics {
    let minute = seen.minute;
    let once = seen.ranks.map(|count| count.min(1));
    match seen.key.0 {
        0 => Statistics { bids: seen.ranks, minute, ..Statistics::default() },
        1 => Statistics { bidders: once, minute, ..Statistics::default() },
        _ => Statistics { auctions: once, minute, ..Statistics::default() },
    }
}

fn sum(mut one: Ranks, other: Ranks) -> Ranks {
    one.iter_mut().zip(other).for_each(|(one, other)| *one += other);
    one
}
