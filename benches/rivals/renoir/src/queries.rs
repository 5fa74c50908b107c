//! Queries of NEXMark.

use std::collections::VecDeque;
use std::sync::Arc;

use millstream::nexmark::Event;
use renoir::Stream;
use renoir::operator::{Operator, StreamElement, Timestamp};
use renoir::prelude::*;
use rivals_workload::auctions::phrase;
use rivals_workload::by_hand::auctions::Step;
use rivals_workload::by_hand::sellers::{is_local, is_wanted};
use rivals_workload::by_hand::{Averages, Winners};
use rivals_workload::readings::SECOND;
use rivals_workload::{Digest, text};

use crate::digest;
use crate::source::Part;
use crate::times::{floor, watermarks, windows};
use crate::windows::BATCH;

pub fn query(context: &StreamContext, query: u8, all: &Arc<[Event]>) -> StreamOutput<Vec<Digest>> {
    match query {
        1 => q1(context, all),
        2 => q2(context, all),
        3 => q3(context, all),
        4 => q4(context, all),
        5 => q5(context, all),
        7 => q7(context, all),
        _ => q8(context, all),
    }
}

/// What a query takes of events.
fn taken<T: Clone + Send + 'static, F: Fn(Event) -> Option<T> + Clone + Send + 'static>(
    context: &StreamContext,
    all: &Arc<[Event]>,
    take: F,
) -> Stream<impl Operator<Out = T> + use<T, F>> {
    let all = all.clone();
    let part = move |replica: u64, replicas: u64| Part::new(&all, replica, replicas);
    context.stream_par_iter(part).batch_mode(BatchMode::fixed(BATCH)).filter_map(take)
}

fn q1(context: &StreamContext, all: &Arc<[Event]>) -> StreamOutput<Vec<Digest>> {
    let rows = taken(context, all, Event::bid).map(|bid| {
        let at = bid.at.as_nanos() as u64;
        [bid.auction, bid.bidder, bid.price * 908, at, phrase(&bid.extra)]
    });
    digest!(rows).collect_vec()
}

fn q2(context: &StreamContext, all: &Arc<[Event]>) -> StreamOutput<Vec<Digest>> {
    let rows = taken(context, all, Event::bid)
        .filter(|bid| bid.auction % 123 == 0)
        .map(|bid| [bid.auction, bid.price]);
    digest!(rows).collect_vec()
}

fn q3(context: &StreamContext, all: &Arc<[Event]>) -> StreamOutput<Vec<Digest>> {
    let people = taken(context, all, |event| event.person().as_ref().and_then(is_local));
    let auctions = taken(context, all, |event| event.auction().as_ref().and_then(is_wanted));
    let rows = people
        .join(auctions, |about| about[0], |(seller, _)| *seller)
        .drop_key()
        .map(|([_, name, city, state], (_, id))| [id, name, city, state]);
    digest!(rows).collect_vec()
}

/// By a function of its own, as in the engine's examples: auctions that are over.
fn q4(context: &StreamContext, all: &Arc<[Event]>) -> StreamOutput<Vec<Digest>> {
    let sold = taken(context, all, |event| Step::of(&event)).group_by(Step::auction);
    let sold = sold.rich_map_custom({
        let (mut winners, mut ready) = (Winners::default(), VecDeque::new());
        let mut is_over = false;
        move |mut input| loop {
            if let Some(row) = ready.pop_front() {
                return StreamElement::Item(row);
            }
            if std::mem::take(&mut is_over) {
                return StreamElement::FlushAndRestart;
            }
            let mut emit = |category: u64, price: u64| ready.push_back((category, price));
            match input.next() {
                StreamElement::Item((_, step)) | StreamElement::Timestamped((_, step), _) => {
                    winners.add(step, emit);
                }
                StreamElement::FlushAndRestart => {
                    winners.advance(i64::MAX, &mut emit);
                    is_over = true;
                }
                StreamElement::Watermark(at) => return StreamElement::Watermark(at),
                StreamElement::FlushBatch => return StreamElement::FlushBatch,
                StreamElement::Terminate => return StreamElement::Terminate,
            }
        }
    });
    let changes = sold.group_by(|(category, _)| *category).rich_map({
        let mut averages = Averages::default();
        move |(category, (_, price))| averages.add(*category, price)
    });
    let found = changes.drop_key().fold_assoc(
        Digest::default(),
        |digest, (before, now): (Option<[u64; 2]>, [u64; 2])| {
            before.into_iter().for_each(|before| digest.remove(before));
            digest.add(now);
        },
        |digest, other| digest.merge(other),
    );
    found.collect_vec()
}

/// Bids by auction and slide, and then a sliding window over those counts, in one place.
fn q5(context: &StreamContext, all: &Arc<[Event]>) -> StreamOutput<Vec<Digest>> {
    let slide = 2 * SECOND;
    let counts = taken(context, all, Event::bid)
        .map(|bid| (bid.at.as_nanos(), bid.auction))
        .add_timestamps(move |(at, _)| floor(*at, slide), watermarks())
        .group_by(|(_, auction)| *auction)
        .window(windows(slide, slide))
        .fold((0, 0), move |(end, count): &mut (i64, u64), (at, _)| {
            (*end, *count) = (floor(*at, slide) + slide, *count + 1);
        })
        .unkey()
        .map(|(auction, (end, count))| (end, auction, count));
    // Before the first one four that count for nothing, a slide apart: windows begin there.
    let counts = counts.rich_map_custom({
        let mut held = VecDeque::new();
        let mut is_first = true;
        move |mut input| {
            if let Some((count, at)) = held.pop_front() {
                return StreamElement::Timestamped(count, at);
            }
            match input.next() {
                StreamElement::Timestamped(count, at) if is_first => {
                    is_first = false;
                    let ghost = |slides: i64| ((0, 0, 0), at - slides * slide);
                    held.extend((1..4).rev().map(ghost));
                    held.push_back((count, at));
                    let (count, at) = ghost(4);
                    StreamElement::Timestamped(count, at)
                }
                other => other,
            }
        }
    });
    let rows = counts
        .window_all(windows(5 * slide, slide))
        .fold((0, Vec::new()), |(end, counts): &mut Hot, (ends, auction, count)| {
            *end = (*end).max(*ends);
            counts.push((*auction, *count));
        })
        .drop_key();
    let rows = rows.rich_map_custom(move |mut input| match input.next() {
        StreamElement::Timestamped((_, counts), at) => {
            // Counts are a nanosecond before the end of their slide, windows as much short.
            StreamElement::Timestamped(hottest(at + 2 - slide, counts), at)
        }
        StreamElement::Item(_) => unreachable!("windows give timestamps"),
        StreamElement::Watermark(at) => StreamElement::Watermark(at),
        StreamElement::FlushBatch => StreamElement::FlushBatch,
        StreamElement::Terminate => StreamElement::Terminate,
        StreamElement::FlushAndRestart => StreamElement::FlushAndRestart,
    });
    digest!(rows.flatten()).collect_vec()
}

/// The end of the last slide, and counts by auction.
type Hot = (i64, Vec<(u64, u64)>);

/// The auctions that no other had more bids than.
fn hottest(end: Timestamp, counts: Vec<(u64, u64)>) -> Vec<[u64; 3]> {
    let mut totals = rivals_workload::by_hand::Table::<u64, u64>::new();
    for (auction, count) in counts.into_iter().filter(|(_, count)| *count > 0) {
        *totals.entry(auction).or_default() += count;
    }
    let most = totals.values().copied().max().unwrap_or(0);
    let hot = totals.into_iter().filter(|(_, count)| *count == most);
    hot.map(|(auction, count)| [end as u64, auction, count]).collect()
}

fn q7(context: &StreamContext, all: &Arc<[Event]>) -> StreamOutput<Vec<Digest>> {
    let size = 10 * SECOND;
    // What leads here so far; the rest cannot lead anywhere.
    let ahead = {
        let mut latest = (i64::MIN, 0);
        move |event: Event| {
            let bid = event.bid()?;
            let window = floor(bid.at.as_nanos(), size);
            if latest.0 < window {
                latest = (window, 0);
            }
            let passes = latest.0 > window || latest.1 <= bid.price;
            if latest.0 == window {
                latest.1 = latest.1.max(bid.price);
            }
            let at = bid.at.as_nanos() as u64;
            passes.then(|| [bid.auction, bid.price, bid.bidder, at, phrase(&bid.extra)])
        }
    };
    let all = all.clone();
    let part = move |replica: u64, replicas: u64| Part::new(&all, replica, replicas);
    let rows = context
        .stream_par_iter(part)
        .batch_mode(BatchMode::fixed(BATCH))
        .rich_filter_map(ahead)
        .add_timestamps(move |row: &[u64; 5]| floor(row[3] as i64, size), watermarks())
        .window_all(windows(size, size))
        .fold(Vec::new(), |rows: &mut Vec<[u64; 5]>, row| {
            let most = rows.first().map_or(0, |first| first[1]);
            if row[1] > most {
                rows.clear();
            }
            if row[1] >= most {
                rows.push(*row);
            }
        })
        .drop_key()
        .flatten();
    digest!(rows).collect_vec()
}

fn q8(context: &StreamContext, all: &Arc<[Event]>) -> StreamOutput<Vec<Digest>> {
    let size = 10 * SECOND;
    let take = |event: Event| match event {
        Event::Person(person) => {
            Some((person.at.as_nanos(), person.id, Some(text(person.name.as_str()))))
        }
        Event::Auction(auction) => Some((auction.at.as_nanos(), auction.seller, None)),
        Event::Bid(_) => None,
    };
    let rows = taken(context, all, take)
        .add_timestamps(move |(at, ..)| floor(*at, size), watermarks())
        .group_by(|(_, id, _)| *id)
        .window(windows(size, size))
        .fold((0, None, false), move |seen: &mut (u64, Option<u64>, bool), (at, _, name)| {
            seen.0 = floor(*at, size) as u64;
            match name {
                Some(name) => seen.1 = Some(*name),
                None => seen.2 = true,
            }
        })
        .unkey()
        .filter_map(|(id, (start, name, sold))| {
            name.filter(|_| sold).map(|name| [id, name, start])
        });
    digest!(rows).collect_vec()
}
