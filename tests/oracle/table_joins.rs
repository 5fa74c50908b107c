//! Tables joined with tables and streams, against plain maps.

use std::collections::BTreeMap;

use millstream::testing::TestDriver;
use millstream::{Change, Timestamp};
use proptest::prelude::*;

use super::support::joins::is_left;
use super::support::tables::{
    Joined, TableKind as Kind, joined_by_key, joined_by_name, names, upsert,
};
use super::support::world::memory;
use super::support::{Row, Seen, World, watch};
use super::{cases, rows, timed};

proptest! {
    #![proptest_config(cases(400))]

    /// Whatever the interleaving: each change starts from the row that there was, is visible, and
    /// in the end the joined table is the join of both.
    #[test]
    fn joins_of_tables_are_the_models(
        world in World::any(),
        rows in rows(120),
        kind in prop_oneof![Just(Kind::Inner), Just(Kind::Left), Just(Kind::Full)],
    ) {
        let seen = Seen::<(u64, Change<Joined>)>::new();
        world.run(|p| {
            let (left, right) = timed(p, &world, &rows, 0).split(is_left);
            let left = left.key_by(|row| row.key).table(upsert);
            let join = left.join(right.key_by(|row| row.key).table(upsert));
            let pair = |l: Option<&i64>, r: Option<&i64>| (l.copied(), r.copied());
            match kind {
                Kind::Inner => {
                    let table = join.select(move |l, r| pair(Some(l), Some(r)));
                    watch(table.to_changes(), &seen, &world);
                }
                Kind::Left => {
                    let table = join.select_left(move |l, r| pair(Some(l), r));
                    watch(table.to_changes(), &seen, &world);
                }
                Kind::Full => watch(join.select_full(pair).to_changes(), &seen, &world),
            }
            Ok(())
        });
        let mut held = BTreeMap::new();
        for (_, (key, change)) in &seen.borrow().records {
            prop_assert!(change.is_visible(), "{:?}", change);
            prop_assert_eq!(held.remove(key), change.before().copied());
            held.extend(change.after().map(|row| (*key, *row)));
        }
        prop_assert_eq!(held, joined_by_key(&rows, kind));
    }

    /// Each record comes out once, with a row that its key had at some time, or with none.
    #[test]
    fn records_meet_a_row_there_was(world in World::any(), rows in rows(100)) {
        let seen = Seen::<(Row, Option<i64>)>::new();
        world.run(|p| {
            let (left, right) = timed(p, &world, &rows, 0).split(is_left);
            let table = right.key_by(|row| row.key).table(upsert);
            let join = left.key_by(|row| row.key).join_table(table);
            watch(join.select_left(|row, found| (*row, found.copied())), &seen, &world);
            Ok(())
        });
        let mut records: Vec<Row> = Vec::new();
        for (_, (row, found)) in &seen.borrow().records {
            records.push(*row);
            let versions = rows.iter().filter(|other| !is_left(other) && other.key == row.key);
            let is_version = versions.map(upsert).any(|version| version == *found);
            prop_assert!(found.is_none() || is_version, "{:?} for {:?}", found, row);
        }
        let mut want: Vec<Row> = rows.iter().filter(|row| is_left(row)).copied().collect();
        records.sort();
        want.sort();
        prop_assert_eq!(records, want);
    }
}

proptest! {
    #![proptest_config(cases(300))]

    /// A table on every shard: each record comes out once on the shard where it was, with a row
    /// that there was, and when the table is there first with the last one.
    #[test]
    fn records_meet_a_row_of_a_global_table(world in World::any(), rows in rows(100)) {
        let seen = Seen::<(u64, i64, Option<i64>)>::new();
        let parts: Vec<Vec<Row>> = (0..world.shards)
            .map(|shard| {
                let mine = |row: &&Row| row.value.rem_euclid(world.shards as i64) as usize == shard;
                rows.iter().filter(mine).copied().collect()
            })
            .collect();
        world.run(|p| {
            let (left, right) = p.source(memory(&parts[p.shard()])).split(is_left);
            let table = right.global_table(|row| row.key, upsert);
            let shard = p.shard() as u64;
            let join = left.join_global(table, |row| row.key);
            let found = join.select_left(move |row, found| (shard, row.value, found.copied()));
            watch(found, &seen, &world);
            Ok(())
        });
        let mut got: Vec<(u64, i64)> = Vec::new();
        for (_, (shard, value, found)) in &seen.borrow().records {
            got.push((*shard, *value));
            let is_there = |row: &i64| rows.iter().any(|r| !is_left(r) && upsert(r) == Some(*row));
            prop_assert!(found.as_ref().is_none_or(is_there));
        }
        let of = |shard: usize| {
            let asked = parts[shard].iter().filter(|row| is_left(row));
            asked.map(move |row| (shard as u64, row.value))
        };
        let mut want: Vec<(u64, i64)> = (0..world.shards).flat_map(of).collect();
        got.sort();
        want.sort();
        prop_assert_eq!(got, want);
    }
}

proptest! {
    #![proptest_config(cases(600))]

    /// Rows name rows of another table, on whatever shard: each change starts from the row that
    /// there was, is visible, is made of rows that there were, and in the end the joined table is
    /// the join of both.
    #[test]
    fn joins_by_foreign_key_are_the_models(
        world in World::any(),
        rows in rows(120),
        is_left_join in any::<bool>(),
    ) {
        let seen = Seen::<(u64, Change<Joined>)>::new();
        let outcome = world.run(|p| {
            let (left, right) = timed(p, &world, &rows, 0).split(is_left);
            let left = left.key_by(|row| row.key).table(upsert);
            let right = right.key_by(|row| row.key).table(upsert);
            let join = left.join_foreign(right, |_, value| names(value));
            match is_left_join {
                true => {
                    let table = join.select_left(|l, r| (Some(*l), r.copied()));
                    watch(table.to_changes(), &seen, &world);
                }
                false => {
                    let table = join.select(|l, r| (Some(*l), Some(*r)));
                    watch(table.to_changes(), &seen, &world);
                }
            }
            Ok(())
        });
        let values = |side| -> Vec<(u64, i64)> {
            let rows = rows.iter().filter(|row| is_left(row) == side);
            rows.filter_map(|row| Some((row.key, upsert(row)?))).collect()
        };
        let (lefts, rights) = (values(true), values(false));
        let mut held = BTreeMap::new();
        for (_, (key, change)) in &seen.borrow().records {
            prop_assert!(change.is_visible(), "{:?}", change);
            prop_assert_eq!(held.remove(key), change.before().copied());
            if let Some((left, right)) = change.after() {
                let left = left.expect("every joined row has a left one");
                prop_assert!(lefts.contains(&(*key, left)));
                let named = names(&left);
                let was_there =
                    |right: &i64| named.is_some_and(|named| rights.contains(&(named, *right)));
                prop_assert!(right.as_ref().is_none_or(was_there), "{:?}", change);
            }
            held.extend(change.after().map(|row| (*key, *row)));
        }
        prop_assert_eq!(held, joined_by_name(&rows, is_left_join));
        drop(outcome);
    }
}

/// What makes no difference to the joined row is no change of it.
#[test]
fn only_what_is_visible_is_a_change() {
    let (mut driver, (prices, stocks, dozens)) = TestDriver::new(|p| {
        let (prices, priced) = p.test_input::<i64>();
        let (stocks, stocked) = p.test_input::<i64>();
        let table = priced.key_by(|_| ()).table(|price| Some(*price));
        let join = table.join(stocked.key_by(|_| ()).table(|stock| Some(*stock)));
        let dozens = join.select(|price, stock| price * (stock / 12));
        Ok((prices, stocks, dozens.to_changes().test_output()))
    })
    .unwrap();
    prices.push(Timestamp(0), 5);
    let mut stock = |count| {
        stocks.push(Timestamp(0), count);
        driver.settle().unwrap();
        dozens.take_values()
    };
    assert_eq!(stock(24), [((), Change::Insert(10))]);
    assert_eq!(stock(30), []);
    assert_eq!(stock(36), [((), Change::Update { old: 10, new: 15 })]);
}

/// Only records lead to results, with the row as it is when they come; tombstones lead to nothing.
#[test]
fn only_the_stream_asks() {
    let (mut driver, (orders, prices, totals)) = TestDriver::new(|p| {
        let (orders, placed) = p.test_input::<(u64, i64)>();
        let (prices, quoted) = p.test_input::<(u64, Option<i64>)>();
        let table = quoted.key_by(|quote| quote.0).table(|quote| quote.1);
        let join = placed.key_by(|order| order.0).join_table(table);
        let totals = join.select_left(|order, price| (order.1, price.copied()));
        Ok((orders, prices, totals.test_output()))
    })
    .unwrap();
    let mut ask = |price: Option<Option<i64>>, order: i64| {
        if let Some(price) = price {
            prices.push(Timestamp(0), (7, price));
        } else {
            prices.watermark(Timestamp(0));
        }
        driver.settle().unwrap();
        assert!(totals.take().is_empty());
        orders.push(Timestamp(0), (7, order));
        driver.settle().unwrap();
        totals.take_values()
    };
    assert_eq!(ask(None, 1), [(1, None)]);
    assert_eq!(ask(Some(Some(10)), 2), [(2, Some(10))]);
    assert_eq!(ask(Some(Some(11)), 3), [(3, Some(11))]);
    assert_eq!(ask(Some(None), 4), [(4, None)]);
}
