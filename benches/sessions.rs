//! Sessions end to end: an embedded shard, from a source in memory to a closure, against a small
//! hand-written map.
//!
//! | name | what it is |
//! |---|---|
//! | `in order` | `session(..)`, records in order of event time |
//! | `disordered` | the same records, each up to an eighth of a gap late |
//! | `map` | baseline: one open session a key in a hashbrown map, records in order only |
//!
//! The map does less: it cannot take a record out of order, and it finds out that a session is over
//! when the key's next record comes, or the end of the input, and not when time has passed. The
//! command `millstream bench sessions` has the stronger baseline that does both.
//!
//! With 10 and 1 000 keys; a session has some seven records. A round is all of the input, and that
//! of the shard has building the pipeline in it. All three must find the same sessions.
//!
//! Run it with `cargo bench --bench sessions`; `cargo bench --bench sessions -- --test` runs each
//! once.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};
use hashbrown::HashMap;
use millstream::aggregates::{count, sum};
use millstream::io::MemorySource;
use millstream::{Config, Record, Session, Shard, Timestamp, Watermarks};

const RECORDS: usize = 20_000;
const APART_NS: i64 = 1_000;

#[derive(Clone, Copy)]
struct Reading {
    at: Timestamp,
    key: u32,
    value: u64,
}

/// What comes out, the same for the same sessions in any order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Found {
    sessions: u64,
    mix: u64,
}

impl Found {
    fn add(&mut self, key: u32, [start, end]: [i64; 2], count: u64, sum: u64) {
        self.sessions += 1;
        let odd = (u64::from(key) * 8 + count * 2) | 1;
        self.mix = self.mix.wrapping_add(odd.wrapping_mul(start as u64 ^ (end as u64) << 20 ^ sum));
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("sessions");
    group.sample_size(20).throughput(Throughput::Elements(RECORDS as u64));
    for keys in [10, 1_000] {
        // Twice what lies between two records of a key.
        let gap = 2 * APART_NS * i64::from(keys);
        let in_order = readings(keys, 0);
        let disordered = readings(keys, gap / 8);
        let expected = by_map(&in_order, gap);
        assert_eq!(by_shard(&in_order, gap, 0), expected);
        assert_eq!(by_shard(&disordered, gap, gap / 8), expected);
        group.bench_function(BenchmarkId::new("in order", keys), |bencher| {
            bencher.iter(|| by_shard(&in_order, gap, 0));
        });
        group.bench_function(BenchmarkId::new("disordered", keys), |bencher| {
            bencher.iter(|| by_shard(&disordered, gap, gap / 8));
        });
        group.bench_function(BenchmarkId::new("map", keys), |bencher| {
            bencher.iter(|| by_map(&in_order, gap));
        });
    }
    group.finish();
    criterion.final_summary();
}

/// Readings of random meters at a steady pace, each up to `late` nanoseconds late.
fn readings(keys: u32, late: i64) -> Arc<[Record<Reading>]> {
    let (mut random, mut lateness) = (fastrand::Rng::with_seed(7), fastrand::Rng::with_seed(8));
    let mut all: Vec<_> = (0..RECORDS as i64)
        .map(|n| {
            let at = Timestamp(n * APART_NS);
            let (key, value) = (random.u32(..keys), random.u64(..1_000));
            let arrival = at.as_nanos() + lateness.i64(0..=late);
            (arrival, Record::new(at, Reading { at, key, value }))
        })
        .collect();
    all.sort_by_key(|(arrival, _)| *arrival);
    all.into_iter().map(|(_, record)| record).collect()
}

fn by_shard(readings: &Arc<[Record<Reading>]>, gap: i64, late: i64) -> Found {
    let found = Rc::new(Cell::new(Found::default()));
    let (source, total) = (MemorySource::new(readings.clone()), found.clone());
    let gap = Duration::from_nanos(gap as u64);
    let late = Duration::from_nanos(late as u64);
    let (mut shard, ()) = Shard::embed(Config::embedded(), |p| {
        p.source(source)
            .event_time(|reading| reading.at, Watermarks::bounded_disorder(late))
            .key_by(|reading| reading.key)
            .session(Session::gap(gap))
            .aggregate((count(), sum(|reading: &Reading| reading.value)))
            .for_each(move |session| {
                let (span, (count, sum)) = (session.value.span, session.value.value);
                let span = [span.start.as_nanos(), span.end.as_nanos()];
                let mut found = total.get();
                found.add(session.value.key, span, count, sum);
                total.set(found);
            });
        Ok(())
    })
    .expect("the pipeline is sound");
    while !shard.is_done() {
        shard.step(Timestamp(0));
        assert!(shard.failure().is_none());
    }
    found.get()
}

#[derive(Clone, Copy)]
struct Open {
    start: i64,
    last: i64,
    count: u64,
    sum: u64,
}

fn by_map(readings: &[Record<Reading>], gap: i64) -> Found {
    let (mut found, mut open) = (Found::default(), HashMap::<u32, Open>::new());
    for Record { value: Reading { at, key, value }, .. } in readings {
        let at = at.as_nanos();
        let alone = Open { start: at, last: at, count: 1, sum: *value };
        open.entry(*key)
            .and_modify(|session| {
                if at - session.last > gap {
                    let over = std::mem::replace(session, alone);
                    found.add(*key, [over.start, over.last + gap], over.count, over.sum);
                    return;
                }
                session.last = at;
                session.count += 1;
                session.sum += value;
            })
            .or_insert(alone);
    }
    for (key, Open { start, last, count, sum }) in open {
        found.add(key, [start, last + gap], count, sum);
    }
    found
}
