//! Shards under a seed: hundreds of worlds, each replayed from its seed.
//!
//! `MILLSTREAM_SEEDS=100000 cargo test --release --test simulation` looks harder, and
//! `MILLSTREAM_SEED=17` replays the one seed that a failure names.

mod support;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use fastrand::Rng;
use millstream::aggregates::{count, sum};
use millstream::metrics::{Counter, Counters};
use millstream::{Pipeline, Stage, Stream, Windowed, ns};

use support::model::{Value, disorder_of, grouped, sorted, windows};
use support::world::{
    all, at, disordered, fired, memory, results, values, window_of, without_order,
};
use support::{Cut, Fired, Open, Row, Seen, World, each_seed, watch};

/// Rows that come out of order, from few keys or many, with gaps and with ties.
fn random_rows(rng: &mut Rng, most: usize) -> Vec<Row> {
    let keys = [1, 3, 40, 1_000][rng.usize(..4)];
    let mut clock = rng.i64(-1_000..1_000);
    let mut rows = Vec::new();
    for _ in 0..rng.usize(..most) {
        clock += [0, 1, 3, 60][rng.usize(..4)];
        let at = clock - [0, 0, 5, 30][rng.usize(..4)];
        rows.push(Row { at, key: rng.u64(..keys), value: rng.i64(-9..10) });
    }
    rows
}

fn random_cut(rng: &mut Rng) -> Cut {
    let size = rng.i64(1..50);
    let slide = [size, (size / 2).max(1), (size / 3).max(1)][rng.usize(..3)];
    Cut { size, slide, offset: rng.i64(0..30), lateness: [0, 0, 10, 100][rng.usize(..4)] }
}

/// What a run leaves behind, for comparing two of them.
type Bytes = (String, u64, Counters);

/// Runs twice: the same seed must give the same bytes.
fn twice(run: impl Fn() -> Bytes, seed: u64) {
    let first = run();
    assert_eq!(run(), first, "seed {seed} replays");
}

fn bytes<T: Debug>(seen: &Rc<RefCell<Seen<T>>>) -> String {
    format!("{:?}", seen.borrow())
}

/// Records on all shards, two exchanges, one order at the end: the whole output is one sequence.
fn on_all_shards(seed: u64) -> Bytes {
    let (world, mut rng) = (World::random(seed), Rng::with_seed(seed));
    let parts: Vec<_> = (0..world.shards).map(|_| random_rows(&mut rng, 60)).collect();
    let cut = Cut { lateness: 0, ..random_cut(&mut rng) };
    let disorder = parts.iter().map(|part| disorder_of(part)).max().unwrap_or(0);
    let seen = Seen::<Windowed<u64, Value>>::new();
    let totals = Seen::<(u64, i64)>::new();
    let outcome = world.run(|p| {
        let source = p.source(memory(&parts[p.shard()]));
        let keyed = source.event_time(at, disordered(disorder)).key_by(|row| row.key);
        let windows = keyed.window(window_of(cut)).aggregate(all()).map(without_order);
        let (to_order, to_add) = copies(windows);
        watch(to_order.ordered(|result| result.key), &seen, &world);
        let groups = to_add.map(|window| (window.key % 5, window.value.1)).key_by(|group| group.0);
        let sums = groups.reduce(|sum, window| sum.1 += window.1).map(|(_, sum)| sum);
        watch(sums, &totals, &world);
        Ok(())
    });
    assert_eq!(outcome.counters.get(Counter::Late), 0);
    let mut rows = parts.concat();
    rows.sort_by_key(|row| row.at);
    let want = windows(&rows, cut, 0).fired;
    assert_eq!(results(&seen), without_orders(want.clone()));
    let mut sums: BTreeMap<u64, i64> = BTreeMap::new();
    want.iter().for_each(|result| *sums.entry(result.key % 5).or_default() += result.value.1);
    let running = values(&totals);
    assert_eq!(running.len(), want.len());
    assert_eq!(running.into_iter().collect::<BTreeMap<_, _>>(), sums, "the last are the totals");
    (bytes(&seen) + &bytes(&totals), outcome.steps, outcome.counters)
}

/// Records on one shard with late ones among them, then windows of windows in one order.
fn on_one_shard(seed: u64) -> Bytes {
    let (world, mut rng) = (World::random(seed), Rng::with_seed(!seed));
    let rows = random_rows(&mut rng, 120);
    let (cut, disorder) = (random_cut(&mut rng), rng.i64(0..40));
    let fine = Seen::<Windowed<u64, Value>>::new();
    let late = Seen::<Row>::new();
    let coarse = Seen::<(i64, u64)>::new();
    let outcome = world.run(|p| {
        let source = p.source(world.source(p, &rows)).event_time(at, disordered(disorder));
        let (to_window, to_count) = copies(source);
        let keyed = to_window.key_by(|row| row.key).window(window_of(cut));
        let (results, gone) =
            keyed.allowed_lateness(ns(cut.lateness as u64)).aggregate_with_late(all());
        watch(results, &fine, &world);
        watch(gone, &late, &world);
        let tumbling = Cut { slide: cut.size, lateness: 0, ..cut };
        let counts = to_count.key_by(|row| row.key).window(window_of(tumbling)).aggregate(count());
        let all = counts.key_by(|_| 0u8).window(window_of(tumbling));
        let total = all.aggregate(sum(|window: &Windowed<u64, u64>| window.value));
        watch(total.ordered(|_| ()).map(|w| (w.span.end.0, w.value)), &coarse, &world);
        Ok(())
    });
    let want = windows(&rows, cut, disorder);
    let by_key = |all: &[Fired]| grouped(all, |result| result.key);
    assert_eq!(by_key(&results(&fine)), by_key(&want.fired));
    assert_eq!(sorted(&values(&late)), sorted(&want.late));
    let tumbling = Cut { slide: cut.size, lateness: 0, ..cut };
    let mut totals: BTreeMap<i64, u64> = BTreeMap::new();
    for result in windows(&rows, tumbling, disorder).fired {
        *totals.entry(result.end).or_default() += result.value.0;
    }
    assert_eq!(values(&coarse), totals.into_iter().collect::<Vec<_>>());
    let output = bytes(&fine) + &bytes(&late) + &bytes(&coarse);
    (output, outcome.steps, outcome.counters)
}

/// The stream twice.
fn copies<'p, T: Copy + 'static>(
    stream: Stream<'p, impl Stage<Out = T>>,
) -> (Stream<'p, impl Stage<Out = T>>, Stream<'p, impl Stage<Out = T>>) {
    let twice = stream.flat_map(|value| [(true, value), (false, value)]);
    let (left, right) = twice.split(|(left, _)| *left);
    (left.map(|(_, value)| value), right.map(|(_, value)| value))
}

#[test]
fn every_seed_agrees_with_the_model_and_replays() {
    each_seed(300, |seed| match seed % 2 {
        0 => twice(|| on_all_shards(seed), seed),
        _ => twice(|| on_one_shard(seed), seed),
    });
}

/// Where a record of the mesh came from, and its number there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Hop {
    from: usize,
    number: u64,
}

/// All shards send to all, three times over, through rings of one slot.
fn mesh(world: &World, records: u64, fan: [u64; 3]) {
    let all_in = records * fan.iter().product::<u64>();
    let seen = Seen::<Hop>::new();
    let newest = |newest: &mut Hop, hop| *newest = hop;
    world.run(|p| {
        let here = p.shard();
        let rows: Vec<_> = (0..records as i64).map(|n| Row { at: n, ..Row::default() }).collect();
        let source = p.source(memory(&rows));
        let hop = move |row: Row| Hop { from: here, number: row.at as u64 };
        let first = source.map(hop).flat_map(split(fan[0]));
        let first = first.key_by(|hop| hop.number % 13).reduce(newest).map(|(_, hop)| hop);
        let second = first.flat_map(split(fan[1])).key_by(|hop| hop.number % 7);
        let third = second.reduce(newest).map(|(_, hop)| hop).flat_map(split(fan[2]));
        let third = third.key_by(|hop| hop.number % 5).reduce(newest).map(|(_, hop)| hop);
        watch(third, &seen, world);
        Ok(())
    });
    let got = values(&seen);
    let every =
        (0..world.shards).flat_map(|from| (0..all_in).map(move |number| Hop { from, number }));
    assert_eq!(sorted(&got), every.collect::<Vec<_>>(), "none lost, none twice in {world:?}");
    let path = |hop: &Hop| (hop.from as u64, hop.number % (13 * 7 * 5));
    let mut paths: BTreeMap<_, Vec<u64>> = BTreeMap::new();
    got.iter().for_each(|hop| paths.entry(path(hop)).or_default().push(hop.number));
    // Only what took the same way all along has an order.
    if fan[1] * fan[2] == 1 {
        assert!(paths.values().all(|numbers| numbers.is_sorted()), "order in {world:?}");
    }
}

fn split(fan: u64) -> impl Fn(Hop) -> Vec<Hop> {
    move |hop| {
        let hop_of = |n| Hop { number: hop.number * fan + n, ..hop };
        (0..fan).map(hop_of).collect()
    }
}

/// The mesh cannot deadlock: rings of one slot, a fan-out of 1000, all to all, three times.
#[test]
fn the_mesh_does_not_deadlock() {
    for shards in 2..=8 {
        for (seed, batch, open) in [(1, 1, Open::Always), (2, 256, Open::Sometimes)] {
            let (hash_seed, home) = (seed, 0);
            let world = World { shards, ring: 1, batch, fire: 1, seed, hash_seed, home, open };
            mesh(&world, 2, [1000, 1, 1]);
            mesh(&world, 1, [10, 10, 10]);
            mesh(&world, 1, [1, 1, 1000]);
        }
    }
}

fn small(shards: usize, seed: u64) -> World {
    World { home: 0, shards, seed, ring: 1, batch: 2, ..World::random(seed) }
}

/// Windows over these rows on each shard, in one order.
fn ordered_windows(world: &World, parts: &[Vec<Row>], cut: Cut, disorder: i64) -> Vec<Fired> {
    let seen = Seen::<Windowed<u64, Value>>::new();
    world.run(|p: Pipeline<'_>| {
        let source = p.source(memory(&parts[p.shard()]));
        let keyed = source.event_time(at, disordered(disorder)).key_by(|row| row.key);
        let windows = keyed.window(window_of(cut)).aggregate(all()).map(without_order);
        watch(windows.ordered(|result| result.key), &seen, world);
        Ok(())
    });
    seen.borrow().check_over();
    let seen = seen.borrow();
    seen.records.iter().map(|(_, result)| fired(*result)).collect()
}

fn without_orders(all: Vec<Fired>) -> Vec<Fired> {
    all.into_iter().map(Fired::without_order).collect()
}

#[test]
fn one_hot_key_and_shards_without_records() {
    for seed in 0..20 {
        let mut rng = Rng::with_seed(seed);
        let world = small([1, 2, 3, 5][rng.usize(..4)], seed);
        let hot: Vec<_> = (0..100).map(|n| Row { at: n / 3, key: 42, value: n }).collect();
        let with = rng.usize(..world.shards);
        let part = |shard| if shard == with { hot.clone() } else { Vec::new() };
        let parts: Vec<_> = (0..world.shards).map(part).collect();
        let want = without_orders(windows(&hot, Cut::sliding(9, 3), 0).fired);
        assert_eq!(ordered_windows(&world, &parts, Cut::sliding(9, 3), 0), want);
        let nothing = vec![Vec::new(); world.shards];
        assert_eq!(ordered_windows(&world, &nothing, Cut::tumbling(5), 0), []);
    }
}

/// A clock gone mad makes everything behind it late, and nothing worse.
#[test]
fn poisoned_timestamps() {
    let row = |at, value| Row { at, key: 0, value };
    let ends = [i64::MIN, i64::MIN + 1, i64::MAX, i64::MAX - 1];
    for (seed, poison) in (0..40).zip(ends.into_iter().cycle()) {
        let world = small(1 + seed as usize % 3, seed);
        let mut rows: Vec<_> = (0..30).map(|n| row(n, n)).collect();
        rows.insert(seed as usize * 3 % 30, row(poison, 1_000));
        for (cut, disorder) in [(Cut::tumbling(10), 0), (Cut::tumbling(7), 5)] {
            let mut parts = vec![Vec::new(); world.shards];
            parts[0] = rows.clone();
            let want = without_orders(windows(&rows, cut, disorder).fired);
            assert_eq!(ordered_windows(&world, &parts, cut, disorder), want, "{world:?}");
        }
    }
}
