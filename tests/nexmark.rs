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
const EVENTS: u64 = 20_480;

/// Many events in a window of ten seconds, and several hundred seconds of them.
fn brisk() -> Nexmark {
    Nexmark { seed: 11, period: ms(10), ..Nexmark::default() }
}

/// Several days.
fn slow() -> Nexmark {
    Nexmark { seed: 12, period: secs(16), ..Nexmark::default() }
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

/// Two results, or the first row that only one of them has.
fn assert_same(what: &str, got: &[String], want: &[String]) {
    if got != want {
        let extra = got.iter().find(|row| want.binary_search(row).is_err());
        let missing = want.iter().find(|row| got.binary_search(row).is_err());
        let (got, want) = (got.len(), want.len());
        panic!("{what}: {got} rows, {want} wanted; extra {extra:?}, missing {missing:?}");
    }
}

#[test]
fn rows_do_not_depend_on_shards_or_disorder() {
    for (name, nexmark) in [("brisk", brisk()), ("slow", slow())] {
        let disordered = Nexmark { disorder: 64, ..nexmark };
        for query in Query::all() {
            let want = rows(query, nexmark, 1);
            let what = |how: &str| format!("{query}, {name}, {how}");
            assert_same(&what("two shards"), &rows(query, nexmark, 2), &want);
            let got = rows(query, disordered, 1);
            // It asks in which order events come.
            if query.to_string() != "q12" {
                assert_same(&what("disordered"), &got, &want);
            }
            assert_same(&what("disordered, two shards"), &rows(query, disordered, 2), &got);
        }
    }
}

#[test]
fn a_database_finds_the_same_rows() {
    for (name, nexmark) in [("brisk", brisk()), ("slow", slow())] {
        let nexmark = Nexmark { disorder: 64, ..nexmark };
        let Some(want) = database::results(name, &nexmark, &events(&nexmark)) else { return };
        for query in Query::all() {
            let want = &want[&query.to_string()];
            assert!(!want.is_empty() || name == "slow", "{query}: the database finds nothing");
            assert_same(&format!("{query}, {name}, database"), &rows(query, nexmark, 2), want);
        }
    }
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
