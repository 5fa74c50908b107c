//! Lookups against the model: an answer follows from the request and the policy, whatever the
//! server's moods, the number of shards and the sizes of queues.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use millstream::dataflow::Record;
use millstream::error::IoError;
use millstream::io::Sink;
use millstream::lookup::{Cache, OnFailure, Retry};
use millstream::metrics::Counter;
use millstream::testing::ScriptedLookup;
use millstream::{Timestamp, ns};
use proptest::prelude::*;

use super::support::lookups::{Mood, Moods, Outcome, TIMEOUT_NS};
use super::support::model::{disorder_of, grouped};
use super::support::{Row, Seen, World, watch};
use super::{cases, rows, timed};

#[derive(Clone, Debug)]
struct Asked {
    capacity: usize,
    retries: u32,
    ordered: bool,
    moods: Moods,
}

fn asked() -> impl Strategy<Value = Asked> {
    let capacity = prop::sample::select(&[1usize, 2, 7, 64][..]);
    (capacity, 0..4u32, any::<bool>(), any::<u64>()).prop_map(
        |(capacity, retries, ordered, seed)| Asked {
            capacity,
            retries,
            ordered,
            moods: Moods { seed },
        },
    )
}

/// Rows that can be told apart: the value is the number of the row.
fn numbered(rows: Vec<Row>) -> Vec<Row> {
    let number = |(n, row): (usize, Row)| Row { value: n as i64, ..row };
    rows.into_iter().enumerate().map(number).collect()
}

proptest! {
    #![proptest_config(cases(300))]

    /// Every record comes out once, with what the model finds out, in its place.
    #[test]
    fn each_record_has_the_models_answer(
        world in World::any(),
        rows in rows(60).prop_map(numbered),
        asked in asked(),
    ) {
        let seen = Seen::new();
        let disorder = disorder_of(&rows);
        let Asked { capacity, retries, ordered, moods } = asked;
        let outcome = world.run(|p| {
            let server = ScriptedLookup::new(move |n: &i64, attempt| moods.attempt(*n, attempt));
            let lookup = timed(p, &world, &rows, disorder)
                .lookup(server, |row| row.value)
                .capacity(capacity)
                .timeout(ns(TIMEOUT_NS))
                .retry(Retry::exponential(retries, ns(300)).jitter(0.3));
            let lookup = if ordered { lookup.ordered() } else { lookup.unordered() };
            watch(lookup.results(), &seen, &world);
            Ok(())
        });
        seen.borrow().check_over();
        let mut got: Vec<_> = seen.borrow().records.clone();
        if !ordered {
            got.sort_by_key(|(_, (row, _))| row.value);
        }
        let want: Vec<_> = rows.iter().map(|row| {
            (row.at, (*row, moods.outcome(row.value, retries).answer))
        }).collect();
        prop_assert_eq!(got, want);
        let outcomes: Vec<Outcome> =
            rows.iter().map(|row| moods.outcome(row.value, retries)).collect();
        let sum = |what: fn(&Outcome) -> u64| outcomes.iter().map(what).sum::<u64>();
        let counted = |counter| outcome.counters.get(counter);
        prop_assert_eq!(counted(Counter::LookupCalls), sum(|outcome| outcome.attempts));
        prop_assert_eq!(counted(Counter::LookupTimeouts), sum(|outcome| outcome.timeouts));
        let failed = sum(|outcome| u64::from(outcome.answer.is_err()));
        prop_assert_eq!(counted(Counter::LookupFailed), failed);
        let retried = sum(|outcome| outcome.attempts) - rows.len() as u64;
        prop_assert_eq!(counted(Counter::LookupRetries), retried);
    }

    /// Keys are spread over shards, and records of a key share calls and kept answers.
    #[test]
    fn cached_answers_are_the_models(
        world in World::any(),
        rows in rows(100),
        asked in asked(),
        keys in 1..20usize,
        (found_ns, missing_ns) in (1..50_000u64, 0..50_000u64),
    ) {
        let seen = Seen::<(u64, Row, Option<i64>)>::new();
        let Asked { capacity, ordered, moods, .. } = asked;
        let disorder = disorder_of(&rows);
        let outcome = world.run(|p| {
            // Of a key each attempt goes the same way, and none fails.
            let server = ScriptedLookup::new(move |key: &u64, _| moods.steady(*key));
            let pairs = timed(p, &world, &rows, disorder).map(|row| (row.key, row));
            let spread = pairs.key_by(|pair| pair.0).reduce(|last, pair| *last = pair);
            let lookup = spread
                .map(|(_, pair)| pair)
                .lookup(server, |pair| pair.0)
                .cache(Cache::of(keys, ns(found_ns)).missing(ns(missing_ns)))
                .capacity(capacity);
            let lookup = if ordered { lookup.ordered() } else { lookup.unordered() };
            watch(lookup.left().map(|((key, row), found)| (key, row, found)), &seen, &world);
            Ok(())
        });
        seen.borrow().check_over();
        let row = |row: &Row| (row.at, (row.key, *row, moods.found(row.key)));
        let mut want: Vec<_> = rows.iter().map(row).collect();
        let mut got = seen.borrow().records.clone();
        if ordered {
            let key = |record: &(i64, (u64, Row, Option<i64>))| record.1.0;
            prop_assert_eq!(grouped(&got, key), grouped(&want, key));
        }
        let sort = |all: &mut Vec<(i64, (u64, Row, Option<i64>))>| {
            all.sort_by_key(|(at, (key, row, _))| (*at, *key, row.value));
        };
        sort(&mut got);
        sort(&mut want);
        prop_assert_eq!(got, want);
        let ways = [Counter::LookupCalls, Counter::CacheHits, Counter::CacheShared];
        let by_ways: u64 = ways.iter().map(|way| outcome.counters.get(*way)).sum();
        prop_assert_eq!(by_ways, rows.len() as u64, "each record is answered in one way");
    }

    /// A row that comes out has not been overtaken by the watermark; what fails is dropped, and
    /// counted.
    #[test]
    fn no_watermark_overtakes_a_record(
        world in World::any(),
        rows in rows(80).prop_map(numbered),
        asked in asked(),
    ) {
        let Asked { capacity, moods, .. } = asked;
        let disorder = disorder_of(&rows);
        let late = Rc::new(RefCell::new(BTreeMap::new()));
        let outcome = world.run(|p| {
            let server = ScriptedLookup::new(move |n: &i64, attempt| moods.attempt(*n, attempt));
            let lookup = timed(p, &world, &rows, disorder)
                .lookup(server, |row| row.value)
                .unordered()
                .capacity(capacity)
                .timeout(ns(TIMEOUT_NS))
                .on_failure(OnFailure::Drop);
            lookup.left().sink(Overtaken { watermark: Timestamp::MIN, late: late.clone() });
            Ok(())
        });
        prop_assert_eq!(late.borrow().clone(), BTreeMap::new());
        let failed = rows.iter().filter(|row| moods.outcome(row.value, 0).answer.is_err()).count();
        prop_assert_eq!(outcome.counters.get(Counter::Dropped), failed as u64);
        prop_assert_eq!(outcome.counters.get(Counter::RecordsOut), (rows.len() - failed) as u64);
    }
}

/// Keeps the records that come behind the watermark.
struct Overtaken {
    watermark: Timestamp,
    late: Rc<RefCell<BTreeMap<i64, (Timestamp, Timestamp)>>>,
}

impl Sink<(Row, Option<i64>)> for Overtaken {
    fn accept(&mut self, record: Record<(Row, Option<i64>)>) -> Result<(), IoError> {
        if record.at < self.watermark {
            self.late.borrow_mut().insert(record.value.0.value, (record.at, self.watermark));
        }
        Ok(())
    }

    fn on_watermark(&mut self, watermark: Timestamp) -> Result<(), IoError> {
        self.watermark = watermark;
        Ok(())
    }
}

#[test]
fn the_moods_are_all_there() {
    let moods = Moods { seed: 3 };
    let has = |mood: Mood| (0..1000).any(|n| moods.mood(n, 0) == mood);
    assert!(
        [Mood::Silent, Mood::Late, Mood::Busy, Mood::Refuses, Mood::Missing].map(has) == [true; 5]
    );
}
