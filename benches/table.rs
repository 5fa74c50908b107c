//! The state table against hashbrown's map, with the hasher that comes with it.
//!
//! | group | `millstream` | baseline |
//! |---|---|---|
//! | `table update` | `update_batch` and `entry`, on keys that are there | `entry` |
//! | `table walk` | `visit`, over all keys | `iter` |
//! | `table growth` | `entry`, from empty up to all keys | `entry` |
//!
//! With 1 000, 100 000 and 1 000 000 keys: within the first cache, beyond the second, beyond all.
//! What growth does to the worst single insertion, which is why there is a table of our own, is not
//! in these averages: see `benches/alternatives/keyed_table.md`.
//!
//! Run it with `cargo bench --bench table`; `cargo bench --bench table -- --test` runs each once.

mod rooms;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput};
use rooms::table::{
    BATCH, distinct, map_of, table_of, update_batch, update_each, update_map, updates_of, walk_map,
    walk_table,
};

const KEYS: [usize; 3] = [1_000, 100_000, 1_000_000];

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    update(&mut criterion);
    walk(&mut criterion);
    growth(&mut criterion);
    criterion.final_summary();
}

fn update(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("table update");
    group.throughput(Throughput::Elements(BATCH as u64));
    for count in KEYS {
        let keys = distinct(count);
        batches(&mut group, "update_batch", &keys, table_of, update_batch);
        batches(&mut group, "entry", &keys, table_of, update_each);
        batches(&mut group, "hashbrown", &keys, map_of, update_map);
    }
}

/// Times an update of what has all the keys.
fn batches<S>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    keys: &[u64],
    of: fn(&[u64]) -> S,
    update: impl Fn(&mut S, &[u64]),
) {
    let updates = updates_of(keys);
    group.bench_function(BenchmarkId::new(name, keys.len()), |bencher| {
        let (mut sums, mut batches) = (of(keys), updates.chunks_exact(BATCH).cycle());
        bencher.iter(|| update(&mut sums, batches.next().unwrap_or_default()));
    });
}

fn walk(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("table walk");
    for count in KEYS {
        let keys = distinct(count);
        few_samples(&mut group, count);
        group.bench_function(BenchmarkId::new("visit", count), |bencher| {
            let table = table_of(&keys);
            bencher.iter(|| walk_table(&table));
        });
        group.bench_function(BenchmarkId::new("hashbrown", count), |bencher| {
            let map = map_of(&keys);
            bencher.iter(|| walk_map(&map));
        });
    }
}

fn growth(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("table growth");
    for count in KEYS {
        let keys = distinct(count);
        few_samples(&mut group, count);
        group.bench_function(BenchmarkId::new("entry", count), |bencher| {
            bencher.iter_with_large_drop(|| table_of(&keys));
        });
        group.bench_function(BenchmarkId::new("hashbrown", count), |bencher| {
            bencher.iter_with_large_drop(|| map_of(&keys));
        });
    }
}

/// For rounds that go over all keys: as few as the statistics allow.
fn few_samples(group: &mut BenchmarkGroup<'_, WallTime>, keys: usize) {
    group.throughput(Throughput::Elements(keys as u64));
    group.sample_size(10);
}
