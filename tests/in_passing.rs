//! Checkpoints whose state is copied behind the barrier, a slice at a time, while records go on:
//! what is restored from one gives what would have come after its barrier, to the record.

use fastrand::Rng;
use millstream::dataflow::{Epoch, Pipeline};
use millstream::io::MemorySource;
use millstream::join::{after, before};
use millstream::window::Sliding;
use millstream::window::aggregates::sum;
use millstream::{
    Config, KeyContext, Output, Process, Record, Shard, Snapshot, Timer, Timestamp, ms,
};

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

/// Each record with all of its key that come within 3 ms behind it.
fn joined(p: Pipeline<'_>, records: Vec<Record<u64>>) -> Results {
    let lefts = p.source(MemorySource::new(records.clone())).key_by(|n| n % 3_989);
    let rights = p.source(MemorySource::new(records)).key_by(|n| n % 3_989);
    let pairs = lefts.interval_join(rights).between(before(ms(0)), after(ms(3)));
    pairs.select(|left, right| (*left, 0, *right)).output()
}

/// Says of each key how many records it has had, 50 ms after the last one.
struct Silence;

impl Process for Silence {
    type Key = u64;
    type In = u64;
    type State = (u64, Option<Timestamp>);
    type Out = (u64, i64, u64);

    fn on_record(&mut self, _: u64, ctx: &mut KeyContext<'_, Self>) {
        let due = ctx.at() + ms(50);
        let (count, last) = ctx.state();
        *count += 1;
        if let Some(before) = last.replace(due) {
            ctx.cancel_timer(before);
        }
        ctx.set_timer(due);
    }

    fn on_timer(&mut self, timer: Timer, ctx: &mut KeyContext<'_, Self>) {
        let (key, count) = (ctx.key(), ctx.state().0);
        ctx.emit((key, timer.at.0, count));
    }
}

fn timers(p: Pipeline<'_>, records: Vec<Record<u64>>) -> Results {
    p.source(MemorySource::new(records)).key_by(|n| n % 4_999).process(Silence).output()
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
    all
}

/// What a checkpoint brought.
struct Taken {
    snapshot: Snapshot,
    /// What came until it was taken.
    came: Vec<(u64, i64, u64)>,
    /// How much of that came before it began.
    before: usize,
    /// How many steps it took.
    steps: u32,
}

/// Takes a checkpoint behind some steps.
fn checkpoint(shard: &mut Shard, results: &mut Results, after: u32) -> Taken {
    let mut came = Vec::new();
    for _ in 0..after {
        shard.step(Timestamp(0));
        came.extend(popped(results));
    }
    shard.begin_checkpoint(Epoch(1));
    let before = came.len();
    for steps in 1.. {
        shard.step(Timestamp(0));
        came.extend(popped(results));
        if let Some((_, snapshot)) = shard.take_checkpoint() {
            return Taken { snapshot: snapshot.unwrap(), came, before, steps };
        }
    }
    unreachable!()
}

/// What came before the barrier, and then what a shard that was restored gives, is what a run
/// without a checkpoint gives. The order may be another: a barrier waits until a window has fired,
/// and so do the records behind it.
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
    let mut expected = to_the_end(&mut whole, &mut results);
    let (mut first, mut results) = shard(build, &config, &records);
    let steps = 30_000 / config.batch_max as u32;
    let taken = checkpoint(&mut first, &mut results, rng.u32(..steps));
    drop((first, results));
    let (mut second, mut results) = shard(build, &config, &records);
    second.restore(&taken.snapshot).unwrap();
    let mut got = to_the_end(&mut second, &mut results);
    let before = expected.len().saturating_sub(got.len());
    let possible = taken.before..=taken.came.len();
    assert!(possible.contains(&before), "seed {seed}: {before} of {possible:?} came before");
    got.extend(&taken.came[..before]);
    got.sort_unstable();
    expected.sort_unstable();
    assert!(got == expected, "seed {seed}");
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

#[test]
fn joins_go_on_from_the_barrier() {
    (0..15).for_each(|seed| goes_on(seed, joined));
}

#[test]
fn timers_go_on_from_the_barrier() {
    (0..15).for_each(|seed| goes_on(seed, timers));
}

/// The steps of a checkpoint copy no more at a time than they may.
#[test]
fn a_checkpoint_of_much_takes_many_steps() {
    let records: Vec<_> = (0..30_000).map(|n| Record::new(Timestamp(0), n)).collect();
    let config = Config { fire_max: 16, embedded_capacity: 1 << 15, ..Config::embedded() };
    let (mut shard, mut results) = shard(running, &config, &records);
    let steps = 30_000 / config.batch_max as u32;
    let Taken { steps, .. } = checkpoint(&mut shard, &mut results, steps + 1);
    assert!(steps > 20, "{steps} steps");
}
