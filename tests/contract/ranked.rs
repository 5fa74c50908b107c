//! The first records of each key, through the tester, beside a list of all of them.

use std::collections::BTreeMap;

use millstream::{Change, Ttl, case, ns};

use super::support::Row;
use super::support::model::watermarks;
use super::support::tables::rows_after;
use super::support::tester::Tester;
use super::support::world::{at, disordered};
use super::{rows, said};

type Out = ((u64, u64), Change<Row>);

/// Few marks, so that many are equal.
fn mark(row: &Row) -> i64 {
    row.value.rem_euclid(9) / 2
}

/// Three of each key, the highest marks first, which are told apart by nothing but their places.
/// After so long without a record all of a key are forgotten.
fn first_three(rows: &[Row], disorder: i64, life: Option<i64>) -> Vec<(i64, Out)> {
    let mut keys: BTreeMap<u64, (Vec<Row>, i64)> = BTreeMap::new();
    let mut out = Vec::new();
    for (row, watermark) in rows.iter().zip(watermarks(rows, disorder)) {
        let now = row.at.max(watermark);
        let (all, until) = keys.entry(row.key).or_insert((Vec::new(), i64::MIN));
        if life.is_some() && now >= *until {
            all.clear();
            *until = i64::MIN;
        }
        *until = life.map_or(i64::MAX, |life| now + life).max(*until);
        let before = all.clone();
        all.push(*row);
        all.sort_by_key(|row| -mark(row));
        for place in 0..3 {
            let (old, new) = (before.get(place).copied(), all.get(place).copied());
            let change = Change::between(old, new).filter(Change::is_visible);
            out.extend(change.map(|change| (row.at, ((row.key, place as u64 + 1), change))));
        }
    }
    out
}

#[test]
fn the_first_of_each_key() {
    let steps = case!(Row => Out, |s| {
        s.key_by(|row| row.key).ranked::<3>(|one, other| mark(other).cmp(&mark(one))).to_changes()
    });
    let want = first_three(&rows(), 1_000, None);
    assert!(want.len() > 30 && want.len() < rows().len() * 3, "{}", want.len());
    let left = rows_after(want.iter().map(|change| change.1));
    assert!(left.len() == 9 && left.contains_key(&(0, 3)), "{left:?}");
    Tester::new(steps, said(&rows()), want).by(|out| out.0.0).check();
}

#[test]
fn the_first_of_each_key_for_a_time() {
    let steps = case!(Row => Out, |s| {
        let keyed = s.event_time(at, disordered(20)).key_by(|row| row.key).ttl(Ttl::of(ns(45)));
        keyed.ranked::<3>(|one, other| mark(other).cmp(&mark(one)))
    });
    let want = first_three(&rows(), 20, Some(45));
    let inserts = want.iter().filter(|change| matches!(change.1.1, Change::Insert(_)));
    assert!(inserts.count() > 9, "some are forgotten");
    Tester::new(steps, said(&rows()), want).by(|out| out.0.0).check();
}
