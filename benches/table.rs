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

use std::hint::black_box;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput};
use hashbrown::HashMap;
use millstream::state::{Cursor, Table};

const KEYS: [usize; 3] = [1_000, 100_000, 1_000_000];

/// Updates of one round: as many as a batch of the engine has.
const BATCH: usize = 256;

/// Keys in the order in which they are updated, before the same ones come round again.
const UPDATES: usize = 256 * BATCH;

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
        let updates = updates_of(&keys);
        let records = [3u64; BATCH];
        group.bench_function(BenchmarkId::new("update_batch", count), |bencher| {
            let (mut table, mut batches) = (table_of(&keys), updates.chunks_exact(BATCH).cycle());
            bencher.iter(|| {
                let batch = batches.next().unwrap_or_default();
                table.update_batch(black_box(&records), batch, |sum, record| *sum += record);
            });
        });
        group.bench_function(BenchmarkId::new("entry", count), |bencher| {
            let (mut table, mut batches) = (table_of(&keys), updates.chunks_exact(BATCH).cycle());
            bencher.iter(|| {
                let batch = batches.next().unwrap_or_default();
                for (key, record) in batch.iter().zip(black_box(&records)) {
                    *table.entry(*key) += record;
                }
            });
        });
        group.bench_function(BenchmarkId::new("hashbrown", count), |bencher| {
            let (mut map, mut batches) = (map_of(&keys), updates.chunks_exact(BATCH).cycle());
            bencher.iter(|| {
                let batch = batches.next().unwrap_or_default();
                for (key, record) in batch.iter().zip(black_box(&records)) {
                    *map.entry(*key).or_default() += record;
                }
            });
        });
    }
}

fn walk(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("table walk");
    for count in KEYS {
        let keys = distinct(count);
        few_samples(&mut group, count);
        group.bench_function(BenchmarkId::new("visit", count), |bencher| {
            let table = table_of(&keys);
            bencher.iter(|| {
                let mut sum = 0;
                table.visit(&mut Cursor::default(), usize::MAX, |key, value| sum ^= key ^ value);
                sum
            });
        });
        group.bench_function(BenchmarkId::new("hashbrown", count), |bencher| {
            let map = map_of(&keys);
            bencher.iter(|| map.iter().fold(0, |sum, (key, value)| sum ^ key ^ value));
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

fn table_of(keys: &[u64]) -> Table<u64, u64> {
    let mut table = Table::new(1);
    keys.iter().for_each(|key| *table.entry(*key) += 1);
    table
}

fn map_of(keys: &[u64]) -> HashMap<u64, u64> {
    let mut map = HashMap::new();
    keys.iter().for_each(|key| *map.entry(*key).or_default() += 1);
    map
}

/// Keys without a pattern, all different: an odd factor takes no two numbers to the same.
fn distinct(count: usize) -> Vec<u64> {
    (1..=count as u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect()
}

/// Some of the keys at random, with repetition.
fn updates_of(keys: &[u64]) -> Vec<u64> {
    let mut random = fastrand::Rng::with_seed(7);
    (0..UPDATES).map(|_| keys[random.usize(..keys.len())]).collect()
}
