//! The winning bid of each auction: what queries 4, 6 and 9 have in common.
//!
//! A process function of two inputs, with state by auction, a timer for its end, and records in
//! the order of time, whatever the order in which they came.

use serde::{Deserialize, Serialize};

use super::model::{Auction, Bid};
use crate::dataflow::{Stage, Stream};
use crate::operators::{Either, KeyContext, Order, Process, Timer};
use crate::time::ns;

/// An auction that is over, and the bid that won it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Won {
    /// The auction.
    pub auction: Auction,
    /// The highest bid that was made while it was open; of equal ones the first.
    pub bid: Bid,
}

/// Each auction that had a bid, when it is over.
///
/// ```sql
/// SELECT a.*, b.* FROM auction a JOIN bid b
/// ON a.id = b.auction AND b.at BETWEEN a.at AND a.expires
/// QUALIFY row_number() OVER (PARTITION BY a.id ORDER BY b.price DESC, b.at) = 1
/// ```
///
/// Keeps the auctions that are open, each with its best bid. Those that are open when the input
/// ends are over then.
pub fn winning<'p>(
    auctions: Stream<'p, impl Stage<Out = Auction>>,
    bids: Stream<'p, impl Stage<Out = Bid>>,
) -> Stream<'p, impl Stage<Out = Won>> {
    auctions
        .key_by(|auction| auction.id)
        .connect(bids.key_by(|bid| bid.auction))
        .process(Auctioneer)
}

struct Auctioneer;

/// An auction that is open, and its best bid so far.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Open {
    auction: Auction,
    best: Option<Bid>,
}

impl Process for Auctioneer {
    type Key = u64;
    type In = Either<Auction, Bid>;
    type State = Open;
    type Out = Won;

    const NAME: &'static str = "auctioneer";
    /// So a bid from before its auction was opened comes before it, and counts for nothing.
    const ORDER: Order = Order::Time;

    fn on_record(&mut self, record: Self::In, ctx: &mut KeyContext<'_, Self>) {
        match record {
            Either::Left(auction) => {
                // A bid at the last moment counts, and a timer comes before records of its time.
                ctx.set_timer(auction.expires + ns(1));
                *ctx.state() = Open { auction, best: None };
            }
            Either::Right(bid) if ctx.get().is_some() => {
                let best = &mut ctx.state().best;
                if best.is_none_or(|best| best.price < bid.price) {
                    *best = Some(bid);
                }
            }
            Either::Right(_) => (),
        }
    }

    fn on_timer(&mut self, _: Timer, ctx: &mut KeyContext<'_, Self>) {
        let Open { auction, best } = *ctx.state();
        ctx.clear();
        if let Some(bid) = best {
            ctx.emit(Won { auction, bid });
        }
    }
}
