//! Window joins against a loop over all windows.

use std::collections::BTreeMap;

use millstream::join::FanOut;
use millstream::metrics::Counter;
use millstream::sim::Outcome;
use millstream::{Keyed, Pipeline, Sliding, Stream, Window, ns};
use proptest::prelude::*;

use super::support::joins::{KINDS, Kind, Pair, Within, is_left, joined_in_windows};
use super::support::model::{disorder_of, watermarks};
use super::support::world::values;
use super::support::{Row, Seen, World, watch};
use super::{cases, rows, timed};

fn within() -> impl Strategy<Value = Within> {
    // Mostly few windows a record, at times more than there is work for in one step.
    let few = (1..80i64, 1..5i64).prop_map(|(size, parts)| (size, (size / parts).max(1)));
    let sizes = prop_oneof![4 => few, 1 => (30..80i64, 1..3i64)];
    (kind(), sizes, lateness()).prop_map(|(kind, (size, slide), lateness)| Within {
        kind,
        size,
        slide,
        lateness,
    })
}

fn kind() -> impl Strategy<Value = Kind> {
    prop::sample::select(&KINDS[..])
}

fn lateness() -> impl Strategy<Value = i64> {
    prop_oneof![3 => Just(0i64), 2 => 1..100i64]
}

type Halves<'p> = (Keyed<'p, u64, Row>, Keyed<'p, u64, Row>);

fn halves<'p>(p: Pipeline<'p>, world: &World, rows: &[Row], disorder: i64) -> Halves<'p> {
    let (left, right) = timed(p, world, rows, disorder).split(is_left);
    (left.key_by(|row| row.key), right.key_by(|row| row.key))
}

fn shape(within: Within) -> Sliding {
    Sliding::of(ns(within.size as u64)).every(ns(within.slide as u64))
}

type Out<'p> =
    (Stream<'p, millstream::dataflow::Edge<Pair>>, Stream<'p, millstream::dataflow::Edge<Row>>);

/// The engine's join: what `end` sees is the results and both late streams.
fn join<'p>(
    (left, right): Halves<'p>,
    window: impl Window,
    (kind, lateness): (Kind, i64),
    end: &dyn Fn(Out<'p>),
) {
    let join = left.window_join(right).window(window);
    let (join, late_left, late_right) = join.allowed_lateness(ns(lateness as u64)).with_late();
    let pair = |l: Option<&Row>, r: Option<&Row>| (l.copied(), r.copied());
    let results = match kind {
        Kind::Inner => join.select(move |l, r| pair(Some(l), Some(r))).boxed(),
        Kind::Left => join.select_left(move |l, r| pair(Some(l), r)).boxed(),
        Kind::Right => join.select_right(move |l, r| pair(l, Some(r))).boxed(),
        Kind::Full => join.select_full(pair).boxed(),
        Kind::Semi => join.semi().map(|l| (Some(l), None)).boxed(),
        Kind::Anti => join.anti().map(|l| (Some(l), None)).boxed(),
    };
    end((results, late_left.union(late_right)));
}

fn whole(within: Within) -> (Sliding, Kind, i64) {
    (shape(within), within.kind, within.lateness)
}

/// Runs a join: the results with their times, the late records, and what was counted.
fn engine(
    world: &World,
    rows: &[Row],
    (window, kind, lateness): (impl Window + Copy, Kind, i64),
    disorder: i64,
    ordered: bool,
) -> (Vec<(i64, Pair)>, Vec<Row>, Outcome) {
    let (seen, late) = (Seen::<Pair>::new(), Seen::<Row>::new());
    let outcome = world.run(|p| {
        join(halves(p, world, rows, disorder), window, (kind, lateness), &|(results, gone)| {
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

    /// Every kind, windows end to end and sliding, disorder, late records, lateness.
    #[test]
    fn window_joins_are_the_models(
        world in World::any(),
        rows in rows(100),
        within in within(),
        disorder in 0..60i64,
    ) {
        let want = joined_in_windows(&rows, &watermarks(&rows, disorder), within);
        let (pairs, late, outcome) = engine(&world, &rows, whole(within), disorder, false);
        prop_assert_eq!(sorted(pairs), want.pairs);
        prop_assert_eq!(outcome.counters.get(Counter::Late), want.late.len() as u64);
        prop_assert_eq!(sorted(late), sorted(want.late));
    }

    /// Nothing comes out behind the watermark that was told before it.
    #[test]
    fn window_joins_keep_their_promises(
        world in World::any(),
        rows in rows(100),
        within in within(),
        disorder in 0..60i64,
    ) {
        let want = joined_in_windows(&rows, &watermarks(&rows, disorder), within);
        let (pairs, ..) = engine(&world, &rows, whole(within), disorder, true);
        prop_assert_eq!(pairs, want.pairs);
    }

    /// Of the pairs of a left record in a window those of the oldest arrivals come out, as many as
    /// the cap says, and the others are counted.
    #[test]
    fn fan_out_is_capped(
        world in World::any(),
        rows in rows(100).prop_map(numbered),
        within in within(),
        most in 1..4usize,
    ) {
        let within = Within { kind: Kind::Inner, ..within };
        let disorder = disorder_of(&rows);
        let all = joined_in_windows(&rows, &watermarks(&rows, disorder), within).pairs;
        let mut by_left = BTreeMap::<(i64, Option<Row>), Vec<Pair>>::new();
        for (at, pair) in &all {
            by_left.entry((*at, pair.0)).or_default().push(*pair);
        }
        let mut want = Vec::new();
        for ((at, _), mut pairs) in by_left {
            pairs.sort_by_key(|pair| pair.1.map(|right| right.value));
            want.extend(pairs.into_iter().take(most).map(|pair| (at, pair)));
        }
        let seen = Seen::<Pair>::new();
        let outcome = world.run(|p| {
            let (left, right) = halves(p, &world, &rows, disorder);
            let join = left.window_join(right).window(shape(within));
            let pairs = join.fan_out(FanOut::AtMost(most)).select(|l, r| (Some(*l), Some(*r)));
            watch(pairs, &seen, &world);
            Ok(())
        });
        let dropped = outcome.counters.get(Counter::PairsDropped) as usize;
        prop_assert_eq!(dropped, all.len() - want.len());
        prop_assert_eq!(sorted(seen.borrow().records.clone()), sorted(want));
    }
}

/// Rows that are told apart by their values, which grow as they come.
fn numbered(rows: Vec<Row>) -> Vec<Row> {
    (0..).zip(rows).map(|(n, row)| Row { value: 2 * n + (row.value & 1), ..row }).collect()
}

#[cfg(feature = "calendar")]
proptest! {
    #![proptest_config(cases(300))]

    /// Windows that grow, that have gaps, of the calendar, of a market. What is in no window goes
    /// the way of late records, and is none.
    #[test]
    fn window_joins_in_all_shapes_are_the_models(
        world in World::any(),
        (shape, rows, unit) in super::shapes::case(),
        kind in kind(),
        (disorder, lateness) in (0..50i64, lateness()),
    ) {
        let (disorder, lateness) = (disorder * unit, lateness * unit);
        let ends = |at| shape.windows_of(at).into_iter().map(|(end, _)| end as i64).collect();
        let given = watermarks(&rows, disorder);
        let want = super::support::joins::joined_in_shape(&rows, &given, (kind, lateness), ends);
        let (pairs, late, outcome) =
            engine(&world, &rows, (shape, kind, lateness), disorder, false);
        prop_assert_eq!(sorted(pairs), want.pairs);
        let had_one = |row: &&Row| !shape.windows_of(row.at).is_empty();
        let count = want.late.iter().filter(had_one).count() as u64;
        prop_assert_eq!(outcome.counters.get(Counter::Late), count);
        prop_assert_eq!(outcome.counters.get(Counter::Dropped), 0);
        prop_assert_eq!(sorted(late), sorted(want.late));
    }
}
