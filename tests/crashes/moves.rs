//! Operators that keep more than a table by key, each of which goes on with another number of shards
//! after each crash.
//!
//! What is shown is of one type, and pipelines are built by plain functions: so the engine is
//! compiled once for all of them.

use millstream::io::Partitioned;
use millstream::window::triggers;
use millstream::Timing;

use super::*;

/// Partitions of the input, whatever the number of shards.
const PARTITIONS: usize = 4;

/// As many shards as there may be at most: some of them read nothing.
const SHARDS_MAX: usize = 6;

/// What is shown of anything.
type Shown = (i64, i64, i64);

type Rows<'p> = Stream<'p, Edge<Row>>;

type Build = for<'p> fn(Rows<'p>) -> Stream<'p, Edge<Shown>>;

/// What a pipeline shows, in an order of its own.
fn shown(world: &World, inputs: &[Vec<Row>], crashes: u32, build: Build) -> Vec<(Timestamp, Shown)> {
    let commits = MemoryCommits::new();
    let simulation = world.simulation().crashing(crashes).rescaling(SHARDS_MAX);
    let outcome = simulation.run(|p: Pipeline<'_>| {
        let read = |partition| Ok::<_, Error>(memory(&inputs[partition as usize]));
        let rows = p.source(Partitioned::new(PARTITIONS as u32, p.shard(), p.shards(), read)?);
        let rows = rows.event_time(at, disordered(DISORDER)).boxed();
        build(rows).sink(AtCheckpoint::new(commits.of(p.shard()), 100_000));
        Ok(())
    });
    outcome.unwrap_or_else(|error| panic!("{error}"));
    let mut all: Vec<_> = commits.records().into_iter().map(|r| (r.at, r.value)).collect();
    all.sort();
    all
}

/// Rows of which all of one key are in one partition: they come in one order.
fn in_order(rng: &mut Rng) -> Vec<Vec<Row>> {
    let mut inputs = inputs(rng, PARTITIONS);
    for (partition, rows) in inputs.iter_mut().enumerate() {
        rows.iter_mut().for_each(|row| row.key = row.key * PARTITIONS as u64 + partition as u64);
    }
    inputs
}

fn moves(default: u64, build: Build) {
    each_seed(default, |seed| {
        let (world, mut rng) = (World::random(seed), Rng::with_seed(seed));
        let inputs = in_order(&mut rng);
        let want = shown(&world, &inputs, 0, build);
        let got = shown(&world, &inputs, rng.u32(1..6), build);
        assert!(!want.is_empty());
        assert_eq!(got, want);
    });
}

#[test]
fn windows_with_triggers_move() {
    moves(10, |rows| {
        let (some, others) = rows.split(|row| row.value % 2 == 0);
        let counts = some
            .key_by(|row| row.key)
            .window(Sliding::of(ns(60)).every(ns(30)))
            .trigger(triggers::count(4))
            .aggregate(count());
        let counts = counts.map(|it| (it.key as i64, it.span.start.0, it.value as i64));
        let sums = others
            .key_by(|row| row.key)
            .window(Tumbling::of(ns(50)))
            .trigger(triggers::count(5))
            .apply(|_, _, records| records.map(|it| it.value.value).sum::<i64>());
        let early = |timing| i64::from(timing != Timing::OnTime);
        counts.union(sums.map(move |it| (it.key as i64, early(it.timing), it.value))).boxed()
    });
}

#[test]
fn windows_by_time_or_count_move() {
    moves(10, |rows| {
        let (some, others) = rows.split(|row| row.value % 2 == 0);
        let sums = some
            .key_by(|row| row.key)
            .time_or_count(ns(70), 5)
            .aggregate((count(), sum(|row: &Row| row.value)));
        let sums = sums.map(|it| (it.key as i64, it.value.0 as i64, it.value.1));
        let firsts = others
            .key_by(|row| row.key)
            .time_or_count(ns(40), 3)
            .apply(|_, _, mut records| records.next().map_or(0, |it| it.value.value));
        sums.union(firsts.map(|it| (it.key as i64, -1, it.value))).boxed()
    });
}
