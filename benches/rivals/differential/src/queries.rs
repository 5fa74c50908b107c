//! Queries of NEXMark. What a query does not ask about never enters the dataflow.

use differential_dataflow::AsCollection;
use differential_dataflow::input::InputSession;
use differential_dataflow::operators::CountTotal;
use millstream::nexmark::Event;
use rivals_workload::auctions::phrase;
use rivals_workload::by_hand::auctions::Step;
use rivals_workload::by_hand::sellers::{About, is_local, is_wanted};
use rivals_workload::readings::SECOND;
use rivals_workload::{part, text};
use timely::dataflow::operators::vec::Map;
use timely::worker::Worker;

use crate::collections::{Probe, Rows, Take, Taken, digest, finish, step};
use rival_timely::Found;

const TEN: u64 = 10 * SECOND as u64;
const SLIDE: u64 = 2 * SECOND as u64;

pub fn query(worker: &mut Worker, query: u8, all: &[Event], begin: impl FnOnce()) -> Found {
    match query {
        1 => run(worker, all, begin, TEN, of_q1, |bids, rows| {
            let row = |[auction, bidder, price, at, extra]: [u64; 5]| {
                [auction, bidder, price * 908, at, extra]
            };
            digest(bids.map(row), rows)
        }),
        2 => run(worker, all, begin, TEN, of_q2, |bids, rows| {
            digest(bids.filter(|[auction, _]| auction % 123 == 0), rows)
        }),
        3 => run(worker, all, begin, TEN, of_q3, q3),
        4 => run(worker, all, begin, TEN, Step::of, q4),
        5 => run(worker, all, begin, SLIDE, of_q5, q5),
        7 => run(worker, all, begin, TEN, of_q7, q7),
        _ => run(worker, all, begin, TEN, of_q8, q8),
    }
}

/// Runs a query over what `take` takes of each event; logical time is in units of `unit`.
fn run<T: Take>(
    worker: &mut Worker,
    all: &[Event],
    begin: impl FnOnce(),
    unit: u64,
    take: impl Fn(&Event) -> Option<T>,
    build: impl for<'s> FnOnce(Taken<'s, T>, &Rows) -> Probe,
) -> Found {
    let (rows, mut input) = (Rows::default(), InputSession::new());
    let probe = worker.dataflow(|scope| build(input.to_collection(scope), &rows));
    begin();
    for some in part(all, worker.index(), worker.peers()) {
        for event in some {
            if let Some(record) = take(event) {
                input.advance_to(event.at().as_nanos() as u64 / unit);
                input.update(record, 1);
            }
        }
        step(worker, &mut input, &probe);
    }
    drop(input);
    finish(worker, &rows)
}

fn of_q1(event: &Event) -> Option<[u64; 5]> {
    event.bid().map(|bid| {
        [bid.auction, bid.bidder, bid.price, bid.at.as_nanos() as u64, phrase(&bid.extra)]
    })
}

fn of_q2(event: &Event) -> Option<[u64; 2]> {
    event.bid().map(|bid| [bid.auction, bid.price])
}

/// A person, or the seller and the id of an auction.
fn of_q3(event: &Event) -> Option<(u64, Result<About, u64>)> {
    match event {
        Event::Person(person) => is_local(person).map(|about| (person.id, Ok(about))),
        Event::Auction(auction) => is_wanted(auction).map(|(seller, id)| (seller, Err(id))),
        Event::Bid(_) => None,
    }
}

fn q3(records: Taken<'_, (u64, Result<About, u64>)>, rows: &Rows) -> Probe {
    let people = records.clone().flat_map(|(id, what)| what.ok().map(|about| (id, about)));
    let auctions = records.flat_map(|(seller, what)| what.err().map(|id| (seller, id)));
    let found = people.join_map(auctions, |_, about, id| [*id, about[1], about[2], about[3]]);
    digest(found, rows)
}

fn q4(steps: Taken<'_, Step>, rows: &Rows) -> Probe {
    let auctions = steps.clone().flat_map(|step| match step {
        Step::Auction { id, at, expires, category } => Some((id, (at, expires, category))),
        Step::Bid { .. } => None,
    });
    let bids = steps.flat_map(|step| match step {
        Step::Bid { auction, at, price } => Some((auction, (at, price))),
        Step::Auction { .. } => None,
    });
    let averages = auctions
        .join_map(bids, |id, (opened, expires, category), (at, price)| {
            let counts = opened <= at && at <= expires;
            ((*id, *category), if counts { *price } else { 0 })
        })
        .filter(|(_, price)| *price > 0)
        .reduce(|_, prices, highest| {
            highest.extend(prices.last().map(|(price, _)| (**price, 1)));
        })
        .map(|((_, category), price)| (category, price))
        .explode(|(category, price)| Some((category, (price as isize, 1isize))))
        .count_total()
        .map(|(category, (sum, count))| [category, (sum / count) as u64]);
    digest(averages, rows)
}

fn of_q5(event: &Event) -> Option<(u64, u64)> {
    event.bid().map(|bid| (bid.auction, (bid.at.as_nanos() as u64 / SLIDE + 1) * SLIDE))
}

fn q5(bids: Taken<'_, (u64, u64)>, rows: &Rows) -> Probe {
    let of_windows = bids.count_total().inner.flat_map(|(((auction, end), count), time, _)| {
        (0..5).map(move |slide| ((auction, end + slide * SLIDE), time + slide, count))
    });
    let counts = of_windows.as_collection().count_total();
    let hot = counts.map(|((auction, end), count)| (end, (count as u64, auction))).reduce(
        |_, counts, hot| {
            let most = counts.last().map_or(0, |(last, _)| last.0);
            let first = counts.partition_point(|(count, _)| count.0 < most);
            hot.extend(counts[first..].iter().map(|(count, _)| (**count, 1)));
        },
    );
    digest(hot.map(|(end, (count, auction))| [end, auction, count]), rows)
}

/// The window, and what a bid says with its price first.
fn of_q7(event: &Event) -> Option<(u64, [u64; 5])> {
    event.bid().map(|bid| {
        let at = bid.at.as_nanos() as u64;
        (at / TEN, [bid.price, bid.auction, bid.bidder, at, phrase(&bid.extra)])
    })
}

fn q7(bids: Taken<'_, (u64, [u64; 5])>, rows: &Rows) -> Probe {
    let highest = bids.reduce(|_, bids, highest| {
        let most = bids.last().map_or(0, |(last, _)| last[0]);
        let first = bids.partition_point(|(bid, _)| bid[0] < most);
        highest.extend(bids[first..].iter().map(|(bid, change)| (**bid, *change)));
    });
    let row = |(_, [price, auction, bidder, at, extra]): (u64, [u64; 5])| {
        [auction, price, bidder, at, extra]
    };
    digest(highest.map(row), rows)
}

/// Somebody and the start of a window; the word of their name if they came, nothing if they sold.
fn of_q8(event: &Event) -> Option<((u64, u64), Option<u64>)> {
    let start = event.at().as_nanos() as u64 / TEN * TEN;
    match event {
        Event::Person(person) => Some(((person.id, start), Some(text(person.name.as_str())))),
        Event::Auction(auction) => Some(((auction.seller, start), None)),
        Event::Bid(_) => None,
    }
}

fn q8(records: Taken<'_, ((u64, u64), Option<u64>)>, rows: &Rows) -> Probe {
    let people = records.clone().flat_map(|(who, name)| name.map(|name| (who, name)));
    let sellers = records.filter(|(_, name)| name.is_none()).map(|(who, _)| who).distinct();
    let found = people.semijoin(sellers).map(|((id, start), name)| [id, name, start]);
    digest(found, rows)
}
