//! Query 3: who sells what where we are. Two streams joined for ever.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::model::{Auction, Person};
use crate::dataflow::{Stage, Stream};
use crate::join::{after, before};
use crate::state::Text;

/// A seller of an auction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Seller {
    /// First and last.
    pub name: Text<16>,
    /// Where they live.
    pub city: Text<13>,
    /// Oregon, Idaho or California.
    pub state: Text<2>,
}

/// The auctions of category 10 by people in Oregon, Idaho and California.
///
/// ```sql
/// SELECT p.name, p.city, p.state, a.id FROM auction a JOIN person p ON a.seller = p.id
/// WHERE a.category = 10 AND p.state IN ('OR', 'ID', 'CA')
/// ```
///
/// Whichever of the two comes first waits for the other; some auctions do come ahead of their
/// sellers. Nobody comes twice and no auction is changed, so a row that is out stays: this is a
/// join of two streams, and of each only what is asked for goes into it. Where rows change, take
/// [`join_foreign`](crate::table::Changes::join_foreign). Keeps the people and auctions that
/// pass the filters, for ever: at most `records_max` on a shard.
pub fn q03<'p>(
    people: Stream<'p, impl Stage<Out = Person>>,
    auctions: Stream<'p, impl Stage<Out = Auction>>,
) -> Stream<'p, impl Stage<Out = (u64, Seller)>> {
    let sellers = people
        .filter(|person| ["OR", "ID", "CA"].contains(&person.state.as_str()))
        .map(|Person { id, name, city, state, .. }| (id, Seller { name, city, state }));
    let wanted = auctions
        .filter(|auction| auction.category == 10)
        .map(|auction| (auction.seller, auction.id));
    wanted
        .key_by(|(seller, _)| *seller)
        .interval_join(sellers.key_by(|(id, _)| *id))
        .between(before(Duration::MAX), after(Duration::MAX))
        .select(|(_, auction), (_, about)| (*auction, *about))
}
