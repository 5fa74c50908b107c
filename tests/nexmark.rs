//! The queries of NEXMark: the same rows on one shard and on two, in order and disordered, and
//! those that a database finds in the same events.

#[path = "nexmark/database.rs"]
mod database;
#[path = "nexmark/generator.rs"]
mod generator;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use millstream::io::{Generator, MemorySink};
use millstream::nexmark::{Event, Nexmark, Query, Results, Row};
use millstream::{Change, Simulation, Stage, Stream, ms, secs};
use serde::Serialize;

/// Events of a run: a whole number of groups that change places.
const EVENTS: u64 = 10_240;

/// Which queries are asked about some events.
struct Case {
    name: &'static str,
    nexmark: Nexmark,
    asked: fn(Query) -> bool,
}

/// For the windows of ten seconds there are many events in each; for those of a day there are
/// several days.
fn cases() -> [Case; 2] {
    let brisk = Nexmark { seed: 11, period: ms(10), ..Nexmark::default() };
    let slow = Nexmark { seed: 12, period: secs(32), ..Nexmark::default() };
    [
        Case { name: "brisk", nexmark: brisk, asked: |_| true },
        Case { name: "slow", nexmark: slow, asked: |query| (14..=19).contains(&query.number()) },
    ]
}

/// As they come.
fn events(nexmark: &Nexmark) -> Arc<[Event]> {
    (0..EVENTS).map(|place| nexmark.arrival(place)).collect()
}

/// Keeps what is added to a result and what is taken back, as lines.
struct Lines(MemorySink<(String, i64)>);

impl Results for Lines {
    fn take<R: Row>(self, rows: Stream<'_, impl Stage<Out = Change<R>>>) {
        let lines = |change: Change<R>| {
            let old = change.before().map(|row| (line(row), -1));
            old.into_iter().chain(change.after().map(|row| (line(row), 1)))
        };
        rows.flat_map(move |change| lines(change).collect::<Vec<_>>()).sink(self.0);
    }
}

/// A value as a line of CSV.
fn line(value: impl Serialize) -> String {
    let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
    writer.serialize(value).unwrap();
    let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
    text.trim_end().to_owned()
}

/// The rows that a query comes to, in the order of their text.
fn rows(query: Query, nexmark: Nexmark, shards: usize) -> Vec<String> {
    let (events, kept) = (events(&nexmark), MemorySink::new());
    let sink = kept.clone();
    let simulation = Simulation::new(shards, u64::from(query.number()));
    let outcome = simulation.run(move |p| {
        let (events, per_s) = (events.clone(), 1.0 / nexmark.period.as_secs_f64());
        let source = Generator::flat_out(per_s, move |place, _| events[place as usize])?;
        let source = source.start_at(nexmark.start).count(EVENTS).share(p.shard(), p.shards());
        query.run(p.source(source), &nexmark, Lines(sink.clone()));
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{query}: {error}"));
    let mut counts: BTreeMap<String, i64> = BTreeMap::new();
    for record in kept.take() {
        let (row, count) = record.value;
        *counts.entry(row).or_default() += count;
    }
    assert!(counts.values().all(|count| *count >= 0), "{query}: a row was taken back twice");
    counts.into_iter().flat_map(|(row, count)| vec![row; count as usize]).collect()
}

/// What is different about two results, if they are: the first rows that only one of them has.
fn difference(what: String, got: &[String], want: &[String]) -> Option<String> {
    let lacks = |rows: &[String], row: &&String| rows.binary_search(row).is_err();
    let extra = got.iter().find(|row| lacks(want, row));
    let missing = want.iter().find(|row| lacks(got, row));
    let (got_rows, want_rows) = (got.len(), want.len());
    (got != want).then(|| {
        format!("{what}: {got_rows} rows, {want_rows} wanted; extra {extra:?}, missing {missing:?}")
    })
}

#[test]
fn rows_do_not_depend_on_shards_or_disorder() {
    let mut found = Vec::new();
    for Case { name, nexmark, asked } in cases() {
        let mixed = Nexmark { disorder: 64, ..nexmark };
        for query in Query::all().filter(|query| asked(*query)) {
            let want = rows(query, nexmark, 1);
            let what = |how: &str| format!("{query}, {name}, {how}");
            found.extend(difference(what("two shards"), &rows(query, nexmark, 2), &want));
            let got = rows(query, mixed, 1);
            // It asks in which order events come.
            if query.to_string() != "q12" {
                found.extend(difference(what("disordered"), &got, &want));
            }
            found.extend(difference(what("disordered, two shards"), &rows(query, mixed, 2), &got));
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// In order on one shard, and disordered on two; what comes of the other two ways is the same, by
/// the test above.
#[test]
fn a_database_finds_the_same_rows() {
    let mut found = Vec::new();
    for Case { name, nexmark, asked } in cases() {
        for (order, disorder, shards) in [("in order", 1, 1), ("disordered", 64, 2)] {
            let nexmark = Nexmark { disorder, ..nexmark };
            let name = format!("{name}, {order}");
            let Some(want) = database::results(&name, &nexmark, &events(&nexmark)) else { return };
            for query in Query::all().filter(|query| asked(*query)) {
                let want = &want[&query.to_string()];
                assert!(!want.is_empty(), "{query}: the database finds nothing to compare");
                let what = format!("{query}, {name}, database");
                found.extend(difference(what, &rows(query, nexmark, shards), want));
            }
        }
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn names_are_those_of_queries() {
    assert_eq!(Query::all().count(), 23);
    let error = "q5x".parse::<Query>().unwrap_err().to_string();
    assert!(error.contains("there are: q0, q1, ") && error.ends_with("q22"), "{error}");
}

/// The time at which the event at this place comes in.
fn arrived(nexmark: &Nexmark, place: usize) -> i64 {
    let since = nexmark.period * place as u32;
    (nexmark.start + Duration::from_nanos(since.as_nanos() as u64)).as_nanos()
}
