//! What a trigger costs, end to end: an embedded shard, from a source in memory to a closure, with
//! windows that have a trigger against the same windows without one.
//!
//! | name | what it is |
//! |---|---|
//! | `plain` | baseline: the window alone, whose panes are shared by windows that overlap |
//! | `event_time` | a trigger that does what the plain window does |
//! | `early` | the same, and early results at every tenth record |
//! | `purging` | the same, with each record in one result only |
//! | `delta` | early results where the value has moved far |
//!
//! In two shapes: `tumbling`, where a record is in one window, and `sliding`, where it is in four:
//! the plain window still accumulates it once, a window with a trigger four times. With 100 keys. A
//! round is all of the input, and building the pipeline too.
//!
//! Run it with `cargo bench --bench triggers`; `cargo bench --bench triggers -- --test` runs each
//! once.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use millstream::aggregates::sum;
use millstream::io::MemorySource;
use millstream::window::triggers::{any, count, delta, event_time, purging};
use millstream::window::{Trigger, WindowedStream};
use millstream::{
    Config, Record, Shard, Sliding, Timestamp, Timing, Tumbling, Watermarks, Window, Windowed, ms,
};

const RECORDS: i64 = 20_000;
const KEYS: u32 = 100;
const APART_NS: i64 = 1_000;

/// Every tenth record of a key.
const EVERY: u64 = 10;

#[derive(Clone, Copy)]
struct Reading {
    at: Timestamp,
    key: u32,
    value: i64,
}

/// What comes out: all results, and the sum of those on time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Found {
    results: u64,
    on_time: i64,
}

type Total = Rc<Cell<Found>>;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let readings = readings();
    shape(&mut criterion.benchmark_group("triggers tumbling"), &readings, Tumbling::of(ms(4)));
    let sliding = Sliding::of(ms(4)).every(ms(1));
    shape(&mut criterion.benchmark_group("triggers sliding"), &readings, sliding);
    criterion.final_summary();
}

fn shape(
    group: &mut BenchmarkGroup<'_, WallTime>,
    readings: &Arc<[Record<Reading>]>,
    window: impl Window + Copy,
) {
    group.sample_size(20).throughput(Throughput::Elements(RECORDS as u64));
    let expected = run(readings, window, plain);
    assert_eq!(run(readings, window, triggered(event_time())), expected);
    let early = run(readings, window, triggered(event_time().early(count(EVERY))));
    assert!(early.results > expected.results && early.on_time == expected.on_time);

    group.bench_function("plain", |bencher| bencher.iter(|| run(readings, window, plain)));
    group.bench_function("event_time", |bencher| {
        bencher.iter(|| run(readings, window, triggered(event_time())));
    });
    group.bench_function("early", |bencher| {
        bencher.iter(|| run(readings, window, triggered(event_time().early(count(EVERY)))));
    });
    group.bench_function("purging", |bencher| {
        let trigger = || purging(any(event_time(), count(EVERY)));
        bencher.iter(|| run(readings, window, triggered(trigger())));
    });
    group.bench_function("delta", |bencher| {
        let trigger = || any(event_time(), delta(900.0, |reading: &Reading| reading.value as f64));
        bencher.iter(|| run(readings, window, triggered(trigger())));
    });
}

/// Readings of random meters at a steady pace, in order.
fn readings() -> Arc<[Record<Reading>]> {
    let mut random = fastrand::Rng::with_seed(7);
    let times = (0..RECORDS).map(|n| Timestamp(n * APART_NS));
    times
        .map(|at| {
            let (key, value) = (random.u32(..KEYS), random.i64(0..1_000));
            Record::new(at, Reading { at, key, value })
        })
        .collect()
}

fn plain(windows: WindowedStream<'_, u32, Reading>, total: Total) {
    windows
        .aggregate(sum(|reading: &Reading| reading.value))
        .for_each(move |record| tally(&total, &record.value));
}

fn triggered(
    trigger: impl Trigger<Reading>,
) -> impl for<'p> FnOnce(WindowedStream<'p, u32, Reading>, Total) {
    move |windows, total| {
        windows
            .trigger(trigger)
            .aggregate(sum(|reading: &Reading| reading.value))
            .for_each(move |record| tally(&total, &record.value));
    }
}

#[inline]
fn tally(total: &Cell<Found>, result: &Windowed<u32, i64>) {
    let mut found = total.get();
    found.results += 1;
    if result.timing == Timing::OnTime {
        found.on_time += result.value * i64::from(result.key + 1);
    }
    total.set(found);
}

fn run(
    readings: &Arc<[Record<Reading>]>,
    window: impl Window,
    rest: impl for<'p> FnOnce(WindowedStream<'p, u32, Reading>, Total),
) -> Found {
    let total = Total::default();
    let (source, results) = (MemorySource::new(readings.clone()), total.clone());
    let (mut shard, ()) = Shard::embed(Config::embedded(), |p| {
        let records = p.source(source).event_time(|reading| reading.at, Watermarks::monotonic());
        rest(records.key_by(|reading| reading.key).window(window), results);
        Ok(())
    })
    .expect("the pipeline is sound");
    while !shard.is_done() {
        shard.step(Timestamp(0));
        assert!(shard.failure().is_none());
    }
    total.get()
}
