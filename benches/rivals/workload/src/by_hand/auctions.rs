//! NEXMark 4: what auctions go for, on average by category.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use serde::{Deserialize, Serialize};

use super::Table;

/// What the query takes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Step {
    /// Open until then.
    Auction {
        /// Its own.
        id: u64,
        /// When it was opened.
        at: i64,
        /// The last moment at which a bid counts.
        expires: i64,
        /// One of five.
        category: u64,
    },
    /// For an auction.
    Bid {
        /// Which one.
        auction: u64,
        /// When.
        at: i64,
        /// How much.
        price: u64,
    },
}

impl Step {
    /// What the query takes of an event.
    pub fn of(event: &millstream::nexmark::Event) -> Option<Self> {
        use millstream::nexmark::Event;
        match event {
            Event::Person(_) => None,
            Event::Auction(auction) => Some(Self::Auction {
                id: auction.id,
                at: auction.at.as_nanos(),
                expires: auction.expires.as_nanos(),
                category: auction.category,
            }),
            Event::Bid(bid) => {
                Some(Self::Bid { auction: bid.auction, at: bid.at.as_nanos(), price: bid.price })
            }
        }
    }

    /// When it happened.
    pub fn at(&self) -> i64 {
        match self {
            Self::Auction { at, .. } | Self::Bid { at, .. } => *at,
        }
    }

    /// The auction.
    pub fn auction(&self) -> u64 {
        match self {
            Self::Auction { id, .. } => *id,
            Self::Bid { auction, .. } => *auction,
        }
    }
}

/// The auctions that are open, each with its category and best price, and their ends.
#[derive(Clone, Default)]
pub struct Winners {
    open: Table<u64, (u64, u64)>,
    ends: BinaryHeap<Reverse<(i64, u64)>>,
}

impl Winners {
    /// Takes a step, in order of time. A row is category and price of an auction that is over.
    #[inline]
    pub fn add(&mut self, step: Step, emit: impl FnMut(u64, u64)) {
        self.advance(step.at(), emit);
        match step {
            Step::Auction { id, expires, category, .. } => {
                self.open.insert(id, (category, 0));
                self.ends.push(Reverse((expires, id)));
            }
            Step::Bid { auction, price, .. } => {
                if let Some((_, best)) = self.open.get_mut(&auction) {
                    *best = price.max(*best);
                }
            }
        }
    }

    /// Ends the auctions that are over before then.
    #[inline]
    pub fn advance(&mut self, to: i64, mut emit: impl FnMut(u64, u64)) {
        while let Some(Reverse((expires, id))) = self.ends.peek().copied()
            && expires < to
        {
            self.ends.pop();
            match self.open.remove(&id) {
                Some((category, best)) if best > 0 => emit(category, best),
                _ => (),
            }
        }
    }
}

/// The average price by category.
#[derive(Clone, Default)]
pub struct Averages {
    totals: Table<u64, (u64, u64)>,
}

impl Averages {
    /// Takes a price; the row before, if there was one, and the row now: category and average.
    pub fn add(&mut self, category: u64, price: u64) -> (Option<[u64; 2]>, [u64; 2]) {
        let (sum, count) = self.totals.entry(category).or_default();
        let before = sum.checked_div(*count).map(|average| [category, average]);
        (*sum, *count) = (*sum + price, *count + 1);
        (before, [category, *sum / *count])
    }
}
