//! Records that come too late: which ones those are depends on how shards take turns, so what is
//! shown is checked against what was said to be late.

use std::collections::BTreeMap;

use fastrand::Rng;
use millstream::aggregates::{count, sum};
use millstream::dataflow::Edge;
use millstream::io::{AtCheckpoint, MemoryCommits};
use millstream::window::triggers::{event_time, purging};
use millstream::{Pipeline, Stage, Stream, Tumbling, Windowed, ns};

use super::support::world::{at, disordered, memory};
use super::support::{Row, World, each_seed};
use super::{DISORDER, inputs};

const SIZE: i64 = 50;

type Sums = Windowed<u64, (u64, i64)>;

/// From rows to sums of windows, and the rows that came too late for theirs.
trait Sorting {
    fn build<'p>(
        rows: Stream<'p, Edge<Row>>,
    ) -> (Stream<'p, impl Stage<Out = Sums>>, Stream<'p, impl Stage<Out = Row>>);
}

struct Plain;

impl Sorting for Plain {
    fn build<'p>(
        rows: Stream<'p, Edge<Row>>,
    ) -> (Stream<'p, impl Stage<Out = Sums>>, Stream<'p, impl Stage<Out = Row>>) {
        rows.key_by(|row| row.key)
            .window(Tumbling::of(ns(SIZE as u64)))
            .aggregate_with_late((count(), sum(|row: &Row| row.value)))
    }
}

struct Triggered;

impl Sorting for Triggered {
    fn build<'p>(
        rows: Stream<'p, Edge<Row>>,
    ) -> (Stream<'p, impl Stage<Out = Sums>>, Stream<'p, impl Stage<Out = Row>>) {
        rows.key_by(|row| row.key)
            .window(Tumbling::of(ns(SIZE as u64)))
            .trigger(purging(event_time()))
            .aggregate_with_late((count(), sum(|row: &Row| row.value)))
    }
}

/// Count and sum by key and begin of a window. One that is shown twice is there twice.
type Shown = Vec<((u64, i64), (u64, i64))>;

fn shown<S: Sorting>(world: &World, inputs: &[Vec<Row>], crashes: u32) -> (Shown, Vec<Row>) {
    let (sums, late) = (MemoryCommits::new(), MemoryCommits::new());
    let run = world.simulation().crashing(crashes).run(|p: Pipeline<'_>| {
        let rows = p.source(memory(&inputs[p.shard()]));
        let (on_time, too_late) = S::build(rows.event_time(at, disordered(DISORDER)).boxed());
        let on_time = on_time.map(|it| ((it.key, it.span.start.0), it.value));
        on_time.sink(AtCheckpoint::new(sums.of(p.shard()), 100_000));
        too_late.sink(AtCheckpoint::new(late.of(p.shard()), 100_000));
        Ok(())
    });
    run.unwrap_or_else(|error| panic!("{error}"));
    let mut shown: Shown = sums.records().into_iter().map(|record| record.value).collect();
    shown.sort_unstable();
    (shown, late.records().into_iter().map(|record| record.value).collect())
}

/// What must be shown of these rows if the late ones are left out.
fn want(inputs: &[Vec<Row>], late: &[Row]) -> Shown {
    let mut sums = BTreeMap::<_, (i64, i64)>::new();
    let on_time = inputs.iter().flatten().map(|row| (row, 1));
    for (row, times) in on_time.chain(late.iter().map(|row| (row, -1))) {
        let start = row.at.div_euclid(SIZE) * SIZE;
        let (count, sum) = sums.entry((row.key, start)).or_default();
        (*count, *sum) = (*count + times, *sum + times * row.value);
    }
    let sums = sums.into_iter().filter(|(_, (count, _))| *count != 0);
    sums.map(|(window, (count, sum))| (window, (count as u64, sum))).collect()
}

fn each_row_is_in_its_window_or_late<S: Sorting>(default: u64) {
    each_seed(default, |seed| {
        let (world, mut rng) = (World::random(seed), Rng::with_seed(seed));
        let mut inputs = inputs(&mut rng, world.shards);
        for row in inputs.iter_mut().flatten() {
            if rng.u32(..5) == 0 {
                row.at -= rng.i64(0..5 * SIZE);
            }
        }
        let (shown, late) = shown::<S>(&world, &inputs, rng.u32(1..6));
        assert!(!late.is_empty());
        assert_eq!(shown, want(&inputs, &late));
    });
}

#[test]
fn late_rows_stay_late() {
    each_row_is_in_its_window_or_late::<Plain>(60);
}

#[test]
fn late_rows_stay_late_where_triggers_fire() {
    each_row_is_in_its_window_or_late::<Triggered>(60);
}
