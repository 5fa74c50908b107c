//! Joins of tables with tables and streams in every way in which records may come.
//!
//! What a joined table is on its way depends on which of two changes comes first, and so do the
//! rows that records meet. So these are cases of what must be so in any order: each change starts
//! from the row that there was, in the end the rows are those of the join of both, and each record
//! comes out once, with a row that there was. `golden_joins.rs` has one order and all the steps.

use millstream::table::Changes;
use millstream::{Change, Stage, Stream, Tumbling, case, ns};

use super::support::joins::is_left;
use super::support::model::Row;
use super::support::tables::{Joined, TableKind, joined_by_key, joined_by_name, names, upsert};
use super::support::tester::Tester;
use super::{rows, said};

/// The last row of a key, and whether each change started from the one before it.
type Last = (Option<Joined>, bool);

/// One window holds all that the rows of these tests lead to.
const END: i64 = 5_000;

/// What a changelog comes to: the rows that are there in the end, and those of which it was no
/// chain.
fn in_the_end<'p, S: Stage<Out = (u64, Change<Joined>)>>(
    changes: Changes<'p, u64, Joined, S>,
) -> Stream<'p, impl Stage<Out = (u64, Last)> + use<'p, S>> {
    let keyed = changes.to_changes().key_by(|(key, _)| *key);
    let all = keyed.window(Tumbling::of(ns(10_000)).offset(ns(END as u64)));
    let last = all.fold((None, true), |(row, is_chain): &mut Last, (_, change)| {
        *is_chain &= change.before() == row.as_ref() && change.is_visible();
        *row = change.after().copied();
    });
    let last = last.map(|window| (window.key, window.value));
    last.filter(|(_, (row, is_chain))| row.is_some() || !is_chain)
}

fn want(rows: std::collections::BTreeMap<u64, Joined>) -> Vec<(i64, (u64, Last))> {
    assert!(rows.len() > 1, "{rows:?}");
    rows.into_iter().map(|(key, row)| (END - 1, (key, (Some(row), true)))).collect()
}

fn both(left: Option<&i64>, right: Option<&i64>) -> Joined {
    (left.copied(), right.copied())
}

/// Rows of many keys, of which some lack one side or the other in the end.
fn many() -> Vec<Row> {
    rows().into_iter().map(|row| Row { key: row.value.unsigned_abs() % 11, ..row }).collect()
}

macro_rules! table_cases {
    ($($name:ident: $kind:ident, |$join:ident| $select:expr;)*) => {$(
        #[test]
        fn $name() {
            let steps = case!(Row => (u64, Last), |s| {
                let (left, right) = s.split(is_left);
                let left = left.key_by(|row| row.key).table(upsert);
                let $join = left.join(right.key_by(|row| row.key).table(upsert));
                in_the_end($select)
            });
            let want = want(joined_by_key(&many(), TableKind::$kind));
            Tester::new(steps, said(&many()), want).by(|row| row.0).check();
        }
    )*};
}

table_cases! {
    inner: Inner, |join| join.select(|l, r| both(Some(l), Some(r)));
    left: Left, |join| join.select_left(|l, r| both(Some(l), r));
    full: Full, |join| join.select_full(both);
}

macro_rules! foreign_cases {
    ($($name:ident: $is_left:expr, |$join:ident| $select:expr;)*) => {$(
        #[test]
        fn $name() {
            let steps = case!(Row => (u64, Last), |s| {
                let (left, right) = s.split(is_left);
                let left = left.key_by(|row| row.key).table(upsert);
                let right = right.key_by(|row| row.key).table(upsert);
                let $join = left.join_foreign(right, |_, value| names(value));
                in_the_end($select)
            });
            let want = want(joined_by_name(&many(), $is_left));
            Tester::new(steps, said(&many()), want).by(|row| row.0).check();
        }
    )*};
}

foreign_cases! {
    by_foreign_key: false, |join| join.select(|l, r| both(Some(l), Some(r)));
    by_foreign_key_left: true, |join| join.select_left(|l, r| both(Some(l), r));
}

/// Whether a record may have met this: a row that its key had, or none.
fn there_was(row: &Row, found: Option<&i64>) -> bool {
    let versions = || rows().into_iter().filter(|other| !is_left(other) && other.key == row.key);
    found.is_none_or(|found| versions().any(|other| upsert(&other) == Some(*found)))
}

/// Each record of the stream, and that what it met was there.
fn each_left_one() -> Vec<(i64, (i64, bool))> {
    let left = rows().into_iter().filter(is_left);
    left.map(|row| (row.at, (row.value, true))).collect()
}

#[test]
fn a_stream_with_a_table() {
    let steps = case!(Row => (i64, bool), |s| {
        let (left, right) = s.split(is_left);
        let table = right.key_by(|row| row.key).table(upsert);
        let join = left.key_by(|row| row.key).join_table(table);
        join.select_left(|row, found| (row.value, there_was(row, found)))
    });
    let key = |met: &(i64, bool)| (met.0 * met.0) as u64 % 5;
    Tester::new(steps, said(&rows()), each_left_one()).by(key).check();
}

#[test]
fn a_stream_with_a_global_table() {
    let steps = case!(Row => (i64, bool), |s| {
        let (left, right) = s.split(is_left);
        let table = right.global_table(|row| row.key, upsert);
        let join = left.join_global(table, |row| row.key);
        join.select_left(|row, found| (row.value, there_was(row, found)))
    });
    let key = |met: &(i64, bool)| (met.0 * met.0) as u64 % 5;
    Tester::new(steps, said(&rows()), each_left_one()).by(key).check();
}

/// Nobody meets anything in a table that stays empty.
#[test]
fn a_stream_with_an_empty_table() {
    let steps = case!(Row => Row, |s| {
        let (left, right) = s.split(is_left);
        let table = right.key_by(|row| row.key).table(|_| None::<i64>);
        left.key_by(|row| row.key).join_table(table).select(|row, _| *row)
    });
    Tester::new(steps, said(&rows()), []).check();
}
