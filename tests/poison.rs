//! Records that make a real pipeline fail each time: found, set aside, and nothing else lost.
#![cfg(feature = "runtime")]

#[path = "poison/errors.rs"]
mod errors;
#[path = "poison/held_back.rs"]
mod held_back;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use millstream::aggregates::{count, sum};
use millstream::io::{AtCheckpoint, Legible, MemoryCommits, MemorySink, MemorySource, Source};
use millstream::metrics::Counter;
use millstream::runtime::{
    Checkpoints, DeadLetter, InMemory, LetterFile, Poison, Restart, Summary,
};
use millstream::{
    Config, Engine, Error, Idle, Pipeline, Record, Result, Shards, Timestamp, Tumbling, ms, ns,
};

/// One engine at a time: there may be no more than two cores.
fn alone() -> MutexGuard<'static, ()> {
    static ENGINE: Mutex<()> = Mutex::new(());
    ENGINE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn engine(shards: usize) -> Engine {
    let idle = Idle::SpinThenPark(Duration::from_micros(20));
    let shards = Shards::Count(shards);
    let config = Config { shards, idle, batch_max: 64, ..Config::default() };
    Engine::new(config).unwrap()
}

fn with_checkpoints(shards: usize) -> Engine {
    engine(shards).checkpoints(Checkpoints::every(ms(1), InMemory::default()))
}

const RECORDS: i64 = 40_000;

/// What one shard reads: numbers, each of which is its own time.
fn numbers(p: Pipeline<'_>) -> impl Source<Out = i64> + use<> {
    let here = (0..RECORDS).filter(|n| *n as usize % p.shards() == p.shard());
    let here = here.map(|n| Record::new(Timestamp(n), n)).collect::<Vec<_>>();
    Legible::debug(MemorySource::new(here))
}

type Sums = (Timestamp, (i64, (u64, i64)));

/// Where in the pipeline a record is poison.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Bites {
    /// Beside its source.
    First,
    /// On the shard that owns its key.
    Exchanged,
    /// In the function of a window, as it comes in.
    InWindow,
}

/// Sums by key and window of all that does not fail.
fn run(engine: Engine, bites: Bites, poison: &[i64]) -> (Result<Summary>, Vec<Sums>) {
    run_into(&MemoryCommits::new(), engine, bites, poison)
}

fn run_into(
    shown: &MemoryCommits<(i64, (u64, i64))>,
    engine: Engine,
    bites: Bites,
    poison: &[i64],
) -> (Result<Summary>, Vec<Sums>) {
    let (poison, commits) = (Arc::new(BTreeSet::from_iter(poison.to_vec())), shown.clone());
    let result = engine.run(move |p| {
        let bite = |at: Bites| {
            let poison = poison.clone();
            move |n: i64| assert!(bites != at || !poison.contains(&n), "{n} is poison")
        };
        let (first, exchanged, in_window) =
            (bite(Bites::First), bite(Bites::Exchanged), bite(Bites::InWindow));
        let value = move |n: &i64| {
            in_window(*n);
            *n
        };
        p.source(numbers(p))
            .inspect(move |record| first(record.value))
            .key_by(|n| n % 7)
            .reduce(|last, n| *last = n)
            .inspect(move |record| exchanged(record.value.1))
            .map(|(_, n)| n)
            .key_by(|n| n % 7)
            .window(Tumbling::of(ns(1_000)))
            .aggregate((count(), sum(value)))
            .map(|window| (window.key, window.value))
            .sink(AtCheckpoint::new(commits.of(p.shard()), 1_000_000));
        Ok(())
    });
    let mut all: Vec<_> = shown.records().into_iter().map(|r| (r.at, r.value)).collect();
    all.sort_unstable();
    (result, all)
}

/// What comes of all numbers but these.
fn want(without: &[i64]) -> Vec<Sums> {
    let mut all = Vec::new();
    for start in (0..RECORDS).step_by(1_000) {
        let window = start..(start + 1_000).min(RECORDS);
        for key in 0..7 {
            let of_key = window.clone().filter(|n| n % 7 == key && !without.contains(n));
            let (count, sum) = (of_key.clone().count() as u64, of_key.sum());
            all.push((Timestamp(start + 999), (key, (count, sum))));
        }
    }
    all
}

/// A policy that keeps letters, and the letters.
fn kept() -> (Poison, Arc<Mutex<Vec<DeadLetter>>>) {
    let letters = Arc::<Mutex<Vec<DeadLetter>>>::default();
    let keeper = letters.clone();
    (Poison::dead_letter(move |letter| keeper.lock().unwrap().push(letter)), letters)
}

/// The numbers that letters say they are of.
fn numbers_of(letters: &Mutex<Vec<DeadLetter>>) -> Vec<i64> {
    let text = |letter: &DeadLetter| String::from_utf8(letter.bytes.clone()).unwrap();
    let mut all: Vec<_> =
        letters.lock().unwrap().iter().map(|letter| text(letter).parse().unwrap()).collect();
    all.sort_unstable();
    all
}

#[test]
fn one_record_among_many_is_set_aside_and_nothing_else_is_lost() {
    let _alone = alone();
    for (shards, bites) in [
        (1, Bites::First),
        (2, Bites::First),
        (1, Bites::Exchanged),
        (2, Bites::Exchanged),
        (2, Bites::InWindow),
    ] {
        let (poison, letters) = kept();
        let (result, all) = run(with_checkpoints(shards).poison(poison), bites, &[23_457]);
        let summary = result.unwrap_or_else(|error| panic!("{error}"));
        let what = format!("{shards} shards, {bites:?}");
        assert_eq!(numbers_of(&letters), [23_457], "{what}");
        assert_eq!(all, want(&[23_457]), "{what}");
        assert_eq!(summary.counters.get(Counter::DeadLettered), 1);
        let letter = letters.lock().unwrap().pop().unwrap();
        assert_eq!((letter.shard, letter.partition), (23_457 % shards, 0), "{what}");
        assert_eq!(letter.position, 23_457 / shards as u64, "{what}");
        assert_eq!(letter.at, Timestamp(23_457), "{what}");
        assert!(letter.source.starts_with("source"), "{letter:?}");
        assert!(letter.cause.contains("23457 is poison"), "{letter:?}");
    }
}

#[test]
fn several_records_one_behind_the_other_and_far_apart() {
    let _alone = alone();
    let poison = [0, 1, 5_000, 5_001, 5_070, 39_999];
    for shards in [1, 2] {
        let (policy, letters) = kept();
        let (result, all) = run(with_checkpoints(shards).poison(policy), Bites::Exchanged, &poison);
        result.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(numbers_of(&letters), poison);
        assert_eq!(all, want(&poison), "{shards} shards");
    }
}

#[test]
fn skipping_loses_the_record_and_nothing_else() {
    let _alone = alone();
    let (result, all) = run(with_checkpoints(2).poison(Poison::skip()), Bites::First, &[777]);
    let summary = result.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(all, want(&[777]));
    assert_eq!(summary.counters.get(Counter::DeadLettered), 1);
}

#[test]
fn failing_names_the_record() {
    let _alone = alone();
    let restart = Restart::fixed_delay(1_000, ms(1));
    let engine = with_checkpoints(2).restart(restart).poison(Poison::fail());
    let (result, _) = run(engine, Bites::Exchanged, &[777]);
    let error = result.err().expect("it ends there");
    assert!(matches!(error, Error::Poison { shard: 1, position: 388, .. }), "{error}");
    let golden = "record 388 of `source (1 here)` on shard 1 makes it fail each time: shard ";
    assert!(error.to_string().starts_with(golden), "{error}");
}

#[test]
fn no_more_are_set_aside_than_may_be() {
    let _alone = alone();
    let (policy, letters) = kept();
    let engine = with_checkpoints(1).poison(policy.at_most(2));
    let (result, _) = run(engine, Bites::First, &[10, 20, 30, 40]);
    assert!(matches!(result.err(), Some(Error::Poison { position: 30, .. })));
    assert_eq!(numbers_of(&letters), [10, 20]);
}

#[test]
fn without_checkpoints_it_begins_from_the_beginning_and_leaves_the_record_out() {
    let _alone = alone();
    let (policy, letters) = kept();
    let sums = MemorySink::new();
    let shown = sums.clone();
    let result = engine(2).poison(policy).run(move |p| {
        p.source(numbers(p))
            .inspect(|record| assert!(record.value != 3_333))
            .key_by(|_| 0_u8)
            .reduce(|sum, n| *sum += n)
            .sink(sums.clone());
        Ok(())
    });
    result.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(numbers_of(&letters), [3_333]);
    let last = shown.records().last().map(|record| record.value);
    assert_eq!(last, Some((0, RECORDS * (RECORDS - 1) / 2 - 3_333)));
}

#[test]
fn what_does_not_come_again_is_no_record_s_fault() {
    let _alone = alone();
    let (policy, letters) = kept();
    let left = Arc::new(AtomicU32::new(1));
    let engine = with_checkpoints(1).restart(Restart::fixed_delay(1, ms(1))).poison(policy);
    let summary = engine.run(move |p| {
        let left = left.clone();
        p.source(numbers(p)).for_each(move |record| {
            let is_trap = record.value == 5_000 && left.swap(0, Ordering::SeqCst) == 1;
            assert!(!is_trap, "once");
        });
        Ok(())
    });
    assert_eq!(summary.unwrap_or_else(|error| panic!("{error}")).restarts, 1);
    assert!(letters.lock().unwrap().is_empty());
}

#[test]
fn checkpoints_on_disk_remember_what_they_leave_out_and_letters_are_lines_of_a_file() {
    let _alone = alone();
    let folder = std::env::temp_dir().join(format!("millstream-poison-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (path, commits) = (folder.join("letters.jsonl"), MemoryCommits::new());
    let again = |at_most| {
        let checkpoints = Checkpoints::in_directory(folder.join("checkpoints"), ms(2)).unwrap();
        let letters = Poison::dead_letter(LetterFile::open(&path).unwrap()).at_most(at_most);
        let engine = engine(1).checkpoints(checkpoints).poison(letters);
        run_into(&commits, engine, Bites::First, &[1_000, 39_000])
    };
    let (result, all) = again(1);
    assert!(matches!(result.err(), Some(Error::Poison { position: 39_000, .. })));
    assert!(all.len() < want(&[]).len());
    let (result, all) = again(1);
    assert_eq!(result.unwrap_or_else(|error| panic!("{error}")).restarts, 1);
    assert_eq!(all, want(&[1_000, 39_000]));
    let text = std::fs::read_to_string(&path).unwrap();
    let line = |n: i64| {
        format!(
            "{{\"source\":\"source (1 here)\",\"shard\":0,\"partition\":0,\"position\":{n},\
             \"at\":{n},\"cause\":\"shard 0 panicked: {n} is poison\",\"text\":\"{n}\"}}\n"
        )
    };
    assert_eq!(text, line(1_000) + &line(39_000), "each of them once");
    std::fs::remove_dir_all(folder).unwrap();
}
