//! After each crash another number of shards goes on, and nothing is lost or seen twice.

use millstream::io::Partitioned;
use millstream::{ms, secs};

use super::*;

/// Partitions of the input, whatever the number of shards.
const PARTITIONS: u32 = 4;

/// As many shards as there may be at most: some of them read nothing.
const SHARDS_MAX: usize = 6;

/// What `C` shows, in an order of its own.
fn shown<C: Crashing>(
    world: &World,
    inputs: &[Vec<Row>],
    crashes: u32,
) -> Result<Vec<(Timestamp, C::Out)>, Error> {
    let commits = MemoryCommits::new();
    let simulation = world.simulation().crashing(crashes).rescaling(SHARDS_MAX);
    simulation.run(|p: Pipeline<'_>| {
        let read = |partition| Ok::<_, Error>(memory(&inputs[partition as usize]));
        let rows = p.source(Partitioned::new(PARTITIONS, p.shard(), p.shards(), read)?);
        let rows = rows.event_time(at, disordered(DISORDER)).boxed();
        C::build(rows).sink(AtCheckpoint::new(commits.of(p.shard()), 100_000));
        Ok(())
    })?;
    let mut all: Vec<_> = commits.records().into_iter().map(|r| (r.at, r.value)).collect();
    all.sort();
    Ok(all)
}

fn rescales<C: Crashing>(default: u64) {
    each_seed(default, |seed| {
        let (world, mut rng) = (World::random(seed), Rng::with_seed(seed));
        let inputs = inputs(&mut rng, PARTITIONS as usize);
        let want = shown::<C>(&world, &inputs, 0).unwrap();
        let got = shown::<C>(&world, &inputs, rng.u32(1..6)).unwrap();
        assert!(!want.is_empty());
        assert_eq!(got, want);
    });
}

/// Rows without a partner, which are found out when their time has passed.
struct Lonely;

impl Crashing for Lonely {
    type Out = (i64, Option<i64>);

    fn build<'p>(rows: Stream<'p, Edge<Row>>) -> Stream<'p, impl Stage<Out = Self::Out>> {
        let (ups, downs) = rows.split(|row| row.value >= 0);
        ups.key_by(|row| row.key)
            .interval_join(downs.key_by(|row| row.key))
            .between(before(ns(4)), after(ns(4)))
            .select_left(|up, down| (up.value, down.map(|down| down.value)))
    }
}

/// Which records are together in a window depends on which shard is first; how many windows there
/// are of a key does not.
struct Counts;

impl Crashing for Counts {
    type Out = (u64, u64);

    fn build<'p>(rows: Stream<'p, Edge<Row>>) -> Stream<'p, impl Stage<Out = Self::Out>> {
        rows.key_by(|row| row.key)
            .count_window(7)
            .aggregate(count())
            .map(|window| window.key)
            .key_by(|key| *key)
            .window(Tumbling::of(secs(1)).offset(ms(500)))
            .aggregate(count())
            .map(|windows| (windows.key, windows.value))
    }
}

#[test]
fn windows_move() {
    rescales::<Windows>(10);
}

#[test]
fn slides_move() {
    rescales::<Slides>(10);
}

#[test]
fn sessions_move() {
    rescales::<Visits>(10);
}

#[test]
fn joins_move() {
    rescales::<Pairs>(10);
}

#[test]
fn outer_joins_move() {
    rescales::<Lonely>(10);
}

#[test]
fn windows_by_count_move() {
    rescales::<Counts>(10);
}

#[test]
fn processes_and_their_timers_move() {
    rescales::<Silences>(10);
}

#[test]
fn what_follows_an_exchange_and_what_is_on_one_shard_move() {
    rescales::<WindowsOfWindows>(10);
}
