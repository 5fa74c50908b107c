//! Queries of NEXMark. What a query does not ask about never enters the circuit.

use std::sync::PoisonError;
use std::time::Instant;

use dbsp::operator::Max;
use dbsp::utils::{Tup2, Tup3, Tup4, Tup5};
use dbsp::{DBData, Error, IndexedZSetHandle, RootCircuit};
use millstream::nexmark::Event;
use rivals_workload::auctions::phrase;
use rivals_workload::by_hand::sellers::{is_local, is_wanted};
use rivals_workload::readings::SECOND;
use rivals_workload::{Outcome, text};

use crate::circuit::{Found, Rows, Table, build, digest, finish, units};
use crate::view::View;
use crate::windows::bounds;

const TEN: i64 = 10 * SECOND;
const SLIDE: i64 = 2 * SECOND;
/// Slides in a window of query 5.
const OVERLAP: i64 = 5;

type Four = Tup4<u64, u64, u64, u64>;
type Five = Tup5<u64, u64, u64, u64, u64>;

pub fn query(workers: usize, query: u8, all: &[Event]) -> Result<Outcome, Error> {
    match query {
        1 => of_bids(workers, all, five, |bids, found| {
            let converted = bids.map_index(|(Tup5(auction, bidder, price, at, extra), _)| {
                (Tup5(*auction, *bidder, price * 908, *at, *extra), ())
            });
            digest(&converted, found, |Tup5(a, b, c, d, e), ()| [a, b, c, d, e]);
        }),
        2 => of_bids(
            workers,
            all,
            |bid| (Tup2(bid[0], bid[2]), ()),
            |bids, found| {
                let some = bids.filter(|(Tup2(auction, _), ())| auction % 123 == 0);
                digest(&some, found, |Tup2(auction, price), ()| [auction, price]);
            },
        ),
        3 => of_two(
            workers,
            all,
            person_nearby,
            |event| event.auction().as_ref().and_then(is_wanted),
            q3,
        ),
        4 => of_two(workers, all, auction, bid_for, q4),
        5 => q5(workers, all),
        7 => of_bids(workers, all, of_q7, q7),
        _ => of_two(workers, all, came, sold, q8),
    }
}

/// Auction, bidder, price, time and phrase of a bid.
fn words(event: &Event) -> Option<[u64; 5]> {
    event.bid().map(|bid| {
        [bid.auction, bid.bidder, bid.price, bid.at.as_nanos() as u64, phrase(&bid.extra)]
    })
}

fn five([auction, bidder, price, at, extra]: [u64; 5]) -> (Five, ()) {
    (Tup5(auction, bidder, price, at, extra), ())
}

/// Runs a query over bids.
fn of_bids<K: DBData, V: DBData>(
    workers: usize,
    all: &[Event],
    take: impl Fn([u64; 5]) -> (K, V),
    query: impl Fn(&Rows<K, V>, &Found) + Clone + Send + 'static,
) -> Result<Outcome, Error> {
    let found = Found::default();
    let into = found.clone();
    let (mut circuit, handle) = build(workers, move |circuit| {
        let (bids, handle) = circuit.add_input_indexed_zset();
        query(&bids, &into);
        handle
    })?;
    let (begun, mut table) = (Instant::now(), Table::new(handle));
    for (_, some) in units(all, TEN, at) {
        for (key, value) in some.iter().filter_map(words).map(&take) {
            table.give(key, value);
        }
        table.send();
        circuit.transaction()?;
    }
    finish(circuit, begun, &found)
}

/// Runs a query over two relations.
fn of_two<K: DBData, V: DBData, L: DBData, W: DBData>(
    workers: usize,
    all: &[Event],
    one: impl Fn(&Event) -> Option<(K, V)>,
    other: impl Fn(&Event) -> Option<(L, W)>,
    query: impl Fn(&Rows<K, V>, &Rows<L, W>, &Found) + Clone + Send + 'static,
) -> Result<Outcome, Error> {
    let found = Found::default();
    let into = found.clone();
    let (mut circuit, handles) = build(workers, move |circuit| {
        let (one, to_one) = circuit.add_input_indexed_zset();
        let (other, to_other) = circuit.add_input_indexed_zset();
        query(&one, &other, &into);
        (to_one, to_other)
    })?;
    let begun = Instant::now();
    let (mut to_one, mut to_other) = (Table::new(handles.0), Table::new(handles.1));
    for (_, some) in units(all, TEN, at) {
        for event in some {
            if let Some((key, value)) = one(event) {
                to_one.give(key, value);
            } else if let Some((key, value)) = other(event) {
                to_other.give(key, value);
            }
        }
        to_one.send();
        to_other.send();
        circuit.transaction()?;
    }
    finish(circuit, begun, &found)
}

fn at(event: &Event) -> i64 {
    event.at().as_nanos()
}

/// Somebody who lives where query 3 looks, with three texts.
fn person_nearby(event: &Event) -> Option<(u64, Tup3<u64, u64, u64>)> {
    let [id, name, city, state] = event.person().as_ref().and_then(is_local)?;
    Some((id, Tup3(name, city, state)))
}

fn q3(people: &Rows<u64, Tup3<u64, u64, u64>>, auctions: &Rows<u64, u64>, found: &Found) {
    let found_by = people.join_index(auctions, |_, Tup3(name, city, state), id| {
        Some((Tup4(*id, *name, *city, *state), ()))
    });
    digest(&found_by, found, |Tup4(a, b, c, d): Four, ()| [a, b, c, d]);
}

/// An auction: when it opens, the last moment at which a bid counts, its category.
fn auction(event: &Event) -> Option<(u64, Tup3<i64, i64, u64>)> {
    let auction = event.auction()?;
    let (opens, expires) = (auction.at.as_nanos(), auction.expires.as_nanos());
    Some((auction.id, Tup3(opens, expires, auction.category)))
}

fn bid_for(event: &Event) -> Option<(u64, Tup2<i64, u64>)> {
    event.bid().map(|bid| (bid.auction, Tup2(bid.at.as_nanos(), bid.price)))
}

fn q4(auctions: &Rows<u64, Tup3<i64, i64, u64>>, bids: &Rows<u64, Tup2<i64, u64>>, found: &Found) {
    let prices =
        auctions.join_index(bids, |id, Tup3(opens, expires, category), Tup2(at, price)| {
            (opens <= at && at <= expires).then_some((Tup2(*id, *category), *price))
        });
    let best = prices.aggregate(Max).map_index(|(Tup2(_, category), price)| (*category, *price));
    let averages = best.aggregate_linear_postprocess(
        |price| Tup2(*price as i64, 1),
        |Tup2(sum, count): Tup2<i64, i64>| sum / count,
    );
    digest(&averages, found, |category, average| [category, average as u64]);
}

/// Bids are counted by slide and auction as they come in, where the count is their weight.
fn q5(workers: usize, all: &[Event]) -> Result<Outcome, Error> {
    let (found, view) = (Found::default(), View::<u64, i64>::default());
    let seen = view.clone();
    let (mut circuit, (handle, clock)) = build(workers, move |circuit| hot(circuit, &seen))?;
    let (begun, mut table) = (Instant::now(), Table::new(handle));
    let mut close = |end: i64| -> Result<(), Error> {
        clock.set_for_all(end);
        circuit.transaction()?;
        let mut digest = found.lock().unwrap_or_else(PoisonError::into_inner);
        view.each(|auction, bids| digest.add([end as u64, *auction, *bids as u64]));
        Ok(())
    };
    let mut last = 0;
    for (slide, some) in units(all, SLIDE, at) {
        last = (slide + 1) * SLIDE;
        for bid in some.iter().filter_map(|event| event.bid()) {
            table.give(last, bid.auction);
        }
        table.send();
        close(last)?;
    }
    (1..OVERLAP).try_for_each(|slide| close(last + slide * SLIDE))?;
    finish(circuit, begun, &found)
}

/// The auctions of the last five slides that no other had more bids than.
fn hot(
    circuit: &mut RootCircuit,
    seen: &View<u64, i64>,
) -> (IndexedZSetHandle<i64, u64>, dbsp::InputHandle<i64>) {
    let (bids, handle) = circuit.add_input_indexed_zset::<i64, u64>();
    let (now, clock) = circuit.add_input_stream::<i64>();
    let in_window = bids.window((true, true), &bounds(&now, OVERLAP, SLIDE));
    let counts = in_window.map(|(_, auction)| *auction).weighted_count();
    let most = counts.map_index(|(_, count)| ((), *count)).aggregate(Max);
    let by_count = counts.map_index(|(auction, count)| (*count, *auction));
    let most = most.map_index(|((), most)| (*most, ()));
    seen.follow(&most.join_index(&by_count, |count, (), auction| Some((*auction, *count))));
    (handle, clock)
}

/// The window that a bid is in, and the bid.
fn of_q7(bid: [u64; 5]) -> (i64, Five) {
    (bid[3] as i64 / TEN, five(bid).0)
}

fn q7(bids: &Rows<i64, Five>, found: &Found) {
    let highest = bids.map_index(|(window, bid)| (*window, bid.2)).aggregate(Max);
    let highest = highest.map_index(|(window, price)| (Tup2(*window, *price), ()));
    let by_price = bids.map_index(|(window, bid)| (Tup2(*window, bid.2), *bid));
    let leading = highest.join_index(&by_price, |_, (), bid| Some((*bid, ())));
    digest(&leading, found, |Tup5(auction, bidder, price, at, extra), ()| {
        [auction, price, bidder, at, extra]
    });
}

/// Who came, in which window, and the word of their name.
fn came(event: &Event) -> Option<(Tup2<i64, u64>, u64)> {
    let person = event.person()?;
    Some((Tup2(at(event) / TEN, person.id), text(person.name.as_str())))
}

/// Who sold, in which window.
fn sold(event: &Event) -> Option<(Tup2<i64, u64>, ())> {
    event.auction().map(|auction| (Tup2(at(event) / TEN, auction.seller), ()))
}

fn q8(people: &Rows<Tup2<i64, u64>, u64>, sellers: &Rows<Tup2<i64, u64>, ()>, found: &Found) {
    let both = people.join_index(&sellers.distinct(), |Tup2(window, id), name, ()| {
        Some((Tup3(*id, *name, (window * TEN) as u64), ()))
    });
    digest(&both, found, |Tup3(id, name, start), ()| [id, name, start]);
}
