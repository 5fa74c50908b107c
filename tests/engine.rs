//! Real shards, pinned to real cores: they give what the model gives, and whatever stops one of
//! them stops all of them and is reported.
#![cfg(feature = "runtime")]

mod support;

use std::sync::mpsc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use millstream::aggregates::count;
use millstream::disk;
use millstream::error::{ConfigError, IoError};
use millstream::io::journal::{Journalled, Settings};
use millstream::io::{Directory, Generator, MemorySink, MemorySource, Sink, codec};
use millstream::metrics::Counter;
use millstream::runtime::Summary;
use millstream::{
    Config, Engine, Error, ErrorKind, Idle, Pipeline, Record, Result, Shards, Timestamp, Tumbling,
    ms, ns,
};

use support::model::{Answer, grouped, windows};
use support::world::{all, at, disordered, fired, memory, window_of};
use support::{Cut, Row};

/// One engine at a time: there may be no more than two cores, and threads are counted.
fn alone() -> MutexGuard<'static, ()> {
    static ENGINE: Mutex<()> = Mutex::new(());
    ENGINE.lock().unwrap_or_else(PoisonError::into_inner)
}

const NOT_LONG: Idle = Idle::SpinThenPark(Duration::from_micros(20));

fn config(shards: usize) -> Config {
    Config { shards: Shards::Count(shards), idle: NOT_LONG, ..Config::default() }
}

type Build = fn(Pipeline<'_>) -> Result<()>;

/// Runs an engine; one that does not come back is a failure, not a hang.
fn run(
    config: Config,
    build: impl Fn(Pipeline<'_>) -> Result<()> + Send + Sync + 'static,
) -> Result<Summary> {
    let (done, result) = mpsc::channel();
    thread::spawn(move || {
        let run = || Engine::new(config)?.run(build);
        // Nobody listens any more once it has taken too long.
        let _ = done.send(run());
    });
    let result = result.recv_timeout(Duration::from_secs(60)).expect("the engine hangs");
    assert_all_ended();
    result
}

fn error_of(result: Result<Summary>) -> Error {
    result.err().expect("the engine must stop with an error")
}

/// All shards have ended. The system strikes a thread off its list a moment after its end.
fn assert_all_ended() {
    for _ in 0..200 {
        if shard_threads() == 0 {
            return;
        }
        thread::sleep(Duration::from_millis(5));
    }
    panic!("{} shards go on", shard_threads());
}

/// Threads of this process that are called what shards are called.
fn shard_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux");
    let name = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("comm"));
    let names = tasks.flatten().filter_map(|task| name(task).ok());
    names.filter(|name| name.starts_with("shard-")).count()
}

/// Millions of records from all shards, without an end of their own.
fn endless(p: Pipeline<'_>) -> Result<Generator<fn(u64, Timestamp) -> u64>> {
    numbers(p, |n, _| n % 1_000)
}

fn numbers(
    p: Pipeline<'_>,
    make: fn(u64, Timestamp) -> u64,
) -> Result<Generator<fn(u64, Timestamp) -> u64>> {
    Ok(Generator::flat_out(1e6, make)?.share(p.shard(), p.shards()))
}

fn rows(n: i64) -> Vec<Row> {
    let row = |n: i64| Row { at: 5 * n - (n * n * 13) % 76, key: (n * n) as u64 % 101, value: n };
    (0..n).map(row).collect()
}

const CUT: Cut = Cut { size: 30, slide: 10, offset: 7, lateness: 20 };

/// What real shards make of rows that are all on the last of them.
fn answer(config: Config, rows: Vec<Row>) -> (Answer, Summary) {
    let (kept, late) = (MemorySink::new(), MemorySink::new());
    let (results, gone) = (kept.clone(), late.clone());
    let summary = run(config, move |p| {
        let here = p.shard() + 1 == p.shards();
        let source = p.source(if here { memory(&rows) } else { MemorySource::empty() });
        let keyed = source.event_time(at, disordered(5)).key_by(|row| row.key);
        let windows = keyed.window(window_of(CUT)).allowed_lateness(ns(20));
        let (fired, gone_late) = windows.aggregate_with_late(all());
        fired.sink(results.clone());
        gone_late.sink(gone.clone());
        Ok(())
    });
    let fired = kept.take().into_iter().map(|record| fired(record.value)).collect();
    let late = late.take().into_iter().map(|record| record.value).collect();
    (Answer { fired, late }, summary.expect("it runs"))
}

#[test]
fn real_shards_agree_with_the_model() {
    let _alone = alone();
    let rows = rows(20_000);
    let want = windows(&rows, CUT, 5);
    assert!(want.late.len() > 100, "some are late");
    for (shards, idle) in [(1, NOT_LONG), (1, Idle::Park), (2, NOT_LONG), (2, Idle::Park)] {
        for ring_capacity in [2, 4096] {
            let config = Config { idle, ring_capacity, fire_max: 64, ..config(shards) };
            let (got, summary) = answer(config, rows.clone());
            let by_key = |answer: &Answer| grouped(&answer.fired, |result| result.key);
            assert_eq!(by_key(&got), by_key(&want), "{shards} {idle:?} {ring_capacity}");
            let late = |answer: &Answer| grouped(&answer.late, |row| row.key);
            assert_eq!(late(&got), late(&want), "{shards} {idle:?} {ring_capacity}");
            let count = |counter| summary.counters.get(counter);
            assert_eq!(count(Counter::RecordsIn), rows.len() as u64);
            assert_eq!(count(Counter::Late), want.late.len() as u64);
            assert_eq!(count(Counter::WindowsFired), want.fired.len() as u64);
            assert!(summary.elapsed > Duration::ZERO);
        }
    }
}

#[test]
fn ordered_output_is_the_same_on_one_and_two_shards() {
    let _alone = alone();
    let ordered = |shards| {
        let kept = MemorySink::new();
        let sink = kept.clone();
        let summary = run(config(shards), move |p| {
            let rows =
                rows(5_000).into_iter().filter(|row| row.key as usize % p.shards() == p.shard());
            let source = p.source(memory(&rows.collect::<Vec<_>>()));
            let keyed = source.event_time(at, disordered(80)).key_by(|row| row.key);
            let windows = keyed.window(window_of(CUT)).aggregate(all());
            windows.ordered(|window| window.key).sink(sink.clone());
            Ok(())
        });
        summary.expect("it runs");
        kept.take()
    };
    let one = ordered(1);
    assert!(one.len() > 1_000);
    assert_eq!(one, ordered(2));
    assert!(one.is_sorted_by_key(|record| (record.at, record.value.key)));
}

#[test]
fn a_panic_stops_all_shards_and_is_reported() {
    let _alone = alone();
    for shards in [1, 2] {
        let error = error_of(run(config(shards), |p| {
            let last = p.shards() - 1;
            let shard = p.shard();
            p.source(endless(p)?)
                .inspect(move |record| {
                    let met = shard == last && record.at.0 > 5_000_000;
                    assert!(!met, "record {} is poison", record.value);
                })
                .key_by(|n| *n)
                .reduce(|_, _| ())
                .for_each(drop);
            Ok(())
        }));
        assert_eq!(error.kind(), ErrorKind::Restartable);
        let Error::Panic { shard, message } = &error else { panic!("{error:?}") };
        assert_eq!(*shard, shards - 1);
        assert!(message.starts_with("record ") && message.ends_with(" is poison"), "{message}");
        assert!(error.to_string().starts_with(&format!("shard {shard} panicked: record ")));
    }
}

#[test]
fn a_panic_while_building_one_shard_stops_all() {
    let _alone = alone();
    let error = error_of(run(config(2), |p| {
        assert!(p.shard() == 0, "shard 1 is cursed");
        p.source(endless(p)?).key_by(|n| *n).reduce(|_, _| ()).for_each(drop);
        Ok(())
    }));
    assert!(matches!(&error, Error::Panic { shard: 1, .. }), "{error:?}");
}

/// Breaks after so many records.
struct Fragile(u32);

impl Sink<(u64, u64)> for Fragile {
    fn accept(&mut self, _record: Record<(u64, u64)>) -> Result<(), IoError> {
        self.0 = self
            .0
            .checked_sub(1)
            .ok_or_else(|| IoError::new("write", "the tape", std::io::Error::other("torn")))?;
        Ok(())
    }
}

#[test]
fn a_sink_that_fails_stops_all_shards() {
    let _alone = alone();
    for shards in [1, 2] {
        let error = error_of(run(config(shards), |p| {
            let most = if p.shard() == 0 { 100_000 } else { u32::MAX };
            p.source(endless(p)?).key_by(|n| *n).reduce(|_, _| ()).sink(Fragile(most));
            Ok(())
        }));
        assert!(matches!(error, Error::Io(_)), "{error:?}");
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (ErrorKind::Restartable, "write the tape: torn",)
        );
    }
}

#[test]
fn building_can_fail_on_one_shard_only() {
    let _alone = alone();
    let error = error_of(run(config(2), |p| {
        if p.shard() == 1 {
            let cause = std::io::Error::from(std::io::ErrorKind::NotFound);
            return Err(IoError::new("open", "shard1.csv", cause).into());
        }
        p.source(endless(p)?).key_by(|n| *n).reduce(|_, _| ()).for_each(drop);
        Ok(())
    }));
    assert!(error.to_string().starts_with("open shard1.csv: "), "{error}");
}

#[test]
fn shards_must_build_the_same() {
    let _alone = alone();
    let fewer: Build = |p| {
        let stream = p.source(endless(p)?);
        match p.shard() {
            0 => stream.key_by(|n| *n).reduce(|_, _| ()).for_each(drop),
            _ => stream.for_each(drop),
        }
        Ok(())
    };
    let other: Build = |p| {
        let stream = p.source(endless(p)?);
        match p.shard() {
            0 => stream.key_by(|n| *n).reduce(|_, _| ()).for_each(drop),
            _ => stream.map(|n| n as u32).key_by(|n| *n).reduce(|_, _| ()).for_each(drop),
        }
        Ok(())
    };
    for build in [fewer, other] {
        let error = error_of(run(config(2), build));
        assert!(matches!(error, Error::Config(ConfigError::Pipeline(_))), "{error:?}");
        assert!(error.to_string().contains("built different pipelines: edge 0"), "{error}");
    }
}

#[test]
fn a_monitor_stops_an_endless_pipeline() {
    let _alone = alone();
    for shards in [1, 2] {
        let engine = Engine::new(config(shards)).expect("it can run");
        let monitor = engine.monitor();
        let stopper = thread::spawn(move || {
            while monitor.counters().get(Counter::WindowsFired) < 10_000 {
                thread::sleep(Duration::from_millis(1));
            }
            let threads = shard_threads();
            monitor.stop();
            (threads, monitor.counters().get(Counter::RecordsIn))
        });
        let summary = engine.run(|p| {
            let keyed = p.source(endless(p)?).key_by(|n| *n);
            keyed.window(Tumbling::of(ms(1))).aggregate(count()).for_each(drop);
            Ok(())
        });
        let summary = summary.expect("a stop is no error");
        let (threads, at_stop) = stopper.join().expect("no panic");
        // Or a change of their name would make every check of their end pass. glommio gives each
        // executor a helper thread, which sleeps and has inherited the name.
        assert!(threads >= shards, "{threads} threads of {shards} shards");
        assert!(summary.counters.get(Counter::RecordsIn) >= at_stop);
        assert!(summary.latencies.to_sink.percentiles().samples >= 10_000);
        assert_all_ended();
    }
}

/// One shard may come to the end before the other has begun.
#[test]
fn who_is_stopped_before_the_start_takes_nothing_and_is_no_error() {
    let _alone = alone();
    for _ in 0..20 {
        let engine = Engine::new(config(2)).expect("it can run");
        engine.monitor().stop();
        let summary = engine.run(|p| {
            p.source(endless(p)?).key_by(|n| *n).reduce(|_, _| ()).for_each(drop);
            Ok(())
        });
        let summary = summary.expect("a stop is no error");
        assert_eq!(summary.counters.get(Counter::RecordsIn), 0);
        assert_all_ended();
    }
}

/// What is refused before any thread starts.
fn refused(config: Config, build: Build) -> Error {
    let engine = match Engine::new(config) {
        Ok(engine) => engine,
        Err(error) => return error,
    };
    let planned = engine.plan(build).map(drop);
    let (planned, ran) = (planned.err(), engine.run(build).err());
    assert_eq!(planned.map(|e| e.to_string()), ran.as_ref().map(ToString::to_string));
    ran.expect("it must be refused")
}

#[test]
fn what_cannot_run_is_named_before_any_thread_starts() {
    let _alone = alone();
    let fine: Build = |p| {
        p.source(endless(p)?).key_by(|n| *n).reduce(|_, _| ()).for_each(drop);
        Ok(())
    };
    let many = Config { shards: Shards::Count(200), ..Config::low_latency() };
    let error = refused(many, fine).to_string();
    assert!(error.starts_with("shards = 200: more spinning shards than"), "{error}");
    let nowhere = Config { shards: Shards::Pinned(vec![0, 4_000]), ..Config::default() };
    let error = refused(nowhere, fine).to_string();
    assert!(error.starts_with("shards = 4000: no such CPU"), "{error}");
    let poor = Config { memory_bytes_max: 10_000, ..config(2) };
    let error = refused(poor, fine);
    let Error::Config(ConfigError::Memory { bytes, limit: 10_000 }) = error else {
        panic!("{error:?}")
    };
    assert!(bytes > 10_000);
    let none = Config { ring_capacity: 0, ..config(1) };
    assert_eq!(refused(none, fine).to_string(), "ring_capacity = 0: must be at least 1");
}

#[test]
fn a_loose_end_is_named() {
    let _alone = alone();
    let loose: Build = |p| {
        let stream = p.source(endless(p)?);
        let (kept, _lost) = stream.filter(|n| *n > 3).split(|n| *n > 5);
        kept.for_each(drop);
        Ok(())
    };
    let error = refused(config(1), loose).to_string();
    assert!(error.contains("`side` leads nowhere"), "{error}");
    let mapped: Build = |p| {
        let _ = p.source(endless(p)?).map(|n| n + 1);
        Ok(())
    };
    let error = refused(config(1), mapped).to_string();
    assert!(error.contains("`map` leads nowhere"), "{error}");
    let error = refused(config(1), |_| Ok(())).to_string();
    assert!(error.contains("no source"), "{error}");
}

#[test]
fn too_many_keys_are_an_error() {
    let _alone = alone();
    let limited = |shards| Config { keys_max: 5_000, ..config(shards) };
    let reduce: Build = |p| {
        p.source(numbers(p, |n, _| n)?).key_by(|n| *n).reduce(|_, _| ()).for_each(drop);
        Ok(())
    };
    let window: Build = |p| {
        let windows = p.source(numbers(p, |n, _| n)?).key_by(|n| *n).window(Tumbling::of(ms(100)));
        windows.aggregate(count()).for_each(drop);
        Ok(())
    };
    for (build, name) in [(reduce, "reduce"), (window, "window")] {
        for shards in [1, 2] {
            let error = error_of(run(limited(shards), build));
            let Error::Limit { operator, limit, setting, .. } = error else { panic!("{error:?}") };
            assert_eq!((operator, limit, setting), (name, 5_000, "keys_max"));
        }
    }
}

/// The worst step is one that did something, on the CPU of a shard, and no stage ever does more in
/// a call than the config lets it.
#[test]
fn the_summary_has_the_worst_step_and_the_most_work_of_each_stage() {
    let _alone = alone();
    let config = Config { batch_max: 16, fire_max: 24, ..config(2) };
    let cpus = Engine::new(config.clone()).unwrap().cpus().to_vec();
    let summary = run(config, |p| {
        let numbers = Generator::at_rate(2e5, |n, _due| n % 300)?;
        p.source(numbers.share(p.shard(), p.shards()).duration(ms(200)))
            .key_by(|n| *n)
            .window(Tumbling::of(ms(10)))
            .aggregate(count())
            .for_each(drop);
        Ok(())
    })
    .unwrap();
    let worst = summary.worst_step.expect("there were steps");
    assert!(worst.ns > 0 && worst.work.0 > 0, "{worst:?}");
    assert!(worst.cpu.is_some_and(|cpu| cpus.contains(&cpu)), "{worst:?} {cpus:?}");
    let stages = summary.stage_work;
    assert!(stages.iter().any(|of| of.stage == worst.stage), "{worst:?} {stages:?}");
    assert_eq!(stages.len(), 2);
    // What an outbox holds at most: less than two batches of records, and as many marks.
    let held = 2 * (2 * 16 + 2);
    // A batch and its end; or what the ports to both shards had held back.
    assert!((1..=2 * held).contains(&stages[0].most.0), "{stages:?}");
    // What this shard handed over, or two batches of the other one's lane and their ends; a slice
    // of a window, and what ends it.
    assert!((1..=held + 25 + 2).contains(&stages[1].most.0), "{stages:?}");
}

/// Each shard has a journal of its own, on its own ring, and replays it when it runs again.
#[test]
fn journalled_sources_run_on_pinned_shards_and_come_again() {
    let _alone = alone();
    let path = std::path::PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("engine-journal");
    let _ = std::fs::remove_dir_all(&path);
    let settings =
        Settings { segment_bytes: 1 << 20, slots: 4, slot_bytes: 64 << 10, ..Settings::default() };
    for runs in 1..=2u64 {
        let (sink, path) = (MemorySink::new(), path.clone());
        let into = sink.clone();
        let build = move |p: Pipeline<'_>| {
            let path = path.join(format!("shard-{}", p.shard()));
            let numbers = codec(
                8,
                |number: &u64, into: &mut Vec<u8>| into.extend(number.to_le_bytes()),
                |bytes: &[u8]| bytes.try_into().map(u64::from_le_bytes).map_err(|_| String::new()),
            );
            let live = Generator::flat_out(1e6, |index, _at| index)?.count(20_000);
            let live = live.share(p.shard(), p.shards());
            let (journal, _) = disk::open(&path, settings, Timestamp(0))?;
            let files =
                Directory::open(&path).map_err(|error| IoError::new("open", "it", error))?;
            let source = Journalled::new(live, numbers, journal, files)?;
            p.source(source).filter(|n| n % 100 == 7).sink(into.clone());
            Ok(())
        };
        run(config(2), build).unwrap();
        let mut came: Vec<u64> = sink.take().into_iter().map(|record| record.value).collect();
        came.sort_unstable();
        let want = (0..20_000).filter(|n| n % 100 == 7);
        let want: Vec<u64> = want.flat_map(|n| vec![n; runs as usize]).collect();
        assert_eq!(came, want, "run {runs}");
    }
}
