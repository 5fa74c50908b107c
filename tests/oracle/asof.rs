//! As-of joins against a search through all records.

use millstream::Stream;
use millstream::dataflow::Edge;
use millstream::join::{AsofJoin, Rights, after, before};
use millstream::metrics::Counter;
use millstream::ns;
use proptest::prelude::*;

use super::support::asof::{Answer, Around, AsOf, DIRECTIONS, Direction, answers, around};
use super::support::joins::is_left;
use super::support::model::watermarks;
use super::support::world::values;
use super::support::{Row, Seen, World, watch};
use super::{cases, rows, timed};

fn asof() -> impl Strategy<Value = AsOf> {
    let direction = prop::sample::select(&DIRECTIONS[..]);
    let tolerance = prop_oneof![2 => Just(None), 3 => (0..150i64).prop_map(Some)];
    let lateness = prop_oneof![3 => Just(0i64), 2 => 1..100i64];
    (direction, any::<bool>(), tolerance, lateness).prop_map(
        |(direction, strict, tolerance, lateness)| AsOf { direction, strict, tolerance, lateness },
    )
}

fn with<'p>(join: AsofJoin<'p, u64, Row, Row>, asof: AsOf) -> AsofJoin<'p, u64, Row, Row> {
    let join = match asof.direction {
        Direction::Backward => join.backward(),
        Direction::Forward => join.forward(),
        Direction::Nearest => join.nearest(),
    };
    let join = if asof.strict { join.strict() } else { join };
    let join = match asof.tolerance {
        Some(tolerance) => join.tolerance(ns(tolerance as u64)),
        None => join,
    };
    join.allowed_lateness(ns(asof.lateness as u64))
}

proptest! {
    #![proptest_config(cases(300))]

    /// A control record takes effect between the same two records on all shards.
    #[test]
    fn broadcast_state_changes_everywhere_at_once(
        world in World::any(),
        rows in rows(100),
        disorder in 0..60i64,
    ) {
        let rows: Vec<Row> = rows.into_iter().map(|row| Row { key: 0, ..row }).collect();
        let seen = Seen::<Answer>::new();
        world.run(|p| {
            let (left, right) = timed(p, &world, &rows, disorder).split(is_left);
            let join = left.rebalance().with_broadcast(right);
            watch(join.select_left(|l, r| (*l, r.copied())), &seen, &world);
            Ok(())
        });
        let (direction, strict, tolerance, lateness) = (Direction::Backward, false, None, 0);
        let asof = AsOf { direction, strict, tolerance, lateness };
        let (want, _) = answers(&rows, &watermarks(&rows, disorder), asof);
        let mut got = values(&seen);
        got.sort();
        prop_assert_eq!(got, want);
    }

    /// The right records around each left one, with and without the one in force.
    #[test]
    fn windows_around_records_are_the_models(
        world in World::any(),
        rows in rows(100),
        disorder in 0..60i64,
        (from, length) in (-80..60i64, 0..100i64),
        lateness in prop_oneof![3 => Just(0i64), 2 => 1..100i64],
        prevailing in any::<bool>(),
    ) {
        let (seen, ordered) = (Seen::<Around>::new(), Seen::<Around>::new());
        let bound = |at: i64| {
            let distance = ns(at.unsigned_abs());
            if at < 0 { before(distance) } else { after(distance) }
        };
        world.run(|p| {
            let windows = || {
                let (left, right) = timed(p, &world, &rows, disorder).split(is_left);
                let (left, right) = (left.key_by(|row| row.key), right.key_by(|row| row.key));
                let windows = left.window_around(right).between(bound(from), bound(from + length));
                let windows = if prevailing { windows.prevailing() } else { windows };
                let windows = windows.allowed_lateness(ns(lateness as u64));
                let values = |rights: Rights<'_, Row>| rights.map(|r| r.value.value).collect();
                windows.apply(move |left, rights| (*left, values(rights)))
            };
            watch(windows(), &seen, &world);
            watch(windows().ordered(|window: &Around| window.clone()), &ordered, &world);
            Ok(())
        });
        let bounds = [from, from + length, lateness];
        let want = around(&rows, &watermarks(&rows, disorder), bounds, prevailing);
        let mut got = values(&seen);
        got.sort();
        prop_assert_eq!(&got, &want);
        prop_assert_eq!(values(&ordered), want);
    }

    /// Versions of a table, some of which say that there is no row.
    #[test]
    fn temporal_joins_are_the_models(
        world in World::any(),
        rows in rows(100),
        disorder in 0..60i64,
        inner in any::<bool>(),
    ) {
        let seen = Seen::<Answer>::new();
        world.run(|p| {
            let (left, right) = timed(p, &world, &rows, disorder).split(is_left);
            let versions = right.key_by(|row| row.key);
            let join = left.key_by(|row| row.key);
            let join = join.temporal_join(versions, |row| row.value % 3 == 0);
            if inner {
                watch(join.select(|l, r| (*l, Some(*r))), &seen, &world);
            } else {
                watch(join.select_left(|l, r| (*l, r.copied())), &seen, &world);
            }
            Ok(())
        });
        let (direction, strict, tolerance, lateness) = (Direction::Backward, false, None, 0);
        let asof = AsOf { direction, strict, tolerance, lateness };
        let (mut want, _) = answers(&rows, &watermarks(&rows, disorder), asof);
        want.iter_mut().for_each(|answer| answer.1 = answer.1.filter(|row| row.value % 3 != 0));
        want.retain(|answer| !inner || answer.1.is_some());
        want.sort();
        let mut got = values(&seen);
        got.sort();
        prop_assert_eq!(got, want);
    }
}

proptest! {
    #![proptest_config(cases(600))]

    /// Each left record has the answer of the search, whichever way the streams interleave; those
    /// that look back come with their own time, and nothing comes behind the watermark.
    #[test]
    fn asof_joins_are_the_models(
        world in World::any(),
        rows in rows(100),
        asof in asof(),
        disorder in 0..60i64,
    ) {
        let (seen, late) = (Seen::<Answer>::new(), Seen::<Row>::new());
        let ordered = Seen::<Answer>::new();
        let outcome = world.run(|p| {
            let join = |late: &dyn Fn(Stream<'_, Edge<Row>>)| {
                let (left, right) = timed(p, &world, &rows, disorder).split(is_left);
                let join = left.key_by(|row| row.key).asof_join(right.key_by(|row| row.key));
                let (join, late_left, late_right) = with(join, asof).with_late();
                late(late_left.union(late_right));
                join.select_left(|l, r| (*l, r.copied()))
            };
            watch(join(&|gone| watch(gone, &late, &world)), &seen, &world);
            let again = join(&|gone| gone.for_each(drop));
            watch(again.ordered(|answer| *answer), &ordered, &world);
            Ok(())
        });
        let (want, want_late) = answers(&rows, &watermarks(&rows, disorder), asof);
        seen.borrow().check_over();
        let mut got = seen.borrow().records.clone();
        if asof.direction == Direction::Backward {
            prop_assert!(got.iter().all(|(at, answer)| *at == answer.0.at));
        }
        prop_assert!(got.iter().all(|(at, answer)| *at >= answer.0.at));
        got.sort();
        let one_sequence = ordered.borrow().records.clone();
        prop_assert_eq!(&got, &one_sequence);
        let mut got: Vec<Answer> = got.into_iter().map(|(_, answer)| answer).collect();
        got.sort();
        prop_assert_eq!(got, want);
        let (mut late, mut want_late) = (values(&late), want_late);
        late.sort();
        want_late.sort();
        prop_assert_eq!(late.len() as u64 * 2, outcome.counters.get(Counter::Late));
        prop_assert_eq!(late, want_late);
    }
}
