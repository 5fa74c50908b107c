//! Two streams joined in an embedded shard, against loops by hand over two sorted arrays.
//!
//! | name | what it is |
//! |---|---|
//! | `interval` | `interval_join`, a partner for each record on average |
//! | `interval by map` | baseline: a hashbrown map from key to two sorted vectors |
//! | `as of` | `asof_join`, each left record with the latest right one |
//! | `as of by pass` | baseline: one pass over both arrays, the latest values in a map |
//! | `windows` | `window_join`, tumbling, a record of each stream a key and window on average |
//! | `windows by map` | baseline: a hashbrown map from key to two vectors for the window in hand |
//!
//! With 100 and 10 000 keys. The baselines do less: they have both arrays in order before they
//! begin, and cannot take a record out of order. Both must find the same pairs.
//!
//! Run it with `cargo bench --bench joins`; `cargo bench --bench joins -- --test` runs each once.

mod rooms;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use rooms::joins::{
    Streams, asof, asof_by_pass, in_windows, in_windows_by_map, interval, interval_by_map,
};
use rooms::{Found, Ready};

const RECORDS: usize = 50_000;

/// Ours, theirs, and what they are called.
type Way = (&'static str, fn(&Streams) -> Ready, &'static str, fn(&Streams) -> Found);

const WAYS: [Way; 3] = [
    ("interval", interval, "interval by map", interval_by_map),
    ("as of", asof, "as of by pass", asof_by_pass),
    ("windows", in_windows, "windows by map", in_windows_by_map),
];

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("joins");
    group.sample_size(20).throughput(Throughput::Elements(2 * RECORDS as u64));
    for keys in [100, 10_000] {
        let streams = Streams::new(RECORDS, keys);
        for (ours, by_engine, theirs, by_hand) in WAYS {
            let found = by_engine(&streams).run();
            assert!(found.results > RECORDS as u64 / 2, "{ours}: {} pairs", found.results);
            assert_eq!(found, by_hand(&streams));
            group.bench_function(BenchmarkId::new(ours, keys), |bencher| {
                let ready = || by_engine(&streams);
                bencher.iter_batched(ready, Ready::run, BatchSize::PerIteration);
            });
            group.bench_function(BenchmarkId::new(theirs, keys), |bencher| {
                bencher.iter(|| by_hand(&streams));
            });
        }
    }
    group.finish();
    criterion.final_summary();
}
