//! Queries of NEXMark, as `millstream::nexmark` has them.

use std::sync::Arc;

use millstream::nexmark::{
    Bid, Converted, Event, Highest, HotItem, Seller, auctions_and_bids, bids, people_and_auctions,
    q01, q02, q03, q04, q05, q07, q08,
};
use millstream::{Change, Pipeline, Stage, Stream, Text, Timestamp};
use rivals_workload::auctions::phrase;
use rivals_workload::{Digest, text};

use crate::sinks::{Found, Rows};
use crate::source::Chunks;

/// Puts a query between events in memory and a hash of its rows.
pub fn build(p: Pipeline<'_>, query: u8, all: &Arc<[Event]>, into: &Found) {
    let events = p.source(Chunks::new(all, &p, |event: &Event| event.at().as_nanos()));
    match query {
        1 => q01(bids(events)).sink(Rows::new(into, |digest: &mut Digest, row: Converted| {
            let Converted { auction, bidder, price, at, extra } = row;
            digest.add([auction, bidder, price, at.as_nanos() as u64, phrase(&extra)]);
        })),
        2 => q02(bids(events)).sink(Rows::new(into, |digest: &mut Digest, (auction, price)| {
            digest.add([auction, price]);
        })),
        3 => {
            let (people, auctions) = people_and_auctions(events);
            q03(people, auctions).sink(Rows::new(into, local));
        }
        4 => {
            let (auctions, bids) = auctions_and_bids(events);
            q04(auctions, bids).to_changes().sink(Rows::new(into, average));
        }
        5 => q05(bids(events)).sink(Rows::new(into, |digest: &mut Digest, row: HotItem| {
            digest.add([row.end.as_nanos() as u64, row.auction, row.bids]);
        })),
        7 => highest(bids(events), into),
        _ => {
            let (people, auctions) = people_and_auctions(events);
            q08(people, auctions).sink(Rows::new(into, new_seller));
        }
    }
}

fn local(digest: &mut Digest, (auction, Seller { name, city, state }): (u64, Seller)) {
    digest.add([auction, text(name.as_str()), text(city.as_str()), text(state.as_str())]);
}

fn average(digest: &mut Digest, (category, change): (u64, Change<u64>)) {
    change.before().into_iter().for_each(|before| digest.remove([category, *before]));
    change.after().into_iter().for_each(|after| digest.add([category, *after]));
}

fn highest<'p>(bids: Stream<'p, impl Stage<Out = Bid>>, into: &Found) {
    q07(bids).sink(Rows::new(into, |digest: &mut Digest, row: Highest| {
        let Highest { auction, price, bidder, at, extra } = row;
        digest.add([auction, price, bidder, at.as_nanos() as u64, phrase(&extra)]);
    }));
}

fn new_seller(digest: &mut Digest, (id, name, start): (u64, Text<16>, Timestamp)) {
    digest.add([id, text(name.as_str()), start.as_nanos() as u64]);
}
