//! What happens at the auction house, made up: the same every time.

use std::time::Duration;

use fastrand::Rng;

use super::model::{Auction, Bid, Event, Person};
use super::words::{Channel, Phrase};
use crate::state::{Key, Text};
use crate::time::{Timestamp, nanos};

/// Of so many events in a row one is a person, three are auctions and all others bids.
const EPOCH: u64 = 50;
const PEOPLE: u64 = 1;
const AUCTIONS: u64 = 3;
/// So many people, or auctions, share one who is hot.
const HOT_OF: u64 = 100;
/// People and auctions are named that many ahead of their coming, so that they seem to come late.
const LEAD: u64 = 10;
/// Where ids and categories begin.
const FIRST_ID: u64 = 1_000;
const FIRST_CATEGORY: u64 = 10;
const CATEGORIES: u64 = 5;

const STATES: [&str; 6] = ["AZ", "CA", "ID", "OR", "WA", "WY"];
const CITIES: [&str; 10] = [
    "Phoenix",
    "Los Angeles",
    "San Francisco",
    "Boise",
    "Portland",
    "Bend",
    "Redmond",
    "Seattle",
    "Kent",
    "Cheyenne",
];
const FIRST_NAMES: [&str; 11] = [
    "Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter",
];
const LAST_NAMES: [&str; 9] =
    ["Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris"];

/// The generator and its settings; those of the original unless set otherwise.
///
/// Event `n` is a function of the settings and of `n` alone, so that shards share a sequence
/// without a word, and it happens at `start + n * period`.
///
/// ```
/// use millstream::nexmark::{Event, Nexmark};
/// let nexmark = Nexmark { seed: 7, ..Nexmark::default() };
/// assert!(matches!(nexmark.event(0), Event::Person(_)));
/// assert!(matches!(nexmark.event(1), Event::Auction(_)));
/// assert_eq!(nexmark.event(49), nexmark.event(49));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nexmark {
    /// Another seed, another sequence.
    pub seed: u64,
    /// When the first event happens.
    pub start: Timestamp,
    /// Between two events.
    pub period: Duration,
    /// Events that change places with each other on their way; 1 of them is in order.
    pub disorder: u64,
    /// People of whom bids and auctions may be.
    pub active_people: u64,
    /// Auctions that are open at once, on average.
    pub open_auctions: u64,
    /// Of so many auctions all but one are of a hot seller.
    pub hot_sellers: u64,
    /// Of so many bids all but one are for a hot auction.
    pub hot_auctions: u64,
    /// Of so many bids all but one are by a hot bidder.
    pub hot_bidders: u64,
    /// Of so many bids all but one come through a hot channel.
    pub hot_channels: u32,
}

impl Default for Nexmark {
    /// Ten thousand events a second from the 15th of July 2015 on.
    fn default() -> Self {
        Self {
            seed: 0,
            start: Timestamp::from_millis(1_436_918_400_000),
            period: Duration::from_micros(100),
            disorder: 1,
            active_people: 1_000,
            open_auctions: 100,
            hot_sellers: 4,
            hot_auctions: 2,
            hot_bidders: 4,
            hot_channels: 2,
        }
    }
}

impl Nexmark {
    /// The event of this number, in the order in which they happen.
    pub fn event(&self, number: u64) -> Event {
        let mut rng = Rng::with_seed(number.mix(self.seed));
        let at = self.at(number);
        match number % EPOCH {
            ..PEOPLE => Event::Person(person(number, at, &mut rng)),
            PEOPLE..=AUCTIONS => Event::Auction(self.auction(number, at, &mut rng)),
            _ => Event::Bid(self.bid(number, at, &mut rng)),
        }
    }

    /// The event that comes at this place, in the order in which they come. As many of them as are
    /// a whole number of groups are the same as in order.
    pub fn arrival(&self, place: u64) -> Event {
        let group = place / self.disorder;
        // A prime, so that each place of a group is met once.
        let turned = place % self.disorder * 1_000_003 + group.mix(self.seed) % self.disorder;
        self.event(group * self.disorder + turned % self.disorder)
    }

    /// How far an event may lie behind the latest one before it.
    pub fn disorder_span(&self) -> Duration {
        Duration::from_nanos(self.span(self.disorder))
    }

    /// How far apart an auction and a bid for it may be at most.
    pub fn reach(&self) -> Duration {
        let auctions = self.open_auctions.max(HOT_OF) + LEAD;
        Duration::from_nanos(self.span((auctions / AUCTIONS + 2) * EPOCH))
    }

    fn at(&self, number: u64) -> Timestamp {
        self.start.offset(self.span(number) as i64)
    }

    /// How long so many events take, in nanoseconds.
    fn span(&self, events: u64) -> u64 {
        events * nanos(self.period) as u64
    }

    fn auction(&self, number: u64, at: Timestamp, rng: &mut Rng) -> Auction {
        let seller = match rng.u64(..self.hot_sellers) > 0 {
            true => last_person(number) / HOT_OF * HOT_OF,
            false => self.some_person(number, rng),
        };
        let initial_bid = price(rng);
        let (item, description) = (phrase(rng, 20), phrase(rng, 100));
        let length = self.span(self.open_auctions * EPOCH / AUCTIONS);
        let lengths = 8 * 6 + item.as_str().len() + description.as_str().len();
        Auction {
            id: last_auction(number) + FIRST_ID,
            item,
            description,
            initial_bid,
            reserve: initial_bid + price(rng),
            at,
            expires: at.offset(1 + rng.u64(..2 * length.max(1)) as i64),
            seller: seller + FIRST_ID,
            category: FIRST_CATEGORY + rng.u64(..CATEGORIES),
            extra: extra(rng, lengths, 500),
        }
    }

    fn bid(&self, number: u64, at: Timestamp, rng: &mut Rng) -> Bid {
        let auction = match rng.u64(..self.hot_auctions) > 0 {
            true => last_auction(number) / HOT_OF * HOT_OF,
            false => {
                let last = last_auction(number);
                let first = last.saturating_sub(self.open_auctions);
                rng.u64(first..=last + LEAD)
            }
        };
        let bidder = match rng.u64(..self.hot_bidders) > 0 {
            // Another than the hot seller.
            true => last_person(number) / HOT_OF * HOT_OF + 1,
            false => self.some_person(number, rng),
        };
        let price = price(rng);
        let channel = Channel::random(rng, self.hot_channels);
        Bid {
            auction: auction + FIRST_ID,
            bidder: bidder + FIRST_ID,
            price,
            channel,
            url: channel.url(),
            at,
            extra: extra(rng, 8 * 4, 100),
        }
    }

    /// One of those who are active, or will be.
    fn some_person(&self, number: u64, rng: &mut Rng) -> u64 {
        let people = last_person(number) + 1;
        let active = people.min(self.active_people);
        people - active + rng.u64(..active + LEAD)
    }
}

fn person(number: u64, at: Timestamp, rng: &mut Rng) -> Person {
    let name = text(&format!("{} {}", choose(rng, &FIRST_NAMES), choose(rng, &LAST_NAMES)));
    let email = text(&format!("{}@{}.com", letters(rng, 7), letters(rng, 5)));
    let mut four = || rng.u16(..10_000);
    let (a, b, c, d) = (four(), four(), four(), four());
    let credit_card = text(&format!("{a:04} {b:04} {c:04} {d:04}"));
    let (city, state) = (text(choose(rng, &CITIES)), text(choose(rng, &STATES)));
    let length = 8 + name.len() + email.len() + credit_card.len() + city.len() + state.len();
    let extra = extra(rng, length, 200);
    Person { id: last_person(number) + FIRST_ID, name, email, credit_card, city, state, at, extra }
}

/// The last person who had come when event `number` happened, counted from 0.
fn last_person(number: u64) -> u64 {
    number / EPOCH
}

/// The last auction that had been opened when event `number`, no person, happened.
fn last_auction(number: u64) -> u64 {
    let within = (number % EPOCH).min(AUCTIONS);
    number / EPOCH * AUCTIONS + within.saturating_sub(PEOPLE)
}

/// From one to a million dollars, each power of ten as likely, in cents.
fn price(rng: &mut Rng) -> u64 {
    (10f64.powf(rng.f64() * 6.0) * 100.0).round() as u64
}

/// At least three letters, and less than `most`.
fn letters(rng: &mut Rng, most: usize) -> String {
    (0..rng.usize(3..most)).map(|_| rng.lowercase()).collect()
}

fn phrase(rng: &mut Rng, most: usize) -> Phrase {
    let length = rng.usize(3..most);
    Phrase::random(rng, length)
}

/// What brings a record of `length` bytes to `wanted` on average, a fifth of that more or less.
fn extra(rng: &mut Rng, length: usize, wanted: usize) -> Phrase {
    let missing = wanted.saturating_sub(length);
    let (least, most) = (missing - missing / 5, missing + missing / 5);
    let length = if least < most { rng.usize(least..most) } else { missing };
    Phrase::random(rng, length)
}

fn choose<'a>(rng: &mut Rng, from: &[&'a str]) -> &'a str {
    from.get(rng.usize(..from.len())).copied().unwrap_or_default()
}

/// No text of the lists above is too long.
fn text<const N: usize>(words: &str) -> Text<N> {
    Text::new(words).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ids_are_given_one_after_the_other() {
        let nexmark = Nexmark::default();
        let events: Vec<_> = (0..500).map(|number| nexmark.event(number)).collect();
        let people = events.iter().filter_map(|event| event.person()).map(|person| person.id);
        let auctions = events.iter().filter_map(|event| event.auction()).map(|auction| auction.id);
        assert!(people.eq(1_000..1_010) && auctions.eq(1_000..1_030));
        assert!(events.iter().filter_map(|e| e.person()).all(|p| p.email.len() >= 10));
    }

    #[test]
    fn a_whole_number_of_groups_is_the_same_events_in_another_order() {
        let nexmark = Nexmark { disorder: 64, seed: 3, ..Nexmark::default() };
        let numbers: Vec<_> = (0..640).map(|place| nexmark.arrival(place)).collect();
        let (mut latest, mut behind) = (Timestamp::MIN, 0);
        for event in &numbers {
            let at = event.at();
            assert!(at >= latest - nexmark.disorder_span());
            behind += usize::from(at < latest);
            latest = latest.max(at);
        }
        assert!(behind > 320, "{behind}");
        let times: BTreeSet<_> = numbers.iter().map(Event::at).collect();
        assert!(times.into_iter().eq((0..640).map(|number| nexmark.event(number).at())));
    }

    #[test]
    fn a_bid_is_within_reach_of_its_auction() {
        let nexmark = Nexmark::default();
        let opened = |id: u64| {
            let number = (id - FIRST_ID) / AUCTIONS * EPOCH + (id - FIRST_ID) % AUCTIONS + PEOPLE;
            nexmark.event(number).auction().unwrap()
        };
        for bid in (0..100_000).filter_map(|number| nexmark.event(number).bid()) {
            let auction = opened(bid.auction);
            assert_eq!(auction.id, bid.auction);
            let apart = bid.at.max(auction.at) - bid.at.min(auction.at);
            assert!(apart <= nexmark.reach(), "{bid:?} {auction:?}");
        }
    }
}
