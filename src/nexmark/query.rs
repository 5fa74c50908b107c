//! All queries by name.

use std::fmt;
use std::hash::Hash;
use std::str::FromStr;
use std::time::Duration;

use serde::Serialize;

use super::*;
use crate::dataflow::{Change, Stage, Stream};
use crate::error::ConfigError;
use crate::state::{Key, State};
use crate::table::Changes;

/// One of the queries, 0 to 22.
///
/// ```
/// use millstream::nexmark::Query;
/// assert_eq!("q5".parse::<Query>()?.to_string(), "q5");
/// assert!("q23".parse::<Query>().is_err());
/// # Ok::<(), millstream::error::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Query(u8);

/// How many there are.
const COUNT: u8 = 23;

/// A row of a result.
pub trait Row: Clone + Hash + Serialize + Send + 'static {}

impl<R: Clone + Hash + Serialize + Send + 'static> Row for R {}

/// Whoever takes the result of a query, whatever its rows are.
pub trait Results {
    /// The rows that come, and those that are taken back. To be ended in a sink.
    fn take<R: Row>(self, rows: Stream<'_, impl Stage<Out = Change<R>>>);
}

impl Query {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..COUNT).map(Self)
    }

    /// Which one it is.
    pub fn number(self) -> u8 {
        self.0
    }

    /// Puts the query between events, as they come from the source of `nexmark`, and whoever takes
    /// the result.
    ///
    /// ```
    /// use millstream::io::Generator;
    /// use millstream::nexmark::{Nexmark, Query, Results, Row};
    /// use millstream::{Change, Simulation, Stage, Stream};
    ///
    /// struct Print;
    /// impl Results for Print {
    ///     fn take<R: Row>(self, rows: Stream<'_, impl Stage<Out = Change<R>>>) {
    ///         rows.for_each(|change| assert!(change.value.after().is_some()));
    ///     }
    /// }
    ///
    /// # fn main() -> millstream::Result<()> {
    /// let nexmark = Nexmark::default();
    /// Simulation::new(2, 0).run(|p| {
    ///     let events = Generator::flat_out(10_000.0, move |place, _| nexmark.arrival(place))?;
    ///     let events = events.start_at(nexmark.start).count(1_000).share(p.shard(), p.shards());
    ///     "q5".parse::<Query>()?.run(p.source(events), &nexmark, Print);
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn run<'p>(
        self,
        events: Stream<'p, impl Stage<Out = Event>>,
        nexmark: &Nexmark,
        into: impl Results,
    ) {
        let reach = nexmark.reach();
        if self.0 == 12 {
            return rows(q12(bids(events)), into);
        }
        let events = by_event_time(events, nexmark.disorder_span());
        match self.0 {
            0 => rows(q00(bids(events)), into),
            1 => rows(q01(bids(events)), into),
            2 => rows(q02(bids(events)), into),
            3 | 8 => of_people(self.0, events, into),
            4 | 6 | 9 | 20 => of_auctions(self.0, events, reach, into),
            5 => rows(q05(bids(events)), into),
            7 => rows(q07(bids(events)), into),
            10 => rows(q10(bids(events)), into),
            11 => rows(q11(bids(events)), into),
            13 => rows(q13(bids(events)), into),
            14 => rows(q14(bids(events)), into),
            15 => rows(q15(bids(events)), into),
            16 => rows(q16(bids(events)), into),
            17 => rows(q17(bids(events)), into),
            18 => changes(q18(bids(events)), into),
            19 => into.take(q19(bids(events), reach)),
            21 => rows(q21(bids(events)), into),
            _ => rows(q22(bids(events)), into),
        }
    }
}

fn of_people<'p>(query: u8, events: Stream<'p, impl Stage<Out = Event>>, into: impl Results) {
    let (people, auctions) = people_and_auctions(events);
    match query {
        3 => rows(q03(people, auctions), into),
        _ => rows(q08(people, auctions), into),
    }
}

fn of_auctions<'p>(
    query: u8,
    events: Stream<'p, impl Stage<Out = Event>>,
    reach: Duration,
    into: impl Results,
) {
    let (auctions, bids) = auctions_and_bids(events);
    match query {
        4 => changes(q04(auctions, bids), into),
        6 => rows(q06(auctions, bids), into),
        9 => rows(q09(auctions, bids), into),
        _ => rows(q20(auctions, bids, reach), into),
    }
}

/// Rows that are never taken back.
fn rows<'p, R: Row>(stream: Stream<'p, impl Stage<Out = R>>, into: impl Results) {
    into.take(stream.map(Change::Insert));
}

/// A table, whose rows are a key and a value.
fn changes<'p, K: Key + Hash, V: State + Row, S>(table: Changes<'p, K, V, S>, into: impl Results)
where
    S: Stage<Out = (K, Change<V>)>,
{
    let row = |(key, change): (K, Change<V>)| change.filter_map(|value| Some((key, *value)));
    into.take(table.to_changes().filter_map(row));
}

impl FromStr for Query {
    type Err = ConfigError;

    fn from_str(name: &str) -> Result<Self, ConfigError> {
        Self::all().find(|query| query.to_string() == name).ok_or_else(|| {
            let names: Vec<String> = Self::all().map(|query| query.to_string()).collect();
            let reason = format!("no such query; there are: {}", names.join(", "));
            ConfigError::setting("query", name, reason)
        })
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "q{}", self.0)
    }
}
