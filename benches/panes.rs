//! Count and sum by key in tumbling windows, an embedded shard against a map that is emptied at the
//! end of each window.
//!
//! | name | what it is |
//! |---|---|
//! | `panes` | `window(Tumbling)`, `aggregate`, with building and dropping the pipeline left out |
//! | `map` | baseline: one hashbrown map, its keys by its own hasher, records in order only |
//!
//! With 100 and 10 000 keys, ten thousand records a window. Both must find the same windows.
//! `millstream bench window` is the same at length, on pinned cores.
//!
//! Run it with `cargo bench --bench panes`; `cargo bench --bench panes -- --test` runs each once.

mod rooms;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use rooms::Ready;
use rooms::panes::{by_map, by_panes, readings};

const RECORDS: usize = 100_000;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("panes");
    group.sample_size(20).throughput(Throughput::Elements(RECORDS as u64));
    for keys in [100, 10_000] {
        let readings = readings(RECORDS, keys);
        assert_eq!(by_panes(&readings).run(), by_map(&readings));
        group.bench_function(BenchmarkId::new("panes", keys), |bencher| {
            bencher.iter_batched(|| by_panes(&readings), Ready::run, BatchSize::PerIteration);
        });
        group.bench_function(BenchmarkId::new("map", keys), |bencher| {
            bencher.iter(|| by_map(&readings));
        });
    }
    group.finish();
    criterion.final_summary();
}
