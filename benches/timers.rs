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

mod rooms;

use criterion::{BenchmarkId, Criterion};
use rooms::wheel::{Full, Map, Wheel};

const TIMERS: [usize; 3] = [1_000, 100_000, 1_000_000];

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
            let mut timers = Full::<Wheel>::new(count);
            bencher.iter(|| timers.cancel());
        });
        group.bench_function(BenchmarkId::new("BTreeMap", count), |bencher| {
            let mut timers = Full::<Map>::new(count);
            bencher.iter(|| timers.cancel());
        });
    }
}

fn set_and_expire(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("timers set and expire");
    for count in TIMERS {
        group.bench_function(BenchmarkId::new("wheel", count), |bencher| {
            let mut timers = Full::<Wheel>::new(count);
            bencher.iter(|| timers.fire());
        });
        group.bench_function(BenchmarkId::new("BTreeMap", count), |bencher| {
            let mut timers = Full::<Map>::new(count);
            bencher.iter(|| timers.fire());
        });
    }
}
