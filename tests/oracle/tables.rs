//! Tables, and what is made of their changes, against plain maps.

use std::fmt::Debug;

use millstream::aggregates::{count, max, sum};
use millstream::dataflow::Stage;
use millstream::metrics::Counter;
use millstream::table::Suppress;
use millstream::{Change, Changes, Versions, Windowed, ns};
use proptest::prelude::*;

use super::support::model::{Fired, Row, Value, finals, grouped, watermarks, windows};
use super::support::tables::{
    BY_ARRIVAL, Changed, GroupChanged, Keeps, Show, any_row, first_three, folded, group_of,
    regrouped, rows_after, sums, suppressed, totals, upsert,
};
use super::support::world::{all, results, window_of};
use super::support::{Seen, World, watch};
use super::{cases, cut, rows, timed};

fn keeps() -> impl Strategy<Value = Keeps> {
    let life = prop::option::of(1..200i64);
    (any::<bool>(), any::<bool>(), life).prop_map(|(by_event_time, equal, life)| Keeps {
        by_event_time,
        equal,
        life,
    })
}

fn versions(keeps: Keeps) -> Versions {
    let versions = match keeps.by_event_time {
        true => Versions::by_event_time(),
        false => Versions::by_arrival(),
    };
    let versions = if keeps.equal { versions.keeping_equal() } else { versions };
    keeps.life.map_or(versions, |life| versions.expiring(ns(life as u64)))
}

fn key<V>(changed: &Changed<V>) -> u64 {
    changed.1.0
}

fn under(rows: &[Row], disorder: i64) -> impl Iterator<Item = (Row, i64)> {
    rows.iter().copied().zip(watermarks(rows, disorder))
}

proptest! {
    #![proptest_config(cases(300))]

    /// Upserts, tombstones, older versions, rows that expire.
    #[test]
    fn a_table_is_the_models(
        world in World::any(),
        rows in rows(120),
        disorder in 0..60i64,
        keeps in keeps(),
    ) {
        let seen = Seen::<(u64, Change<i64>)>::new();
        let outcome = world.run(|p| {
            let keyed = timed(p, &world, &rows, disorder).key_by(|row| row.key);
            watch(keyed.table_of(versions(keeps), upsert).to_changes(), &seen, &world);
            Ok(())
        });
        seen.borrow().check_over();
        let (want, late) = folded(under(&rows, disorder), keeps);
        prop_assert_eq!(grouped(&seen.borrow().records, key), grouped(&want, key));
        prop_assert_eq!(outcome.counters.get(Counter::Late), late);
    }

    /// What a step makes of each change is the table that it would make of each row.
    #[test]
    fn steps_on_changes_are_steps_on_rows(
        world in World::any(),
        rows in rows(120),
        disorder in 0..60i64,
        keeps in keeps(),
    ) {
        let keeps = Keeps { equal: false, ..keeps };
        let seen = Seen::<(u64, Change<i64>)>::new();
        let ups = Seen::<(u64, Option<i64>)>::new();
        world.run(|p| {
            let table = || {
                let keyed = timed(p, &world, &rows, disorder).key_by(|row| row.key);
                let table = keyed.table_of(versions(keeps), upsert);
                table.filter(|_, row| row % 3 > 0).map_values(|key, row| row / 2 + *key as i64)
            };
            watch(table().boxed().to_changes(), &seen, &world);
            watch(table().to_stream(), &ups, &world);
            Ok(())
        });
        let want = folded(under(&rows, disorder), keeps).0;
        let made = |(key, change): (u64, Change<i64>)| {
            let row = |row: &i64| (row % 3 > 0).then(|| row / 2 + key as i64);
            change.filter_map(row).filter(Change::is_visible).map(|change| (key, change))
        };
        let want: Vec<_> =
            want.into_iter().filter_map(|(at, changed)| Some((at, made(changed)?))).collect();
        prop_assert_eq!(grouped(&seen.borrow().records, key), grouped(&want, key));
        rows_after(seen.borrow().records.iter().map(|record| record.1));
        let want: Vec<_> =
            want.iter().map(|(at, (key, change))| (*at, (*key, change.after().copied()))).collect();
        let key = |up: &(i64, (u64, Option<i64>))| up.1.0;
        prop_assert_eq!(grouped(&ups.borrow().records, key), grouped(&want, key));
    }
}

/// Groups by what is in a row, and what a step makes of them beside the model.
///
/// Where all rows of the table are on one shard, a group sees their changes in order and must show
/// the same changes as the model. Where they are not, it must come to the same.
macro_rules! groups_are_the_models {
    ($world:expr, $rows:expr, $show:expr, $out:ty, |$table:ident| $made:expr) => {{
        let (world, rows): (&World, &[Row]) = (&$world, &$rows);
        let want = regrouped(&folded(under(rows, 0), BY_ARRIVAL).0, group_of, $show);
        for ordered in [true, false] {
            let seen = Seen::<((u64, u64), Change<$out>)>::new();
            world.run(|p| {
                let rows = p.source(world.source(p, rows));
                let keyed = match ordered {
                    true => rows.partitioned_by(|row| row.key),
                    false => rows.key_by(|row| row.key),
                };
                let $table = keyed.table(upsert);
                watch($made, &seen, world);
                Ok(())
            });
            check_groups(&seen.borrow().records, &want, ordered);
        }
    }};
}

fn check_groups<O: Copy + PartialEq + Debug>(
    got: &[GroupChanged<O>],
    want: &[GroupChanged<O>],
    ordered: bool,
) {
    let group = |changed: &GroupChanged<O>| changed.1.0.0;
    let rows = |all: &[GroupChanged<O>]| rows_after(all.iter().map(|changed| changed.1));
    assert_eq!(rows(got), rows(want));
    if ordered {
        assert_eq!(grouped(got, group), grouped(want, group));
    }
}

/// With the key that a group shows its one result under.
fn single<'p, V: millstream::state::State>(
    table: Changes<'p, u64, V, impl Stage<Out = (u64, Change<V>)>>,
) -> millstream::Stream<'p, impl Stage<Out = ((u64, u64), Change<V>)>> {
    table.to_changes().map(|(group, change)| ((group, 0), change))
}

proptest! {
    #![proptest_config(cases(150))]

    /// What can be deducted is, and what cannot is aggregated anew from the rows that are left.
    #[test]
    fn aggregates_of_groups_are_the_models(world in World::any(), rows in rows(120)) {
        groups_are_the_models!(world, rows, sums as Show<_>, (u64, i64), |table| {
            let grouped = table.group_by(|key, row| group_of(*key, *row));
            single(grouped.aggregate((count(), sum(|row: &i64| *row))))
        });
        groups_are_the_models!(world, rows, totals as Show<_>, (u64, i64, i64), |table| {
            let grouped = table.group_by(|key, row| group_of(*key, *row));
            single(grouped.aggregate((count(), sum(|row: &i64| *row), max(|row: &i64| *row))))
        });
    }

    #[test]
    fn the_first_rows_of_groups_are_the_models(world in World::any(), rows in rows(120)) {
        groups_are_the_models!(world, rows, first_three as Show<_>, i64, |table| {
            let grouped = table.group_by(|key, row| group_of(*key, *row));
            grouped.top_n(3, |_, row| *row).to_changes()
        });
    }

    #[test]
    fn distinct_rows_are_the_models(world in World::any(), rows in rows(120)) {
        groups_are_the_models!(world, rows, any_row as Show<_>, (), |table| {
            single(table.distinct(|key, row| group_of(*key, *row)))
        });
    }

    /// A sum of floats is the same to the last bit in whatever order the changes came.
    #[test]
    fn sums_of_floats_do_not_know_who_came_first(
        world in World::any(),
        other in World::any(),
        rows in rows(120),
    ) {
        let ran = |world: &World| {
            let seen = Seen::<(u64, Change<f64>)>::new();
            world.run(|p| {
                let rows = p.source(world.source(p, &rows));
                let table = rows.key_by(|row| row.key).table(|row| upsert(row).map(|n| n as f64));
                let thirds = table.map_values(|key, row| (row + 1.0) / 3.0 + *key as f64);
                let sums = thirds.group_by(|key, _| key % 2).aggregate(sum(|row: &f64| *row));
                watch(sums.to_changes(), &seen, world);
                Ok(())
            });
            let seen = seen.borrow();
            let rows = rows_after(seen.records.iter().map(|record| record.1));
            rows.into_iter().map(|(group, sum)| (group, sum.to_bits())).collect::<Vec<_>>()
        };
        // The tree is in the order of a seed, as tables are.
        let other = World { hash_seed: world.hash_seed, ..other };
        prop_assert_eq!(ran(&world), ran(&other));
    }
}

proptest! {
    #![proptest_config(cases(200))]

    /// What is held back is one change that does what all of them did.
    #[test]
    fn suppressed_changes_are_the_models(
        world in World::any(),
        rows in rows(120),
        disorder in 0..60i64,
        span in prop_oneof![4 => 1..200i64, 1 => Just(i64::MAX)],
    ) {
        let seen = Seen::<(u64, Change<i64>)>::new();
        world.run(|p| {
            let table = timed(p, &world, &rows, disorder).key_by(|row| row.key).table(upsert);
            let calm = table.suppress(Suppress::after(ns(span as u64)));
            watch(calm.to_changes(), &seen, &world);
            Ok(())
        });
        seen.borrow().check_over();
        let want = suppressed(under(&rows, disorder), span);
        prop_assert_eq!(grouped(&seen.borrow().records, key), grouped(&want, key));
        rows_after(seen.borrow().records.iter().map(|record| record.1));
    }

    /// Of each window and key the last result, in the order of the ends of windows.
    #[test]
    fn closed_windows_have_their_last_results(
        world in World::any(),
        rows in rows(120),
        cut in cut(),
        disorder in 0..60i64,
    ) {
        let seen = Seen::<Windowed<u64, Value>>::new();
        world.run(|p| {
            let keyed = timed(p, &world, &rows, disorder).key_by(|row| row.key);
            let windows = keyed.window(window_of(cut)).allowed_lateness(ns(cut.lateness as u64));
            watch(windows.aggregate(all()).until_closed(ns(cut.lateness as u64)), &seen, &world);
            Ok(())
        });
        let mut got = results(&seen);
        if cut.lateness == i64::MAX {
            // All are closed at once, at the end.
            got.sort_by_key(|fired| fired.end);
        }
        let want: Vec<Fired> = finals(&windows(&rows, cut, disorder).fired).into_values().collect();
        prop_assert_eq!(grouped(&got, |fired| fired.key), grouped(&want, |fired| fired.key));
    }
}
