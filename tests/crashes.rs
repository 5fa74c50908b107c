//! Crashes between any two steps, and nothing lost or seen twice.
//!
//! Each seed is a world of one to five shards with checkpoints and crashes at moments of its own.
//! What the sinks have shown in the end must be what a run without crashes shows.
//! `MILLSTREAM_SEEDS=100000 cargo test --release --test crashes` looks harder, and
//! `MILLSTREAM_SEED=17` replays the one seed that a failure names.

#[path = "crashes/late.rs"]
mod late;
#[path = "crashes/moves.rs"]
mod moves;
#[path = "crashes/patient.rs"]
mod patient;
#[path = "crashes/rescaled.rs"]
mod rescaled;
mod support;

use std::cell::Cell;
use std::fmt::Debug;
use std::sync::Once;

use fastrand::Rng;
use millstream::aggregates::{count, max, sum};
use millstream::dataflow::Edge;
use millstream::io::{AtCheckpoint, MemoryCommits};
use millstream::join::{after, before};
use millstream::operators::Order;
use millstream::state::Stored;
use millstream::testing::{Said, Script};
use millstream::{
    Error, KeyContext, Pipeline, Process, Session, Sliding, Stage, Stream, Timer, Timestamp,
    Tumbling, ms, ns,
};

use support::world::{at, disordered, memory};
use support::{Row, World, each_seed};

/// Records come at most so late.
const DISORDER: i64 = 20;

/// The records of each shard. A key comes from all shards, or from one.
fn inputs(rng: &mut Rng, shards: usize) -> Vec<Vec<Row>> {
    let keys = [1, 4, 60][rng.usize(..3)];
    let of_one = |_| {
        let mut clock = 0;
        let mut row = || {
            clock += rng.i64(0..8);
            let at = clock - rng.i64(0..DISORDER);
            Row { at, key: rng.u64(..keys), value: rng.i64(-50..50) }
        };
        (0..300).map(|_| row()).collect()
    };
    (0..shards).map(of_one).collect()
}

/// A pipeline to crash: from the rows of a shard to what is shown.
trait Crashing {
    type Out: Clone + Debug + Ord + Send + Stored;

    fn build<'p>(rows: Stream<'p, Edge<Row>>) -> Stream<'p, impl Stage<Out = Self::Out>>;
}

/// What `C` shows in a world, in an order of its own, and how many checkpoints there were.
fn shown<C: Crashing>(
    world: &World,
    inputs: &[Vec<Row>],
    crashes: Option<u32>,
) -> (Vec<(Timestamp, C::Out)>, u64) {
    let commits = MemoryCommits::new();
    let simulation = world.simulation().crashing(crashes.unwrap_or(0));
    let outcome = simulation
        .run(|p: Pipeline<'_>| {
            let rows = p.source(memory(&inputs[p.shard()]));
            let rows = rows.event_time(at, disordered(DISORDER)).boxed();
            C::build(rows).sink(AtCheckpoint::new(commits.of(p.shard()), 100_000));
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
    let mut all: Vec<_> = commits.records().into_iter().map(|r| (r.at, r.value)).collect();
    all.sort();
    (all, outcome.checkpoints)
}

/// Runs `C` with and without crashes.
fn crashes<C: Crashing>(default: u64) {
    each_seed(default, |seed| {
        let (world, mut rng) = (World::random(seed), Rng::with_seed(seed));
        let inputs = inputs(&mut rng, world.shards);
        let (want, _) = shown::<C>(&world, &inputs, None);
        let (got, checkpoints) = shown::<C>(&world, &inputs, Some(rng.u32(1..6)));
        assert!(checkpoints > 0);
        assert!(!want.is_empty());
        assert_eq!(got, want);
    });
}

struct Windows;

impl Crashing for Windows {
    type Out = (u64, (u64, i64));

    fn build<'p>(rows: Stream<'p, Edge<Row>>) -> Stream<'p, impl Stage<Out = Self::Out>> {
        rows.key_by(|row| row.key)
            .window(Tumbling::of(ns(50)))
            .aggregate((count(), sum(|row: &Row| row.value)))
            .map(|window| (window.key, window.value))
    }
}

struct Slides;

impl Crashing for Slides {
    type Out = (u64, i64);

    fn build<'p>(rows: Stream<'p, Edge<Row>>) -> Stream<'p, impl Stage<Out = Self::Out>> {
        rows.filter(|row| row.value % 3 != 0)
            .key_by(|row| row.key)
            .window(Sliding::of(ns(60)).every(ns(20)))
            .aggregate(max(|row: &Row| row.value))
            .map(|window| (window.key, window.value))
    }
}

struct Visits;

impl Crashing for Visits {
    type Out = (u64, u64);

    fn build<'p>(rows: Stream<'p, Edge<Row>>) -> Stream<'p, impl Stage<Out = Self::Out>> {
        rows.key_by(|row| row.key)
            .session(Session::gap(ns(15)))
            .aggregate(count())
            .map(|window| (window.key, window.value))
    }
}

struct Pairs;

impl Crashing for Pairs {
    type Out = (i64, i64);

    fn build<'p>(rows: Stream<'p, Edge<Row>>) -> Stream<'p, impl Stage<Out = Self::Out>> {
        let (ups, downs) = rows.side_output(|row| match row.value >= 0 {
            true => Ok(row),
            false => Err(row),
        });
        ups.key_by(|row| row.key)
            .interval_join(downs.key_by(|row| row.key))
            .between(before(ns(30)), after(ns(30)))
            .select(|up, down| (up.value, down.value))
    }
}

/// Records that meet others in windows, of which each has more than a small step can do, and as of
/// their times. What comes of neither depends on which of two shards was first.
struct Meetings;

impl Crashing for Meetings {
    type Out = (bool, i64, i64);

    fn build<'p>(rows: Stream<'p, Edge<Row>>) -> Stream<'p, impl Stage<Out = Self::Out>> {
        let (some, others) = rows.split(|row| row.key % 2 == 0);
        let (ups, downs) = some.split(|row| row.value >= 0);
        let join = ups.key_by(|row| row.key).window_join(downs.key_by(|row| row.key));
        let met = join.window(Sliding::of(ns(60)).every(ns(6))).semi();
        let (ups, downs) = others.split(|row| row.value >= 0);
        let join = ups.key_by(|row| row.key).asof_join(downs.key_by(|row| row.key));
        let join = join.nearest().tolerance(ns(9));
        let seen = join.select_left(|up, down| (false, up.value, down.map_or(-1, |down| down.at)));
        met.map(|up| (true, up.value, 0)).union(seen)
    }
}

/// Sums up by key, and tells of keys that fall silent.
struct Silences;

impl Process for Silences {
    type Key = u64;
    type In = Row;
    type State = (i64, i64);
    type Out = (u64, i64, i64);

    const ORDER: Order = Order::Time;

    fn on_record(&mut self, row: Row, ctx: &mut KeyContext<'_, Self>) {
        let (sum, last) = *ctx.state();
        ctx.cancel_timer(Timestamp(last + 12));
        ctx.set_timer(Timestamp(row.at + 12));
        *ctx.state() = (sum + row.value, row.at);
    }

    fn on_timer(&mut self, _: Timer, ctx: &mut KeyContext<'_, Self>) {
        let (sum, last) = *ctx.state();
        ctx.emit((ctx.key(), sum, last));
    }
}

impl Crashing for Silences {
    type Out = (u64, i64, i64);

    fn build<'p>(rows: Stream<'p, Edge<Row>>) -> Stream<'p, impl Stage<Out = Self::Out>> {
        rows.key_by(|row| row.key).process(Silences)
    }
}

/// Two exchanges, one behind the other, and one order at the end.
struct WindowsOfWindows;

impl Crashing for WindowsOfWindows {
    type Out = (u64, i64);

    fn build<'p>(rows: Stream<'p, Edge<Row>>) -> Stream<'p, impl Stage<Out = Self::Out>> {
        rows.key_by(|row| row.key)
            .window(Tumbling::of(ns(10)))
            .aggregate(sum(|row: &Row| row.value))
            .map(|window| (window.key % 3, window.value))
            .key_by(|sum| sum.0)
            .window(Tumbling::of(ns(100)))
            .aggregate(sum(|sum: &(u64, i64)| sum.1))
            .map(|window| (window.key, window.value))
            .ordered(|sum| *sum)
    }
}

#[test]
fn windows() {
    crashes::<Windows>(24);
}

#[test]
fn slides() {
    crashes::<Slides>(24);
}

#[test]
fn sessions() {
    crashes::<Visits>(24);
}

#[test]
fn joins() {
    crashes::<Pairs>(24);
}

#[test]
fn joins_in_windows_and_as_of_times() {
    crashes::<Meetings>(24);
}

#[test]
fn processes() {
    crashes::<Silences>(24);
}

#[test]
fn exchanges_behind_each_other() {
    crashes::<WindowsOfWindows>(24);
}

/// Fails with rows of this value.
const POISON: i64 = 13;

/// Sums by key, on whatever shard owns it; poison bites before the exchange, behind it, or as it
/// comes into a window.
fn bitten<'p>(rows: Stream<'p, Edge<Row>>, place: u32) -> Stream<'p, impl Stage<Out = (u64, i64)>> {
    let bite = move |at: u32, row: &Row| assert!(at != place || row.value != POISON, "{row:?}");
    rows.inspect(move |record| bite(0, &record.value))
        .key_by(|row| row.key)
        .reduce(|last, row| *last = row)
        .inspect(move |record| bite(1, &record.value.1))
        .map(|(_, row)| row)
        .key_by(|row| row.key % 3)
        .window(Tumbling::of(ns(50)))
        .aggregate(sum(move |row: &Row| {
            bite(2, row);
            row.value
        }))
        .map(|window| (window.key, window.value))
}

/// What a shard reads, in so many partitions: all rows, or those that are no poison.
fn partitions(rows: &[Row], count: usize, with_poison: bool) -> Script<Row> {
    let of = |partition: usize| {
        let rows = rows.iter().enumerate().filter(move |(n, _)| n % count == partition);
        let rows = rows.filter(|(_, row)| with_poison || row.value != POISON);
        rows.map(|(_, row)| Said::Record(row.at, *row)).collect::<Vec<_>>()
    };
    Script::partitions((0..count).map(of))
}

/// What is shown in a world of crashes, in an order of its own, and how many rows were set aside.
fn shown_without_poison(
    world: &World,
    source: impl Fn(usize) -> Script<Row>,
    (place, crashes): (u32, u32),
) -> (Vec<(Timestamp, (u64, i64))>, usize) {
    let commits = MemoryCommits::new();
    let simulation = world.simulation().crashing(crashes).setting_aside();
    let outcome = simulation
        .run(|p: Pipeline<'_>| {
            let rows = p.source(source(p.shard()));
            let rows = rows.event_time(at, disordered(DISORDER)).boxed();
            bitten(rows, place).sink(AtCheckpoint::new(commits.of(p.shard()), 100_000));
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{error}"));
    let mut all: Vec<_> = commits.records().into_iter().map(|r| (r.at, r.value)).collect();
    all.sort();
    (all, outcome.set_aside.len())
}

/// No planted panic is worth a page of text.
fn hide_planted_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let shown = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !panic.payload_as_str().is_some_and(|text| text.starts_with("Row {")) {
                shown(panic);
            }
        }));
    });
}

/// Inputs in which some rows are poison, and how many.
fn poisoned(rng: &mut Rng, shards: usize) -> (Vec<Vec<Row>>, usize) {
    let (mut inputs, mut poison) = (inputs(rng, shards), 0);
    for row in inputs.iter_mut().flatten() {
        // One in a hundred is of that value; that is more than there need be.
        if row.value == POISON {
            let stays = rng.u32(..4) == 0;
            row.value += i64::from(!stays);
            poison += usize::from(stays);
        }
    }
    (inputs, poison)
}

#[test]
fn poison_is_set_aside_whatever_crashes() {
    hide_planted_panics();
    each_seed(40, |seed| {
        let (world, mut rng) = (World::random(seed), Rng::with_seed(seed));
        let (inputs, poison) = poisoned(&mut rng, world.shards);
        let (place, count) = (rng.u32(..3), [1, 3][rng.usize(..2)]);
        let healthy = |shard: usize| partitions(&inputs[shard], count, false);
        let all = |shard: usize| partitions(&inputs[shard], count, true);
        let (want, none) = shown_without_poison(&world, healthy, (place, 0));
        let (got, set_aside) = shown_without_poison(&world, all, (place, rng.u32(..4)));
        assert_eq!((none, set_aside), (0, poison));
        assert_eq!(got, want);
    });
}

/// Adds up by key in the order of time, and takes no poison.
struct Strict;

impl Process for Strict {
    type Key = u64;
    type In = Row;
    type State = i64;
    type Out = (u64, i64);

    const ORDER: Order = Order::Time;

    fn on_record(&mut self, row: Row, ctx: &mut KeyContext<'_, Self>) {
        assert!(row.value != POISON, "{row:?}");
        *ctx.state() += row.value;
        ctx.emit((row.key, row.value));
    }
}

/// What a step has held back since before the last checkpoint cannot be left out any more. Then the
/// run fails; and it never goes on without a record that is not to blame.
#[test]
fn poison_that_is_held_back_is_found_or_the_run_fails() {
    hide_planted_panics();
    let (found, failed) = (Cell::new(0), Cell::new(0));
    each_seed(25, |seed| {
        let (world, mut rng) = (World::random(seed), Rng::with_seed(seed));
        let (inputs, poison) = poisoned(&mut rng, world.shards);
        let shown = |with_poison: bool| {
            let commits = MemoryCommits::new();
            let outcome = world.simulation().crashing(0).setting_aside().run(|p| {
                let rows = p.source(partitions(&inputs[p.shard()], 1, with_poison));
                let rows = rows.event_time(at, disordered(DISORDER)).boxed();
                // Of rows of one time any may be the first, so only sums of windows are certain.
                rows.key_by(|row| row.key)
                    .process(Strict)
                    .key_by(|it| it.0)
                    .window(Tumbling::of(ns(10)))
                    .aggregate(sum(|it: &(u64, i64)| it.1))
                    .map(|window| (window.key, window.value))
                    .sink(AtCheckpoint::new(commits.of(p.shard()), 100_000));
                Ok(())
            });
            let mut all: Vec<_> = commits.records().into_iter().map(|r| (r.at, r.value)).collect();
            all.sort();
            outcome.map(|outcome| (all, outcome.set_aside.len()))
        };
        let (want, _) = shown(false).unwrap_or_else(|error| panic!("{error}"));
        match shown(true) {
            Ok((got, set_aside)) => {
                assert_eq!(set_aside, poison);
                assert_eq!(got, want);
                found.set(found.get() + poison);
            }
            Err(error) => {
                assert!(matches!(error, Error::Panic { .. }), "{error}");
                failed.set(failed.get() + 1);
            }
        }
    });
    println!("{} found, and {} runs failed", found.get(), failed.get());
    assert!(found.get() > 10 || std::env::var_os("MILLSTREAM_SEED").is_some());
}
