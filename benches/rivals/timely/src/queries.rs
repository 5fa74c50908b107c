//! Queries of NEXMark. What a query does not ask about never enters the dataflow.

use millstream::nexmark::Event;
use rivals_workload::auctions::phrase;
use rivals_workload::by_hand::auctions::Step;
use rivals_workload::by_hand::sellers::{About, is_local, is_wanted};
use rivals_workload::by_hand::{Averages, Counts, Leading, Local, NewSellers, Winners};
use rivals_workload::digest::mix;
use rivals_workload::readings::SECOND;
use rivals_workload::{Digest, part, text};
use timely::ExchangeData;
use timely::dataflow::operators::Input;
use timely::dataflow::operators::vec::Map;
use timely::worker::Worker;

use crate::feed::{Feed, Probe};
use crate::operators::{Records, Rows, digest, keyed};
use crate::windows::closed;
use rival_timely::Found;

pub fn query(worker: &mut Worker, query: u8, all: &[Event], begin: impl FnOnce()) -> Found {
    match query {
        1 => run(worker, all, begin, 10 * SECOND, of_q1, q1),
        2 => run(worker, all, begin, 10 * SECOND, of_q2, q2),
        3 => run(worker, all, begin, 10 * SECOND, of_q3, q3),
        4 => run(worker, all, begin, SECOND, Step::of, q4),
        5 => run(worker, all, begin, 2 * SECOND, of_q5, q5),
        7 => run(worker, all, begin, 10 * SECOND, of_q7, q7),
        _ => run(worker, all, begin, 10 * SECOND, of_q8, q8),
    }
}

/// Runs a query over what `take` takes of each event; its timestamps are in units of `unit`.
fn run<T: ExchangeData + Clone>(
    worker: &mut Worker,
    all: &[Event],
    begin: impl FnOnce(),
    unit: i64,
    take: impl Fn(&Event) -> Option<T>,
    build: impl for<'s> FnOnce(Records<'s, T>, &Rows) -> Probe,
) -> Found {
    let rows = Rows::default();
    let (input, probe) = worker.dataflow::<u64, _, _>(|scope| {
        let (input, records) = scope.new_input::<Vec<T>>();
        (input, build(records, &rows))
    });
    begin();
    let mut feed = Feed::new(input);
    for some in part(all, worker.index(), worker.peers()) {
        for event in some {
            if let Some(record) = take(event) {
                feed.give((event.at().as_nanos() / unit) as u64, record);
            }
        }
        feed.step(worker, &probe);
    }
    drop(feed);
    while worker.has_dataflows() {
        worker.step();
    }
    Found { digest: *rows.borrow(), stamps: None }
}

fn of_q1(event: &Event) -> Option<[u64; 5]> {
    event.bid().map(|bid| {
        [bid.auction, bid.bidder, bid.price, bid.at.as_nanos() as u64, phrase(&bid.extra)]
    })
}

fn q1(bids: Records<'_, [u64; 5]>, rows: &Rows) -> Probe {
    let converted =
        bids.map(|[auction, bidder, price, at, extra]| [auction, bidder, price * 908, at, extra]);
    digest(converted, rows, |digest: &mut Digest, row| digest.add(row))
}

fn of_q2(event: &Event) -> Option<[u64; 2]> {
    event.bid().map(|bid| [bid.auction, bid.price])
}

fn q2(bids: Records<'_, [u64; 2]>, rows: &Rows) -> Probe {
    use timely::dataflow::operators::vec::Filter;
    let some = bids.filter(|[auction, _]| auction % 123 == 0);
    digest(some, rows, |digest: &mut Digest, row| digest.add(row))
}

/// A person, or the seller and the id of an auction.
fn of_q3(event: &Event) -> Option<(u64, Result<About, u64>)> {
    match event {
        Event::Person(person) => is_local(person).map(|about| (person.id, Ok(about))),
        Event::Auction(auction) => is_wanted(auction).map(|(seller, id)| (seller, Err(id))),
        Event::Bid(_) => None,
    }
}

fn q3(records: Records<'_, (u64, Result<About, u64>)>, rows: &Rows) -> Probe {
    let joined = keyed(
        records,
        |record| mix(record.0) >> 32,
        Local::default(),
        |local, some, rows| {
            for (seller, what) in some.drain(..) {
                match what {
                    Ok(about) => local.person(about, |row| rows.push(row)),
                    Err(id) => local.auction((seller, id), |row| rows.push(row)),
                }
            }
        },
        |_, _, _| (),
    );
    digest(joined, rows, |digest: &mut Digest, row: [u64; 4]| digest.add(row))
}

/// Two workers give steps that are not in order: they wait until their second is over.
fn q4(steps: Records<'_, Step>, rows: &Rows) -> Probe {
    let sold = keyed(
        steps,
        |step| mix(step.auction()) >> 32,
        (Vec::new(), Winners::default()),
        |(waiting, _), some, _| waiting.append(some),
        |(waiting, winners), reached, emit| {
            let to = closed(reached, SECOND);
            waiting.sort_by_key(Step::at);
            let due = waiting.partition_point(|step| step.at() < to);
            for step in waiting.drain(..due) {
                winners.add(step, |category, price| emit([category, price]));
            }
            winners.advance(to, |category, price| emit([category, price]));
        },
    );
    let averages = keyed(
        sold,
        |[category, _]| *category,
        Averages::default(),
        |averages, some, changes| {
            let change = |[category, price]: [u64; 2]| averages.add(category, price);
            changes.extend(some.drain(..).map(change));
        },
        |_, _, _| (),
    );
    digest(averages, rows, |digest: &mut Digest, (before, now)| {
        if let Some(before) = before {
            digest.remove(before);
        }
        digest.add(now);
    })
}

fn of_q5(event: &Event) -> Option<(i64, u64)> {
    event.bid().map(|bid| (bid.at.as_nanos(), bid.auction))
}

fn q5(bids: Records<'_, (i64, u64)>, rows: &Rows) -> Probe {
    let counts = keyed(
        bids,
        |(_, auction)| mix(*auction) >> 32,
        Counts::new(2 * SECOND, 5),
        |counts, some, _| some.drain(..).for_each(|(at, auction)| counts.add(at, auction)),
        |counts, reached, emit| counts.advance(closed(reached, 2 * SECOND), emit),
    );
    let hot = keyed(
        counts,
        |_| 0,
        Leading::<3>::default(),
        |leading, some, _| {
            some.drain(..).for_each(|row| leading.add(row[0] as i64, row[2], row));
        },
        |leading, reached, emit| {
            // The windows that end with a slice come under the time behind it at the latest.
            let to = closed(reached, 2 * SECOND);
            leading.advance(to, |_, row| emit(row));
        },
    );
    digest(hot, rows, |digest: &mut Digest, row: [u64; 3]| digest.add(row))
}

fn of_q7(event: &Event) -> Option<[u64; 5]> {
    event.bid().map(|bid| {
        [bid.auction, bid.price, bid.bidder, bid.at.as_nanos() as u64, phrase(&bid.extra)]
    })
}

/// Each worker lets pass what leads there, and one of them finds what leads.
fn q7(bids: Records<'_, [u64; 5]>, rows: &Rows) -> Probe {
    use timely::dataflow::operators::vec::Filter;
    let size = 10 * SECOND as u64;
    let mut latest = (0, 0);
    let ahead = bids.filter(move |[_, price, _, at, _]| {
        let window = at / size;
        if latest.0 < window {
            latest = (window, 0);
        }
        let passes = latest.0 > window || latest.1 <= *price;
        latest.1 = latest.1.max(if latest.0 == window { *price } else { 0 });
        passes
    });
    let highest = keyed(
        ahead,
        |_| 0,
        Leading::<5>::default(),
        move |leading, some, _| {
            let end = |row: &[u64; 5]| ((row[3] / size + 1) * size) as i64;
            some.drain(..).for_each(|row| leading.add(end(&row), row[1], row));
        },
        |leading, reached, emit| {
            leading.advance(closed(reached, 10 * SECOND), |_, row| emit(row));
        },
    );
    digest(highest, rows, |digest: &mut Digest, row: [u64; 5]| digest.add(row))
}

/// A person with the word of their name, or a seller; and when.
fn of_q8(event: &Event) -> Option<(i64, u64, Option<u64>)> {
    match event {
        Event::Person(person) => {
            Some((person.at.as_nanos(), person.id, Some(text(person.name.as_str()))))
        }
        Event::Auction(auction) => Some((auction.at.as_nanos(), auction.seller, None)),
        Event::Bid(_) => None,
    }
}

fn q8(records: Records<'_, (i64, u64, Option<u64>)>, rows: &Rows) -> Probe {
    let sellers = keyed(
        records,
        |(_, id, _)| mix(*id) >> 32,
        NewSellers::new(10 * SECOND),
        |sellers, some, rows| {
            for (at, id, name) in some.drain(..) {
                match name {
                    Some(name) => sellers.person(at, id, name, |row| rows.push(row)),
                    None => sellers.auction(at, id, |row| rows.push(row)),
                }
            }
        },
        |sellers, reached, _| sellers.advance(closed(reached, 10 * SECOND)),
    );
    digest(sellers, rows, |digest: &mut Digest, row: [u64; 3]| digest.add(row))
}
