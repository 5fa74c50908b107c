//! The winning bid of each auction: what queries 4, 6 and 9 have in common.
//!
//! A process function of two inputs, with state by auction, a timer for its end, and records in
//! the order of time, whatever the order in which they came.

use std::marker::PhantomData;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::model::{Auction, Bid};
use crate::dataflow::{Stage, Stream};
use crate::operators::{Either, KeyContext, Order, Process, Timer};
use crate::state::State;
use crate::time::{Timestamp, ns};

/// An auction that is over, and the bid that won it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Won<A = Auction, B = Bid> {
    /// The auction.
    pub auction: A,
    /// The highest bid that was made while it was open; of equal ones the first.
    pub bid: B,
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
    won(auctions, bids)
}

/// What each auction went for that had a bid, when it is over: what `of` says of the auction, and
/// the price in cents.
///
/// What is not asked about is left behind before anything is sent or kept.
pub(super) fn paid<'p>(
    auctions: Stream<'p, impl Stage<Out = Auction>>,
    bids: Stream<'p, impl Stage<Out = Bid>>,
    of: impl Fn(&Auction) -> u64 + 'static,
) -> Stream<'p, impl Stage<Out = (u64, u64)>> {
    let lots = auctions.map(move |auction| {
        let Auction { id, expires, .. } = auction;
        Lot { id, expires, of: of(&auction) }
    });
    let offers = bids.map(|bid| Offer { auction: bid.auction, price: bid.price });
    won(lots, offers).map(|won| (won.auction.of, won.bid.price))
}

fn won<'p, A: ForSale, B: Bidding>(
    auctions: Stream<'p, impl Stage<Out = A>>,
    bids: Stream<'p, impl Stage<Out = B>>,
) -> Stream<'p, impl Stage<Out = Won<A, B>>> {
    auctions
        .key_by(|auction| auction.id())
        .connect(bids.key_by(|bid| bid.auction()))
        .process(Auctioneer(PhantomData))
}

/// As much of an auction as decides who wins it.
trait ForSale: State + Send + Serialize + DeserializeOwned {
    fn id(&self) -> u64;
    /// The last moment at which a bid counts.
    fn expires(&self) -> Timestamp;
}

/// As much of a bid.
trait Bidding: State + Send + Serialize + DeserializeOwned {
    fn auction(&self) -> u64;
    fn price(&self) -> u64;
}

impl ForSale for Auction {
    fn id(&self) -> u64 {
        self.id
    }

    fn expires(&self) -> Timestamp {
        self.expires
    }
}

impl Bidding for Bid {
    fn auction(&self) -> u64 {
        self.auction
    }

    fn price(&self) -> u64 {
        self.price
    }
}

/// An auction of which nothing but the price matters, and what for.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Lot {
    id: u64,
    expires: Timestamp,
    of: u64,
}

impl ForSale for Lot {
    fn id(&self) -> u64 {
        self.id
    }

    fn expires(&self) -> Timestamp {
        self.expires
    }
}

/// A bid of which nothing but the price matters.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Offer {
    auction: u64,
    price: u64,
}

impl Bidding for Offer {
    fn auction(&self) -> u64 {
        self.auction
    }

    fn price(&self) -> u64 {
        self.price
    }
}

struct Auctioneer<A, B>(PhantomData<fn() -> (A, B)>);

/// An auction that is open, and its best bid so far.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Open<A, B> {
    auction: A,
    best: Option<B>,
}

impl<A: ForSale, B: Bidding> Process for Auctioneer<A, B> {
    type Key = u64;
    type In = Either<A, B>;
    type State = Open<A, B>;
    type Out = Won<A, B>;

    const NAME: &'static str = "auctioneer";
    /// So a bid from before its auction was opened comes before it, and counts for nothing.
    const ORDER: Order = Order::Time;

    #[inline(always)]
    fn on_record(&mut self, record: Self::In, ctx: &mut KeyContext<'_, Self>) {
        match record {
            Either::Left(auction) => {
                // A bid at the last moment counts, and a timer comes before records of its time.
                ctx.set_timer(auction.expires() + ns(1));
                *ctx.state() = Open { auction, best: None };
            }
            Either::Right(bid) => {
                if let Some(Open { best, .. }) = ctx.get_mut()
                    && best.is_none_or(|best| best.price() < bid.price())
                {
                    *best = Some(bid);
                }
            }
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
