//! Window joins against a loop over all windows.

use millstream::join::FanOut;
use millstream::metrics::Counter;
use millstream::sim::Outcome;
use millstream::{Keyed, Pipeline, Sliding, Stream, ns};
use proptest::prelude::*;

use super::support::joins::{KINDS, Kind, Pair, Within, is_left, joined_in_windows};
use super::support::model::{disorder_of, watermarks};
use super::support::world::values;
use super::support::{Row, Seen, World, watch};
use super::{cases, rows, timed};

fn within() -> impl Strategy<Value = Within> {
    let sizes = (1..80i64, 1..5i64);
    let lateness = prop_oneof![3 => Just(0i64), 2 => 1..100i64];
    (prop::sample::select(&KINDS[..]), sizes, lateness).prop_map(
        |(kind, (size, parts), lateness)| Within {
            kind,
            size,
            slide: (size / parts).max(1),
            lateness,
        },
    )
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
fn join<'p>((left, right): Halves<'p>, within: Within, end: &dyn Fn(Out<'p>)) {
    let join = left.window_join(right).window(shape(within));
    let (join, late_left, late_right) =
        join.allowed_lateness(ns(within.lateness as u64)).with_late();
    let pair = |l: Option<&Row>, r: Option<&Row>| (l.copied(), r.copied());
    let results = match within.kind {
        Kind::Inner => join.select(move |l, r| pair(Some(l), Some(r))).boxed(),
        Kind::Left => join.select_left(move |l, r| pair(Some(l), r)).boxed(),
        Kind::Right => join.select_right(move |l, r| pair(l, Some(r))).boxed(),
        Kind::Full => join.select_full(pair).boxed(),
        Kind::Semi => join.semi().map(|l| (Some(l), None)).boxed(),
        Kind::Anti => join.anti().map(|l| (Some(l), None)).boxed(),
    };
    end((results, late_left.union(late_right)));
}

/// Runs a join: the results with their times, the late records, and what was counted.
fn engine(
    world: &World,
    rows: &[Row],
    within: Within,
    disorder: i64,
    ordered: bool,
) -> (Vec<(i64, Pair)>, Vec<Row>, Outcome) {
    let (seen, late) = (Seen::<Pair>::new(), Seen::<Row>::new());
    let outcome = world.run(|p| {
        join(halves(p, world, rows, disorder), within, &|(results, gone)| {
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
        let (pairs, late, outcome) = engine(&world, &rows, within, disorder, false);
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
        let (pairs, ..) = engine(&world, &rows, within, disorder, true);
        prop_assert_eq!(pairs, want.pairs);
    }

    /// The pairs of a left record are cut off at the cap, and those left out are counted.
    #[test]
    fn fan_out_is_capped(world in World::any(), rows in rows(100), most in 1..4usize) {
        let within = Within { kind: Kind::Inner, size: 500, slide: 500, lateness: 0 };
        let disorder = disorder_of(&rows);
        let all = joined_in_windows(&rows, &watermarks(&rows, disorder), within).pairs;
        let mut want = std::collections::BTreeMap::<(i64, Option<Row>), usize>::new();
        all.iter().for_each(|(at, pair)| *want.entry((*at, pair.0)).or_default() += 1);
        let want: usize = want.values().map(|pairs| *pairs.min(&most)).sum();
        let seen = Seen::<Pair>::new();
        let outcome = world.run(|p| {
            let (left, right) = halves(p, &world, &rows, disorder);
            let join = left.window_join(right).window(shape(within));
            let pairs = join.fan_out(FanOut::AtMost(most)).select(|l, r| (Some(*l), Some(*r)));
            watch(pairs, &seen, &world);
            Ok(())
        });
        let got = seen.borrow().records.clone();
        let dropped = outcome.counters.get(Counter::PairsDropped) as usize;
        // Rows that are equal share their count in the model.
        prop_assert!(got.len() >= want && got.len() + dropped == all.len());
        prop_assert!(got.iter().all(|pair| all.contains(pair)));
    }
}
