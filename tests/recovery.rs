//! Real shards that fail, and go on from their last checkpoint as if nothing had happened.
#![cfg(feature = "runtime")]

#[path = "recovery/rescaled.rs"]
mod rescaled;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use millstream::aggregates::{count, sum};
use millstream::checkpoint::{self, Manifest, Notice, Store};
use millstream::dataflow::Epoch;
use millstream::error::{CheckpointError, IoError};
use millstream::io::{AtCheckpoint, Directory, IterSource, MemoryCommits, MemorySource};
use millstream::runtime::{Checkpoints, InMemory, Keep, Kept, Restart, Summary};
use millstream::{
    Config, Engine, Error, Idle, Pipeline, Record, Result, Shards, Snapshot, Timestamp, Tumbling,
    ms, ns,
};

/// One engine at a time: there may be no more than two cores.
fn alone() -> MutexGuard<'static, ()> {
    static ENGINE: Mutex<()> = Mutex::new(());
    ENGINE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn config(shards: usize) -> Config {
    let idle = Idle::SpinThenPark(Duration::from_micros(20));
    Config { shards: Shards::Count(shards), idle, batch_max: 64, ..Config::default() }
}

const RECORDS: i64 = 200_000;

/// What one shard reads: numbers, each of which is its own time.
fn numbers(p: Pipeline<'_>) -> MemorySource<i64> {
    let here = (0..RECORDS).filter(|n| *n as usize % p.shards() == p.shard());
    MemorySource::new(here.map(|n| Record::new(Timestamp(n), n)).collect::<Vec<_>>())
}

type Sums = (i64, (u64, i64));

/// Sums by key and window. As often as `panics` says, a record on the way makes its shard panic.
fn sums(engine: Engine, panics: u32) -> (Result<Summary>, Vec<(Timestamp, Sums)>) {
    let (left, commits) = (Arc::new(AtomicU32::new(panics)), MemoryCommits::new());
    let shown = commits.clone();
    let result = engine.run(move |p| {
        let left = left.clone();
        let trap = move |n: &i64| {
            let one_less = |left: u32| left.checked_sub(1);
            let is_trap = n % (RECORDS / 7) == RECORDS / 9;
            let order = Ordering::SeqCst;
            assert!(!is_trap || left.fetch_update(order, order, one_less).is_err(), "planted");
        };
        p.source(numbers(p))
            .inspect(move |record| trap(&record.value))
            .key_by(|n| n % 7)
            .window(Tumbling::of(ns(1_000)))
            .aggregate((count(), sum(|n: &i64| *n)))
            .map(|window| (window.key, window.value))
            .sink(AtCheckpoint::new(commits.of(p.shard()), 1_000_000));
        Ok(())
    });
    let mut all: Vec<_> = shown.records().into_iter().map(|r| (r.at, r.value)).collect();
    all.sort_unstable();
    (result, all)
}

fn want() -> Vec<(Timestamp, Sums)> {
    let mut all = Vec::new();
    for start in (0..RECORDS).step_by(1_000) {
        let window = start..(start + 1_000).min(RECORDS);
        for key in 0..7 {
            let of_key = window.clone().filter(|n| n % 7 == key);
            let (count, sum) = (of_key.clone().count() as u64, of_key.sum());
            all.push((Timestamp(start + 999), (key, (count, sum))));
        }
    }
    all
}

fn engine(shards: usize) -> Engine {
    let checkpoints = Checkpoints::every(ms(1), InMemory::default());
    Engine::new(config(shards)).unwrap().checkpoints(checkpoints)
}

#[test]
fn panics_lose_nothing_and_show_nothing_twice() {
    let _alone = alone();
    for shards in [1, 2] {
        for panics in [0, 1, 4] {
            let engine = engine(shards).restart(Restart::fixed_delay(4, ms(1)));
            let (result, all) = sums(engine, panics);
            let summary = result.unwrap_or_else(|error| panic!("{error}"));
            assert!(summary.restarts <= panics && (summary.restarts > 0) == (panics > 0));
            assert_eq!(all, want(), "{shards} shards, {panics} panics");
        }
    }
}

#[test]
fn one_panic_too_many_is_what_the_run_comes_to() {
    let _alone = alone();
    let (result, all) = sums(engine(1).restart(Restart::fixed_delay(2, ms(1))), 3);
    assert!(matches!(result.err(), Some(Error::Panic { shard: 0, .. })));
    assert!(all.len() < want().len());
    let (result, _) = sums(engine(1), 1);
    assert!(matches!(result.err(), Some(Error::Panic { .. })), "no restart unless asked for");
}

#[test]
fn what_cannot_go_better_is_not_tried_again() {
    let _alone = alone();
    let config = Config { keys_max: 3, ..config(1) };
    let engine = Engine::new(config).unwrap().restart(Restart::fixed_delay(5, ms(1)));
    let (result, _) = sums(engine, 0);
    assert!(matches!(result.err(), Some(Error::Limit { .. })));
}

#[test]
fn a_pipeline_of_which_there_is_no_snapshot_says_so() {
    let _alone = alone();
    let error = engine(1)
        .run(|p| {
            let numbers = (0..).map(|n| Record::new(Timestamp(n), n));
            p.source(IterSource::new(numbers)).for_each(drop);
            Ok(())
        })
        .err()
        .expect("it cannot take checkpoints");
    let golden = "no snapshot can be taken of `millstream::io::iter::IterSource`: \
                  it has no position to go on from";
    assert_eq!(error.to_string(), golden);
}

#[test]
fn asking_to_stop_ends_the_waiting_for_a_restart() {
    let _alone = alone();
    let engine = engine(1).restart(Restart::fixed_delay(1, Duration::from_secs(600)));
    let monitor = engine.monitor();
    let stopper = std::thread::spawn(move || {
        while !monitor.is_stopped() {
            std::thread::sleep(ms(1));
        }
        monitor.stop();
    });
    let (result, _) = sums(engine, 1);
    assert!(matches!(result.err(), Some(Error::Panic { .. })));
    stopper.join().unwrap();
}

#[test]
fn a_savepoint_is_taken_when_somebody_asks() {
    let _alone = alone();
    let folder = std::env::temp_dir().join(format!("millstream-saved-{}", std::process::id()));
    let checkpoints = Checkpoints::in_directory(&folder, Duration::from_secs(600)).unwrap();
    let engine = Engine::new(config(1)).unwrap().checkpoints(checkpoints);
    let monitor = engine.monitor();
    assert!(monitor.savepoint("no/path").is_err());
    monitor.savepoint("before-lunch").unwrap();
    let (result, all) = sums(engine, 0);
    result.unwrap();
    assert_eq!(all, want());
    let mut names: Vec<_> = std::fs::read_dir(&folder).unwrap().flatten().collect();
    names.sort_by_key(|file| file.file_name());
    let names: Vec<_> = names.iter().map(|file| file.file_name().into_string().unwrap()).collect();
    let golden = [
        "checkpoint-000000000002-000.state",
        "checkpoint-000000000002.json",
        "checkpoint.lock",
        "savepoint-before-lunch-000000000001-000.state",
        "savepoint-before-lunch.json",
    ];
    assert_eq!(names, golden);
    // Another run asks for the same name: it has its results all the same, and is told.
    let checkpoints = Checkpoints::in_directory(&folder, Duration::from_secs(600)).unwrap();
    let engine = Engine::new(config(1)).unwrap().checkpoints(checkpoints);
    engine.monitor().savepoint("before-lunch").unwrap();
    let (result, _) = sums(engine, 0);
    let [Notice::NotNamed { reason }] = &result.unwrap().notices[..] else { panic!("not told") };
    assert!(reason.starts_with("savepoint-before-lunch.json: there is one"), "{reason}");
    std::fs::remove_dir_all(folder).unwrap();
}

/// Checkpoints of which some are kept and said not to be: their last name was not made durable.
struct Doubtful(Store<Directory>, Arc<AtomicU32>);

impl Keep for Doubtful {
    fn keep(&mut self, kept: Kept) -> Result<()> {
        let Kept { epoch, .. } = kept;
        Keep::keep(&mut self.0, kept)?;
        if epoch.0 % 3 == 2 {
            self.1.fetch_add(1, Ordering::Relaxed);
            let cause = std::io::Error::other("planted");
            return Err(CheckpointError::from(IoError::new("sync", "names", cause)).into());
        }
        Ok(())
    }

    fn newest(
        &mut self,
        fits: &dyn Fn(&Manifest) -> Result<(), String>,
    ) -> Result<Option<(Epoch, Vec<Snapshot>)>> {
        Keep::newest(&mut self.0, fits)
    }
}

/// The engine holds such a one for incomplete, begins again, and goes on from it if it is there.
#[test]
fn a_checkpoint_in_doubt_shows_nothing_twice() {
    let _alone = alone();
    let folder = std::env::temp_dir().join(format!("millstream-doubt-{}", std::process::id()));
    let failed = Arc::new(AtomicU32::new(0));
    let store = checkpoint::open(&folder, 3).unwrap();
    let checkpoints = Checkpoints::every(ms(1), Doubtful(store, failed.clone()));
    let engine = Engine::new(config(2)).unwrap().checkpoints(checkpoints);
    let (result, all) = sums(engine.restart(Restart::fixed_delay(u32::MAX, ms(1))), 0);
    let restarts = result.unwrap_or_else(|error| panic!("{error}")).restarts;
    assert_eq!(restarts, failed.load(Ordering::Relaxed));
    assert!(restarts > 0);
    assert_eq!(all, want());
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_step_that_hangs_is_noticed_and_not_waited_for() {
    let _alone = alone();
    let hangs = Arc::new(AtomicU32::new(1));
    let hanging = hangs.clone();
    let engine = Engine::new(config(2)).unwrap().restart(Restart::fixed_delay(9, ms(1)));
    let result = engine.watchdog(Duration::from_millis(700)).run(move |p| {
        let hanging = hanging.clone();
        p.source(numbers(p)).for_each(move |record| {
            while record.value == 777 && hanging.load(Ordering::Relaxed) == 1 {
                std::hint::spin_loop();
            }
        });
        Ok(())
    });
    let error = result.err().expect("it cannot end well");
    assert!(matches!(error, Error::Stuck { shard: 1, .. }), "{error}");
    hangs.store(0, Ordering::Relaxed);
}
