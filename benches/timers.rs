//! The timer wheel against a `BTreeMap` from time and number to value, which fires in the same
//! order.
//!
//! | group | what one round does |
//! |---|---|
//! | `timers set and cancel` | cancels one of the timers, at random, and sets another |
//! | `timers set and expire` | fires the earliest timer and sets another at a later time |
//!
//! With 1 000, 100 000 and 1 000 000 timers set at all times. Cancelling is what timeouts do, of
//! which nearly none fires; firing is what windows, sessions and delays do.
//!
//! Run it with `cargo bench --bench timers`; `cargo bench --bench timers -- --test` runs each once.

use std::collections::BTreeMap;

use criterion::{BenchmarkId, Criterion};
use millstream::time::{TimerId, TimerWheel, Timestamp, us};

const TIMERS: [usize; 3] = [1_000, 100_000, 1_000_000];

/// Between two timers, on the average.
const APART_NS: i64 = 1_000;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    set_and_cancel(&mut criterion);
    set_and_expire(&mut criterion);
    criterion.final_summary();
}

fn set_and_cancel(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("timers set and cancel");
    for count in TIMERS {
        group.bench_function(BenchmarkId::new("wheel", count), |bencher| {
            let (mut wheel, mut times) = (TimerWheel::new(count, us(1)), Times::new(count));
            let mut ids: Vec<_> = (0..count).map(|_| set(&mut wheel, times.any())).collect();
            bencher.iter(|| {
                let id = &mut ids[times.random.usize(..count)];
                let value = wheel.cancel(*id);
                *id = set(&mut wheel, times.any());
                value
            });
        });
        group.bench_function(BenchmarkId::new("BTreeMap", count), |bencher| {
            let (mut map, mut times) = (Map::default(), Times::new(count));
            let mut ids: Vec<_> = (0..count).map(|_| map.set(times.any())).collect();
            bencher.iter(|| {
                let id = &mut ids[times.random.usize(..count)];
                let value = map.timers.remove(id);
                *id = map.set(times.any());
                value
            });
        });
    }
}

fn set_and_expire(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("timers set and expire");
    for count in TIMERS {
        group.bench_function(BenchmarkId::new("wheel", count), |bencher| {
            let (mut wheel, mut times) = (TimerWheel::new(count, us(1)), Times::new(count));
            (0..count).for_each(|_| _ = set(&mut wheel, times.any()));
            bencher.iter(|| {
                let now = wheel.next().unwrap_or_default();
                let mut fired = 0;
                wheel.expire(now, 1, |_, value| fired = value);
                set(&mut wheel, times.after(now));
                fired
            });
        });
        group.bench_function(BenchmarkId::new("BTreeMap", count), |bencher| {
            let (mut map, mut times) = (Map::default(), Times::new(count));
            (0..count).for_each(|_| _ = map.set(times.any()));
            bencher.iter(|| {
                let ((now, _), fired) = map.timers.pop_first().unwrap_or_default();
                map.set(times.after(now));
                fired
            });
        });
    }
}

fn set(wheel: &mut TimerWheel<u64>, at: Timestamp) -> TimerId {
    wheel.set(at, 1).expect("one was taken out before")
}

/// The baseline: timers by time, and by number where times are equal.
#[derive(Default)]
struct Map {
    timers: BTreeMap<(Timestamp, u64), u64>,
    number: u64,
}

impl Map {
    fn set(&mut self, at: Timestamp) -> (Timestamp, u64) {
        self.number += 1;
        self.timers.insert((at, self.number), 1);
        (at, self.number)
    }
}

/// The times that timers are set for.
struct Times {
    random: fastrand::Rng,
    /// The latest is so far ahead that there are as many timers as there should be.
    reach: i64,
}

impl Times {
    fn new(count: usize) -> Self {
        Self { random: fastrand::Rng::with_seed(7), reach: 2 * count as i64 * APART_NS }
    }

    fn any(&mut self) -> Timestamp {
        self.after(Timestamp(0))
    }

    fn after(&mut self, now: Timestamp) -> Timestamp {
        Timestamp(now.as_nanos() + self.random.i64(1..=self.reach))
    }
}
