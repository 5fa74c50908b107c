//! The one stream of events, taken apart into those that queries are about.

use std::time::Duration;

use super::model::{Auction, Bid, Event, Person};
use crate::dataflow::{Stage, Stream};
use crate::time::{Timestamp, Watermarks};

/// Events by the time at which they happened, of which none lies further behind than `disorder`.
pub fn by_event_time<'p>(
    events: Stream<'p, impl Stage<Out = Event>>,
    disorder: Duration,
) -> Stream<'p, impl Stage<Out = Event>> {
    events.event_time(Event::at, Watermarks::bounded_disorder(disorder))
}

/// The bids.
pub fn bids<'p>(events: Stream<'p, impl Stage<Out = Event>>) -> Stream<'p, impl Stage<Out = Bid>> {
    events.filter_map(Event::bid)
}

/// The auctions, and the bids.
pub fn auctions_and_bids<'p>(
    events: Stream<'p, impl Stage<Out = Event>>,
) -> (Stream<'p, impl Stage<Out = Auction>>, Stream<'p, impl Stage<Out = Bid>>) {
    let (bids, auctions) = events.side_output(|event| match event {
        Event::Bid(bid) => Ok(Some(bid)),
        Event::Auction(auction) => Err(auction),
        Event::Person(_) => Ok(None),
    });
    (auctions, bids.filter_map(|bid| bid))
}

/// The people, and the auctions.
pub fn people_and_auctions<'p>(
    events: Stream<'p, impl Stage<Out = Event>>,
) -> (Stream<'p, impl Stage<Out = Person>>, Stream<'p, impl Stage<Out = Auction>>) {
    // Most events are bids: they are gone before anything is copied.
    let events = events.filter(|event| !matches!(event, Event::Bid(_)));
    let (rest, people) = events.side_output(|event| event.person().map_or(Ok(event), Err));
    (people, rest.filter_map(Event::auction))
}

/// The day of a time, since the first of January 1970.
pub fn day(at: Timestamp) -> i64 {
    at.as_nanos().div_euclid(DAY.as_nanos() as i64)
}

/// The minute of a time within its day.
pub fn minute(at: Timestamp) -> u16 {
    (at.as_nanos().rem_euclid(DAY.as_nanos() as i64) / 60_000_000_000) as u16
}

/// How long a day is.
pub const DAY: Duration = Duration::from_secs(24 * 60 * 60);
