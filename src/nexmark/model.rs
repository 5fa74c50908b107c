//! Who and what there is at the auction house.

use serde::{Deserialize, Serialize};

use super::words::{Channel, Phrase, Url};
use crate::state::Text;
use crate::time::Timestamp;

/// Somebody who may sell and bid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Person {
    /// Theirs alone.
    pub id: u64,
    /// First and last.
    pub name: Text<16>,
    /// Where they can be written to.
    pub email: Text<16>,
    /// Four times four digits.
    pub credit_card: Text<19>,
    /// In the United States.
    pub city: Text<13>,
    /// In two letters.
    pub state: Text<2>,
    /// When they came.
    pub at: Timestamp,
    /// What else was said.
    pub extra: Phrase,
}

/// Something that is for sale.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Auction {
    /// Its alone.
    pub id: u64,
    /// What is sold.
    pub item: Phrase,
    /// In more words.
    pub description: Phrase,
    /// What is asked at first, in cents.
    pub initial_bid: u64,
    /// What must be reached, in cents.
    pub reserve: u64,
    /// When it was opened.
    pub at: Timestamp,
    /// The last moment at which a bid counts.
    pub expires: Timestamp,
    /// The [`Person`] who sells.
    pub seller: u64,
    /// One of five, from 10 on.
    pub category: u64,
    /// What else was said.
    pub extra: Phrase,
}

/// What somebody would pay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Bid {
    /// The [`Auction`].
    pub auction: u64,
    /// The [`Person`] who would pay.
    pub bidder: u64,
    /// How much, in cents.
    pub price: u64,
    /// What it came through.
    pub channel: Channel,
    /// The address that it was made at.
    pub url: Url,
    /// When it was made.
    pub at: Timestamp,
    /// What else was said.
    pub extra: Phrase,
}

/// The one stream that everything comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Event {
    /// Somebody came.
    Person(Person),
    /// Something was put up for sale.
    Auction(Auction),
    /// Somebody bid.
    Bid(Bid),
}

impl Event {
    /// When it happened.
    #[inline]
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Person(person) => person.at,
            Self::Auction(auction) => auction.at,
            Self::Bid(bid) => bid.at,
        }
    }

    /// The bid, if it is one.
    #[inline]
    pub fn bid(self) -> Option<Bid> {
        match self {
            Self::Bid(bid) => Some(bid),
            _ => None,
        }
    }

    /// The auction, if it is one.
    #[inline]
    pub fn auction(self) -> Option<Auction> {
        match self {
            Self::Auction(auction) => Some(auction),
            _ => None,
        }
    }

    /// The person, if it is one.
    #[inline]
    pub fn person(self) -> Option<Person> {
        match self {
            Self::Person(person) => Some(person),
            _ => None,
        }
    }
}
