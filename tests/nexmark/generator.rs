//! The generator beside another one: their events are distributed alike.

use millstream::nexmark::{Event, Nexmark};
use nexmark::EventGenerator;
use nexmark::config::NexmarkConfig;
use nexmark::event::Event as Theirs;

/// So many events of each: a share of bids is then known to about half a percent.
const EVENTS: usize = 100_000;

/// What is looked at of an event, the same of both.
enum Seen {
    Person { id: u64, state: String, text: usize },
    Auction { id: u64, seller: u64, category: u64, price: u64, open_ms: f64, text: usize },
    Bid { auction: u64, bidder: u64, price: u64, channel: String, url: String, text: usize },
}

fn ours() -> Vec<Seen> {
    let nexmark = Nexmark::default();
    let events = (0..EVENTS as u64).map(|number| nexmark.event(number));
    let seen = events.map(|event| match event {
        Event::Person(person) => Seen::Person {
            id: person.id,
            state: person.state.to_string(),
            text: person.extra.as_str().len(),
        },
        Event::Auction(auction) => Seen::Auction {
            id: auction.id,
            seller: auction.seller,
            category: auction.category,
            price: auction.initial_bid,
            open_ms: (auction.expires - auction.at).as_secs_f64() * 1e3,
            // The other one makes all names and descriptions as long as they may be.
            text: auction.extra.as_str().len()
                + auction.item.as_str().len()
                + auction.description.as_str().len(),
        },
        Event::Bid(bid) => Seen::Bid {
            auction: bid.auction,
            bidder: bid.bidder,
            price: bid.price,
            channel: bid.channel.as_str().to_owned(),
            url: bid.url.as_str().to_owned(),
            text: bid.extra.as_str().len(),
        },
    });
    seen.collect()
}

fn theirs() -> Vec<Seen> {
    let config = NexmarkConfig { base_time: 1_436_918_400_000, ..NexmarkConfig::default() };
    let seen = EventGenerator::new(config).take(EVENTS).map(|event| match event {
        Theirs::Person(person) => Seen::Person {
            id: person.id as u64,
            state: person.state.to_uppercase(),
            text: person.extra.len(),
        },
        Theirs::Auction(auction) => Seen::Auction {
            id: auction.id as u64,
            seller: auction.seller as u64,
            category: auction.category as u64,
            price: auction.initial_bid as u64,
            open_ms: (auction.expires - auction.date_time) as f64,
            text: auction.extra.len() + auction.item_name.len() + auction.description.len(),
        },
        Theirs::Bid(bid) => Seen::Bid {
            auction: bid.auction as u64,
            bidder: bid.bidder as u64,
            price: bid.price as u64,
            channel: bid.channel,
            url: bid.url,
            text: bid.extra.len(),
        },
    });
    seen.collect()
}

/// The mean of what `of` makes of those events that it makes something of.
fn mean(events: &[Seen], of: impl Fn(&Seen) -> Option<f64>) -> f64 {
    let values: Vec<f64> = events.iter().filter_map(of).collect();
    values.iter().sum::<f64>() / values.len() as f64
}

/// A number by which the two generators are compared: its name, what it is, and how far apart it
/// may be, as a part of it.
type Mark = (&'static str, fn(&Seen) -> Option<f64>, f64);

fn share(is: bool) -> Option<f64> {
    Some(f64::from(u8::from(is)))
}

const MARKS: &[Mark] = &[
    ("people", |seen| share(matches!(seen, Seen::Person { .. })), 0.0),
    ("auctions", |seen| share(matches!(seen, Seen::Auction { .. })), 0.0),
    ("bids for the hot auction", |seen| bid(seen, |b| share(b.0 % 100 == 0)), 0.02),
    ("bids by the hot bidder", |seen| bid(seen, |b| share(b.1 % 100 == 1)), 0.02),
    ("price of bids, its logarithm", |seen| bid(seen, |b| Some((b.2 as f64).log10())), 0.01),
    ("bids above 10 000 dollars", |seen| bid(seen, |b| share(b.2 >= 1_000_000)), 0.03),
    ("bids through hot channels", |seen| bid(seen, |b| share(!b.3.starts_with("channel"))), 0.02),
    ("addresses with a channel", |seen| bid(seen, |b| share(b.4.contains("channel_id="))), 0.03),
    ("folders of addresses", |seen| bid(seen, |b| Some(b.4.split('/').count() as f64)), 0.0),
    ("text of bids", |seen| bid(seen, |b| Some(b.5 as f64)), 0.02),
    ("auctions of the hot seller", |seen| auction(seen, |a| share(a.1 % 100 == 0)), 0.03),
    ("auctions of category 12", |seen| auction(seen, |a| share(a.2 == 12)), 0.1),
    (
        "price of auctions, its logarithm",
        |seen| auction(seen, |a| Some((a.3 as f64).log10())),
        0.02,
    ),
    ("milliseconds auctions are open", |seen| auction(seen, |a| Some(a.4)), 0.05),
    ("text of auctions", |seen| auction(seen, |a| Some(a.5 as f64)), 0.02),
    ("the last auction", |seen| auction(seen, |a| Some(a.0 as f64)), 0.0),
    ("people in Oregon", |seen| person(seen, |p| share(p.0 == "OR")), 0.15),
    ("text of people", |seen| person(seen, |p| Some(p.1 as f64)), 0.05),
];

/// Values whose spread is compared: what they are, all of them, and how far apart the parts may be
/// that lie below the same value: three times and more what chance makes of so many. Lengths may be
/// further apart: a fifth that theirs rounds ours cuts off. Those of people and auctions are not
/// here, since theirs gives all names the most letters that they may have.
type Spread = (&'static str, fn(&[Seen]) -> Vec<f64>, f64);

const SPREADS: &[Spread] = &[
    ("prices of bids", |all| each(all, |seen| bid(seen, |b| Some(b.2 as f64))), 0.01),
    ("prices of auctions", |all| each(all, |seen| auction(seen, |a| Some(a.3 as f64))), 0.03),
    ("how long auctions are open", |all| each(all, |seen| auction(seen, |a| Some(a.4))), 0.03),
    ("categories", |all| each(all, |seen| auction(seen, |a| Some(a.2 as f64))), 0.03),
    ("numbers of channels", |all| each(all, |seen| bid(seen, |b| channel_number(b.3))), 0.01),
    ("lengths of bids", |all| each(all, |seen| bid(seen, |b| Some(b.5 as f64))), 0.04),
    ("how far back auctions of bids lie", |all| back(all, auction_id, auction_of_bid), 0.01),
    ("how far back bidders lie", |all| back(all, person_id, bidder), 0.01),
    ("how far back sellers lie", |all| back(all, person_id, seller), 0.03),
];

fn each(events: &[Seen], of: fn(&Seen) -> Option<f64>) -> Vec<f64> {
    events.iter().filter_map(of).collect()
}

/// How far those that are named lie behind the newest that has come, or ahead of it.
fn back(
    events: &[Seen],
    newest: fn(&Seen) -> Option<u64>,
    named: fn(&Seen) -> Option<u64>,
) -> Vec<f64> {
    let mut last = 0;
    let step = |seen: &Seen| {
        last = newest(seen).unwrap_or(last);
        named(seen).map(|id| last as f64 - id as f64)
    };
    events.iter().filter_map(step).collect()
}

fn person_id(seen: &Seen) -> Option<u64> {
    match seen {
        Seen::Person { id, .. } => Some(*id),
        _ => None,
    }
}

fn auction_id(seen: &Seen) -> Option<u64> {
    match seen {
        Seen::Auction { id, .. } => Some(*id),
        _ => None,
    }
}

fn seller(seen: &Seen) -> Option<u64> {
    match seen {
        Seen::Auction { seller, .. } => Some(*seller),
        _ => None,
    }
}

fn auction_of_bid(seen: &Seen) -> Option<u64> {
    match seen {
        Seen::Bid { auction, .. } => Some(*auction),
        _ => None,
    }
}

fn bidder(seen: &Seen) -> Option<u64> {
    match seen {
        Seen::Bid { bidder, .. } => Some(*bidder),
        _ => None,
    }
}

fn channel_number(channel: &str) -> Option<f64> {
    channel.strip_prefix("channel-")?.parse().ok()
}

fn person(seen: &Seen, of: fn((&str, usize)) -> Option<f64>) -> Option<f64> {
    match seen {
        Seen::Person { state, text, .. } => of((state, *text)),
        _ => None,
    }
}

fn auction(seen: &Seen, of: fn((u64, u64, u64, u64, f64, usize)) -> Option<f64>) -> Option<f64> {
    match *seen {
        Seen::Auction { id, seller, category, price, open_ms, text } => {
            of((id, seller, category, price, open_ms, text))
        }
        _ => None,
    }
}

fn bid(seen: &Seen, of: fn((u64, u64, u64, &str, &str, usize)) -> Option<f64>) -> Option<f64> {
    match seen {
        Seen::Bid { auction, bidder, price, channel, url, text } => {
            of((*auction, *bidder, *price, channel, url, *text))
        }
        _ => None,
    }
}

#[test]
fn events_are_distributed_as_those_of_another_generator() {
    let (ours, theirs) = (ours(), theirs());
    for (name, of, apart) in MARKS {
        let (our, their) = (mean(&ours, of), mean(&theirs, of));
        assert!((our - their).abs() <= apart * their + 1e-9, "{name}: {our}, and there {their}");
    }
}

/// What a mean does not tell: at each tenth of their values, as large a part of ours lies below.
#[test]
fn values_are_spread_as_those_of_another_generator() {
    let (ours, theirs) = (ours(), theirs());
    for (name, of, apart) in SPREADS {
        let [ours, theirs] = [&ours, &theirs].map(|events| {
            let mut values = of(events);
            values.sort_by(f64::total_cmp);
            values
        });
        for tenth in 1..10 {
            let value = theirs[theirs.len() * tenth / 10];
            let [our, their] = [&ours, &theirs].map(|values| {
                values.partition_point(|other| *other <= value) as f64 / values.len() as f64
            });
            let off = (our - their).abs();
            assert!(off <= *apart, "{name}: {our} of ours up to {value}, and {their} of theirs");
        }
    }
}
