//! Interval joins against a loop over all pairs.

use millstream::join::{Bound, FanOut, after, before};
use millstream::metrics::Counter;
use millstream::sim::Outcome;
use millstream::{Keyed, Pipeline, Sliding, Stream, ns};
use proptest::prelude::*;

use super::support::joins::{KINDS, Kind, Near, Pair, Within, is_left, joined, joined_in_windows};
use super::support::model::{disorder_of, watermarks};
use super::support::world::values;
use super::support::{Row, Seen, World, watch};
use super::{cases, rows, timed};

fn near() -> impl Strategy<Value = Near> {
    let ends = prop_oneof![
        4 => (-60..60i64, 0..80i64),
        1 => (-5..5i64, Just(0i64)),
        1 => (-2000..2000i64, 0..3000i64),
    ];
    let lateness = prop_oneof![3 => Just(0i64), 2 => 1..100i64];
    (prop::sample::select(&KINDS[..]), ends, lateness).prop_map(
        |(kind, (from, length), lateness)| Near { kind, from, to: from + length, lateness },
    )
}

fn bound(at: i64) -> Bound {
    let distance = ns(at.unsigned_abs());
    if at < 0 { before(distance) } else { after(distance) }
}

/// The same in a longer time: with 1, all that happens is near together for the engine; with a
/// million, each record is far from the next.
fn stretched(scale: i64, rows: &[Row], near: Near) -> (Vec<Row>, Near) {
    let rows = rows.iter().map(|row| Row { at: row.at * scale, ..*row });
    let [from, to, lateness] = [near.from, near.to, near.lateness].map(|n| n * scale);
    (rows.collect(), Near { from, to, lateness, ..near })
}

fn scale() -> impl Strategy<Value = i64> {
    prop::sample::select(&[1i64, 700, 50_000, 1_000_000][..])
}

type Halves<'p> = (Keyed<'p, u64, Row>, Keyed<'p, u64, Row>);

fn halves<'p>(p: Pipeline<'p>, world: &World, rows: &[Row], disorder: i64) -> Halves<'p> {
    let (left, right) = timed(p, world, rows, disorder).split(is_left);
    (left.key_by(|row| row.key), right.key_by(|row| row.key))
}

/// The engine's join: what `end` sees is the results and both late streams.
fn join<'p>((left, right): Halves<'p>, near: Near, end: &dyn Fn(Out<'p>)) {
    let join = left.interval_join(right).between(bound(near.from), bound(near.to));
    let (join, late_left, late_right) = join.allowed_lateness(ns(near.lateness as u64)).with_late();
    let pair = |l: Option<&Row>, r: Option<&Row>| (l.copied(), r.copied());
    let results = match near.kind {
        Kind::Inner => join.select(move |l, r| pair(Some(l), Some(r))).boxed(),
        Kind::Left => join.select_left(move |l, r| pair(Some(l), r)).boxed(),
        Kind::Right => join.select_right(move |l, r| pair(l, Some(r))).boxed(),
        Kind::Full => join.select_full(pair).boxed(),
        Kind::Semi => join.semi().map(|l| (Some(l), None)).boxed(),
        Kind::Anti => join.anti().map(|l| (Some(l), None)).boxed(),
    };
    end((results, late_left.union(late_right)));
}

type Out<'p> =
    (Stream<'p, millstream::dataflow::Edge<Pair>>, Stream<'p, millstream::dataflow::Edge<Row>>);

/// Runs a join: the results with their times, the late records, and what was counted.
fn engine(
    world: &World,
    rows: &[Row],
    near: Near,
    disorder: i64,
    ordered: bool,
) -> (Vec<(i64, Pair)>, Vec<Row>, Outcome) {
    let (seen, late) = (Seen::<Pair>::new(), Seen::<Row>::new());
    let outcome = world.run(|p| {
        join(halves(p, world, rows, disorder), near, &|(results, gone)| {
            if ordered {
                watch(results.ordered(|pair| *pair), &seen, world);
            } else {
                watch(results, &seen, world);
            }
            watch(gone, &late, world);
        });
        Ok(())
    });
    seen.borrow().check_over();
    let pairs = seen.borrow().records.clone();
    (pairs, values(&late), outcome)
}

fn sorted<T: Ord>(mut all: Vec<T>) -> Vec<T> {
    all.sort();
    all
}

proptest! {
    #![proptest_config(cases(600))]

    /// Every kind, bounds on either side, disorder, late records, lateness.
    #[test]
    fn joins_are_the_models(
        world in World::any(),
        rows in rows(100),
        near in near(),
        disorder in 0..60i64,
        scale in scale(),
    ) {
        let ((rows, near), disorder) = (stretched(scale, &rows, near), disorder * scale);
        let want = joined(&rows, &watermarks(&rows, disorder), near);
        let (pairs, late, outcome) = engine(&world, &rows, near, disorder, false);
        prop_assert_eq!(sorted(pairs), want.pairs);
        prop_assert_eq!(outcome.counters.get(Counter::Late), want.late.len() as u64);
        prop_assert_eq!(sorted(late), sorted(want.late));
    }

    /// Nothing comes out behind the watermark that was told before it: a step that orders by it
    /// makes one sequence of all results.
    #[test]
    fn joins_keep_their_promises(
        world in World::any(),
        rows in rows(100),
        near in near(),
        disorder in 0..60i64,
        scale in scale(),
    ) {
        let ((rows, near), disorder) = (stretched(scale, &rows, near), disorder * scale);
        let want = joined(&rows, &watermarks(&rows, disorder), near);
        let (pairs, ..) = engine(&world, &rows, near, disorder, true);
        prop_assert_eq!(pairs, want.pairs);
    }
}

proptest! {
    #![proptest_config(cases(200))]

    /// The pairs that a record finds are cut off at the cap, and those left out are counted.
    #[test]
    fn fan_out_is_capped(world in World::any(), rows in rows(100), most in 1..4usize) {
        let near = Near { kind: Kind::Inner, from: -500, to: 500, lateness: 0 };
        let disorder = disorder_of(&rows);
        let all = joined(&rows, &watermarks(&rows, disorder), near).pairs;
        let seen = Seen::<Pair>::new();
        let outcome = world.run(|p| {
            let (left, right) = halves(p, &world, &rows, disorder);
            let join = left.interval_join(right).between(bound(near.from), bound(near.to));
            let pairs = join.fan_out(FanOut::AtMost(most)).select(|l, r| (Some(*l), Some(*r)));
            watch(pairs, &seen, &world);
            Ok(())
        });
        let got = seen.borrow().records.clone();
        let dropped = outcome.counters.get(Counter::PairsDropped) as usize;
        prop_assert_eq!(got.len() + dropped, all.len());
        prop_assert!(got.iter().all(|pair| all.contains(pair)));
        prop_assert!(got.len() <= most * rows.len());
    }
}

proptest! {
    #![proptest_config(cases(300))]

    /// All with all that are near, whatever their keys: the right records are on every shard, and
    /// late on every shard.
    #[test]
    fn cross_joins_are_the_models(
        world in World::any(),
        rows in rows(80),
        near in near(),
        kind in prop::sample::select(&[Kind::Inner, Kind::Left, Kind::Semi, Kind::Anti][..]),
        disorder in 0..60i64,
    ) {
        let near = Near { kind, ..near };
        let alike: Vec<Row> = rows.iter().map(|row| Row { key: 0, ..*row }).collect();
        let want = joined(&alike, &watermarks(&alike, disorder), near);
        let (seen, late) = (Seen::<Pair>::new(), Seen::<Row>::new());
        let outcome = world.run(|p| {
            let (left, right) = timed(p, &world, &alike, disorder).split(is_left);
            let join = left.cross_join(right).between(bound(near.from), bound(near.to));
            let join = join.allowed_lateness(ns(near.lateness as u64));
            let (join, late_left, late_right) = join.with_late();
            let results = match kind {
                Kind::Inner => join.select(|l, r| (Some(*l), Some(*r))).boxed(),
                Kind::Left => join.select_left(|l, r| (Some(*l), r.copied())).boxed(),
                Kind::Semi => join.semi().map(|l| (Some(l), None)).boxed(),
                _ => join.anti().map(|l| (Some(l), None)).boxed(),
            };
            watch(results, &seen, &world);
            watch(late_left.union(late_right), &late, &world);
            Ok(())
        });
        prop_assert_eq!(sorted(seen.borrow().records.clone()), want.pairs);
        let times = |row: &Row| if is_left(row) { 1 } else { world.shards };
        let late_everywhere =
            want.late.iter().flat_map(|row| std::iter::repeat_n(*row, times(row)));
        let late_everywhere: Vec<Row> = late_everywhere.collect();
        prop_assert_eq!(outcome.counters.get(Counter::Late), late_everywhere.len() as u64);
        prop_assert_eq!(sorted(values(&late)), sorted(late_everywhere));
    }
}

proptest! {
    #![proptest_config(cases(150))]

    /// Records that were spread over all shards before they are joined find the same partners: the
    /// watermark behind a spread waits for the slowest of its ways.
    #[test]
    fn a_rebalance_changes_no_pair(
        world in World::any(),
        rows in rows(80),
        near in near(),
        (size, parts) in (1..80i64, 1..4i64),
    ) {
        let disorder = disorder_of(&rows);
        let before = watermarks(&rows, disorder);
        let near = Near { kind: Kind::Full, lateness: 0, ..near };
        let slide = (size / parts).max(1);
        let within = Within { kind: Kind::Full, size, slide, lateness: 0 };
        let (by_interval, by_window) = (Seen::<Pair>::new(), Seen::<Pair>::new());
        let outcome = world.run(|p| {
            let spread = || {
                let (left, right) = timed(p, &world, &rows, disorder).rebalance().split(is_left);
                (left.key_by(|row| row.key), right.key_by(|row| row.key))
            };
            let pair = |l: Option<&Row>, r: Option<&Row>| (l.copied(), r.copied());
            let (left, right) = spread();
            let join = left.interval_join(right).between(bound(near.from), bound(near.to));
            watch(join.select_full(pair), &by_interval, &world);
            let (left, right) = spread();
            let windows = Sliding::of(ns(size as u64)).every(ns(slide as u64));
            watch(left.window_join(right).window(windows).select_full(pair), &by_window, &world);
            Ok(())
        });
        prop_assert_eq!(outcome.counters.get(Counter::Late), 0);
        let got = sorted(by_interval.borrow().records.clone());
        prop_assert_eq!(got, joined(&rows, &before, near).pairs);
        let got = sorted(by_window.borrow().records.clone());
        prop_assert_eq!(got, joined_in_windows(&rows, &before, within).pairs);
    }
}
