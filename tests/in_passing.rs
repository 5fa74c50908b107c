//! Checkpoints whose state is copied behind the barrier, a slice at a time, while records go on:
//! what is restored from one gives what would have come after its barrier, to the record.

use fastrand::Rng;
use millstream::dataflow::{Epoch, Pipeline};
use millstream::io::MemorySource;
use millstream::window::Sliding;
use millstream::window::aggregates::sum;
use millstream::{Config, Output, Record, Shard, Snapshot, Timestamp, ms};

type Results = Output<(u64, i64, u64)>;
type Build = fn(Pipeline<'_>, Vec<Record<u64>>) -> Results;

fn running(p: Pipeline<'_>, records: Vec<Record<u64>>) -> Results {
    let sums = p.source(MemorySource::new(records)).map(|n| (n, n));
    let sums = sums.key_by(|(n, _)| n % 4_999).reduce(|sum, (_, n)| sum.1 += n);
    sums.map(|(key, (_, sum))| (key, 0, sum)).output()
}

fn sliding(p: Pipeline<'_>, records: Vec<Record<u64>>) -> Results {
    let windows = p.source(MemorySource::new(records)).key_by(|n| n % 1_999);
    let sums = windows.window(Sliding::of(ms(60)).every(ms(20))).aggregate(sum(|n: &u64| *n));
    sums.map(|sum| (sum.key, sum.span.end.0, sum.value)).output()
}

/// The sums of windows, summed up again for the windows that contain them.
fn in_a_row(p: Pipeline<'_>, records: Vec<Record<u64>>) -> Results {
    let windows = p.source(MemorySource::new(records)).key_by(|n| n % 1_999);
    let sums = windows.window(Sliding::of(ms(10)).every(ms(10))).aggregate(sum(|n: &u64| *n));
    let windows = sums.key_by(|sum| sum.key % 997);
    let sums = windows
        .window(Sliding::of(ms(80)).every(ms(40)))
        .aggregate(sum(|s: &millstream::Windowed<u64, u64>| s.value));
    sums.map(|sum| (sum.key, sum.span.end.0, sum.value)).output()
}

fn shard(build: Build, config: &Config, records: &[Record<u64>]) -> (Shard, Results) {
    Shard::embed(config.clone(), |p| Ok(build(p, records.to_vec()))).unwrap()
}

fn popped(results: &mut Results) -> impl Iterator<Item = (u64, i64, u64)> {
    std::iter::from_fn(|| results.pop()).map(|result| result.value)
}

/// All that comes until the end.
fn to_the_end(shard: &mut Shard, results: &mut Results) -> Vec<(u64, i64, u64)> {
    let mut all = Vec::new();
    while !shard.is_done() {
        shard.step(Timestamp(0));
        all.extend(popped(results));
    }
    assert!(shard.failure().is_none(), "{:?}", shard.failure());
    // A barrier waits until a window has fired, and so do the records behind it: which key comes
    // first in a window is a matter of when they came.
    all.sort_by_key(|(key, end, _)| (*end, if *end == 0 { 0 } else { *key }));
    all
}

/// Takes a checkpoint behind some steps. Returns it, how many results came before it began and how
/// many until it was taken, and how many steps it took.
fn checkpoint(
    shard: &mut Shard,
    results: &mut Results,
    after: u32,
) -> (Snapshot, std::ops::RangeInclusive<usize>, u32) {
    let mut came = 0;
    for _ in 0..after {
        shard.step(Timestamp(0));
        came += popped(results).count();
    }
    shard.begin_checkpoint(Epoch(1));
    let mut meanwhile = 0;
    for steps in 1.. {
        shard.step(Timestamp(0));
        meanwhile += popped(results).count();
        if let Some((_, snapshot)) = shard.take_checkpoint() {
            return (snapshot.unwrap(), came..=came + meanwhile, steps);
        }
    }
    unreachable!()
}

fn goes_on(seed: u64, build: Build) {
    let mut rng = Rng::with_seed(seed);
    let at = |n: u64| Timestamp((n * 10_000) as i64);
    let records: Vec<_> = (0..30_000).map(|n| Record::new(at(n), rng.u64(..100_000))).collect();
    let config = Config {
        fire_max: rng.usize(1..200),
        batch_max: rng.usize(1..300),
        embedded_capacity: 1 << 15,
        ..Config::embedded()
    };
    let (mut whole, mut results) = shard(build, &config, &records);
    let expected = to_the_end(&mut whole, &mut results);
    let (mut first, mut results) = shard(build, &config, &records);
    let steps = 30_000 / config.batch_max as u32;
    let (snapshot, came, took) = checkpoint(&mut first, &mut results, rng.u32(..steps));
    drop((first, results));
    let (mut second, mut results) = shard(build, &config, &records);
    second.restore(&snapshot).unwrap();
    let rest = to_the_end(&mut second, &mut results);
    let before = expected.len() - rest.len();
    assert!(expected.ends_with(&rest), "seed {seed}: {} of {}", rest.len(), expected.len());
    assert!(came.contains(&before), "seed {seed}: {before}, and {came:?} came");
    println!("seed {seed}: {took} steps, {} results behind the barrier", rest.len());
}

#[test]
fn sums_go_on_from_the_barrier() {
    (0..25).for_each(|seed| goes_on(seed, running));
}

#[test]
fn windows_go_on_from_the_barrier() {
    (0..25).for_each(|seed| goes_on(seed, sliding));
}

#[test]
fn windows_of_windows_go_on_from_the_barrier() {
    (0..15).for_each(|seed| goes_on(seed, in_a_row));
}

/// The steps of a checkpoint copy no more at a time than they may.
#[test]
fn a_checkpoint_of_much_takes_many_steps() {
    let records: Vec<_> = (0..30_000).map(|n| Record::new(Timestamp(0), n)).collect();
    let config = Config { fire_max: 16, embedded_capacity: 1 << 15, ..Config::embedded() };
    let (mut shard, mut results) = shard(running, &config, &records);
    let steps = 30_000 / config.batch_max as u32;
    let (_, _, took) = checkpoint(&mut shard, &mut results, steps + 1);
    assert!(took > 20, "{took} steps");
}
