//! Tables, and what is made of their changes, against plain maps.

use millstream::metrics::Counter;
use millstream::{Change, Versions, ns};
use proptest::prelude::*;

use super::support::model::{Row, grouped, watermarks};
use super::support::tables::{Changed, Keeps, folded, rows_after, upsert};
use super::support::{Seen, World, watch};
use super::{cases, rows, timed};

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
