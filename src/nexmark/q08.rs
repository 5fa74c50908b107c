//! Query 8: who came and sold at once. A join in windows.

use super::model::{Auction, Person};
use crate::dataflow::{Stage, Stream};
use crate::state::Text;
use crate::time::{Timestamp, secs};
use crate::window::Tumbling;

/// The people who opened an auction in the ten seconds in which they came: id, name, and when
/// these began.
///
/// ```sql
/// SELECT DISTINCT p.id, p.name, window_start(p.at, 10 s) FROM person p JOIN auction a
/// ON p.id = a.seller AND window_start(p.at, 10 s) = window_start(a.at, 10 s)
/// ```
///
/// A semi join: a person who opened two comes out once. Keeps the people and the auctions of the
/// windows that are open.
pub fn q08<'p>(
    people: Stream<'p, impl Stage<Out = Person>>,
    auctions: Stream<'p, impl Stage<Out = Auction>>,
) -> Stream<'p, impl Stage<Out = (u64, Text<16>, Timestamp)>> {
    people
        .key_by(|person| person.id)
        .window_join(auctions.map(|auction| auction.seller).key_by(|seller| *seller))
        .window(Tumbling::of(secs(10)))
        .semi()
        .map(|person| {
            let since = person.at.as_nanos().rem_euclid(10_000_000_000);
            (person.id, person.name, person.at.offset(-since))
        })
}
