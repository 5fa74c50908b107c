//! Query 3: who sells what where we are. Two tables joined by a foreign key.

use serde::{Deserialize, Serialize};

use super::model::{Auction, Person};
use crate::dataflow::{Change, Stage, Stream};
use crate::state::Text;
use crate::table::Changes;

/// A seller of an auction, whose id is the key.
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
/// sellers. A table of changes, by auction. Keeps the people and auctions that pass the filters,
/// for ever: at most `keys_max` on a shard.
pub fn q03<'p>(
    people: Stream<'p, impl Stage<Out = Person>>,
    auctions: Stream<'p, impl Stage<Out = Auction>>,
) -> Changes<'p, u64, Seller, impl Stage<Out = (u64, Change<Seller>)>> {
    let sellers = people
        .filter(|person| ["OR", "ID", "CA"].contains(&person.state.as_str()))
        .key_by(|person| person.id)
        .table(|Person { name, city, state, .. }| {
            Some(Seller { name: *name, city: *city, state: *state })
        });
    auctions
        .filter(|auction| auction.category == 10)
        .key_by(|auction| auction.id)
        .table(|auction| Some(auction.seller))
        .join_foreign(sellers, |_auction, seller| Some(*seller))
        .select(|_seller, about| *about)
}
