//! Query 19: the ten highest bids. An array as state, and a changelog of one's own.

use std::cmp::Reverse;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::model::Bid;
use crate::dataflow::{Change, Stage, Stream};
use crate::operators::{KeyContext, Process};
use crate::state::Ttl;
use crate::time::Timestamp;

/// How many there are.
const TOP: usize = 10;

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
/// (`Grouped::top_n` is for tables whose rows change: it keeps all rows, and gives no ranks.)
pub fn q19<'p>(
    bids: Stream<'p, impl Stage<Out = Bid>>,
    life: Duration,
) -> Stream<'p, impl Stage<Out = Change<Ranked>>> {
    bids.key_by(|bid| bid.auction).ttl(Ttl::of(life)).process(TopTen)
}

struct TopTen;

/// The highest bids so far, in order.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Top {
    bids: [Option<Bid>; TOP],
}

/// The higher price first, of equal ones the earlier bid.
fn order(bid: &Bid) -> (Reverse<u64>, Timestamp) {
    (Reverse(bid.price), bid.at)
}

impl Process for TopTen {
    type Key = u64;
    type In = Bid;
    type State = Top;
    type Out = Change<Ranked>;

    const NAME: &'static str = "top ten";

    fn on_record(&mut self, bid: Bid, ctx: &mut KeyContext<'_, Self>) {
        let before = ctx.get().copied().unwrap_or_default().bids;
        let ahead = before.iter().flatten().filter(|other| order(other) < order(&bid)).count();
        // Also where the bid is not among the ten: to be asked for is to live on.
        let top = ctx.state();
        if ahead < TOP {
            top.bids[ahead..].rotate_right(1);
            top.bids[ahead] = Some(bid);
        }
        let after = top.bids;
        for (place, (old, new)) in before.into_iter().zip(after).enumerate().skip(ahead) {
            let rank = place as u64 + 1;
            let ranked = |bid: Option<Bid>| bid.map(|bid| Ranked { bid, rank });
            if let Some(change) = Change::between(ranked(old), ranked(new)) {
                ctx.emit(change);
            }
        }
    }
}
