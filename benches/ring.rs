//! The ring between a shard and a thread, against the ring below it and the standard library's
//! channel, on one thread.
//!
//! | name | what it is |
//! |---|---|
//! | `pipe` | `exchange::pipe`, which shards and threads beside them talk through |
//! | `rtrb` | baseline: the ring that it wraps, which hands a refused value back the same way |
//! | `std` | baseline: `std::sync::mpsc::sync_channel` |
//!
//! What a hop between two cores takes is not here: `millstream bench hop` has it.
//!
//! Run it with `cargo bench --bench ring`; `cargo bench --bench ring -- --test` runs each once.

mod rooms;

use criterion::{Criterion, Throughput};
use rooms::ring::{by_pipe, by_rtrb, by_std};

const NUMBERS: u64 = 100_000;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("ring");
    group.throughput(Throughput::Elements(NUMBERS));
    let ways: [(&str, fn(u64) -> u64); 3] = [("pipe", by_pipe), ("rtrb", by_rtrb), ("std", by_std)];
    for (name, way) in ways {
        assert_eq!(way(NUMBERS), NUMBERS * (NUMBERS - 1) / 2);
        group.bench_function(name, |bencher| bencher.iter(|| way(NUMBERS)));
    }
    group.finish();
    criterion.final_summary();
}
