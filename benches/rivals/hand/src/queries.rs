//! Queries of NEXMark on one thread.

use millstream::nexmark::Event;
use rivals_workload::auctions::phrase;
use rivals_workload::by_hand::auctions::Step;
use rivals_workload::by_hand::sellers::{is_local, is_wanted};
use rivals_workload::by_hand::{Averages, Counts, Leading, Local, NewSellers, Winners};
use rivals_workload::readings::SECOND;
use rivals_workload::{Digest, text};

/// The result of a query.
pub fn query(query: u8, events: &[Event]) -> Digest {
    match query {
        1 => q1(events),
        2 => q2(events),
        3 => q3(events),
        4 => q4(events),
        5 => q5(events),
        7 => q7(events),
        _ => q8(events),
    }
}

fn q1(events: &[Event]) -> Digest {
    let mut digest = Digest::default();
    for event in events {
        if let Event::Bid(bid) = event {
            let at = bid.at.as_nanos() as u64;
            digest.add([bid.auction, bid.bidder, bid.price * 908, at, phrase(&bid.extra)]);
        }
    }
    digest
}

fn q2(events: &[Event]) -> Digest {
    let mut digest = Digest::default();
    for event in events {
        match event {
            Event::Bid(bid) if bid.auction % 123 == 0 => digest.add([bid.auction, bid.price]),
            _ => (),
        }
    }
    digest
}

fn q3(events: &[Event]) -> Digest {
    let (mut digest, mut local) = (Digest::default(), Local::default());
    for event in events {
        match event {
            Event::Person(person) => {
                if let Some(about) = is_local(person) {
                    local.person(about, |row| digest.add(row));
                }
            }
            Event::Auction(auction) => {
                if let Some(wanted) = is_wanted(auction) {
                    local.auction(wanted, |row| digest.add(row));
                }
            }
            Event::Bid(_) => (),
        }
    }
    digest
}

fn q4(events: &[Event]) -> Digest {
    let mut digest = Digest::default();
    let (mut winners, mut averages) = (Winners::default(), Averages::default());
    let mut sold = |category, price| {
        let (before, now) = averages.add(category, price);
        if let Some(before) = before {
            digest.remove(before);
        }
        digest.add(now);
    };
    for step in events.iter().filter_map(Step::of) {
        winners.add(step, &mut sold);
    }
    winners.advance(i64::MAX, &mut sold);
    digest
}

fn q5(events: &[Event]) -> Digest {
    let (mut digest, mut counts) = (Digest::default(), Counts::new(2 * SECOND, 5));
    let mut closed = i64::MIN;
    for event in events {
        if let Event::Bid(bid) = event {
            let at = bid.at.as_nanos();
            // Windows end every two seconds: a look at them costs more than one at the number.
            if at >= closed {
                counts.advance(at, |row| digest.add(row));
                closed = (at.div_euclid(2 * SECOND) + 1) * (2 * SECOND);
            }
            counts.add(at, bid.auction);
        }
    }
    counts.advance(i64::MAX, |row| digest.add(row));
    digest
}

fn q7(events: &[Event]) -> Digest {
    let (mut digest, mut highest) = (Digest::default(), Leading::<5>::default());
    let (mut end, mut most) = (i64::MIN, 0);
    for event in events {
        if let Event::Bid(bid) = event {
            let at = bid.at.as_nanos();
            if at >= end {
                highest.advance(end, |_, row| digest.add(row));
                (end, most) = ((at.div_euclid(10 * SECOND) + 1) * (10 * SECOND), 0);
            }
            if bid.price >= most {
                most = bid.price;
                let row = [bid.auction, bid.price, bid.bidder, at as u64, phrase(&bid.extra)];
                highest.add(end, most, row);
            }
        }
    }
    highest.advance(i64::MAX, |_, row| digest.add(row));
    digest
}

fn q8(events: &[Event]) -> Digest {
    let (mut digest, mut sellers) = (Digest::default(), NewSellers::new(10 * SECOND));
    for event in events {
        let at = event.at().as_nanos();
        match event {
            Event::Person(person) => {
                sellers.advance(at);
                let name = text(person.name.as_str());
                sellers.person(at, person.id, name, |row| digest.add(row));
            }
            Event::Auction(auction) => {
                sellers.auction(at, auction.seller, |row| digest.add(row));
            }
            Event::Bid(_) => (),
        }
    }
    digest
}
