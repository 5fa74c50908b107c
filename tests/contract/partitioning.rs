//! Ways of spreading records over shards, through the tester.

use millstream::aggregates::sum;
use millstream::{HotKeys, Tumbling, ns};

use crate::support::model::windows;
use crate::support::tester::Tester;
use crate::support::world::{all, at, disordered, fired, window_of, without_order};
use crate::support::{Cut, Fired, Row};
use crate::{LATENESS, SLIDING, case, numbers, records, results, rows, said};

/// As many copies as there are shards, of which one is kept.
#[test]
fn broadcast() {
    let steps = case!(u64 => u64, |s| s.broadcast().key_by(|n| *n).deduplicate());
    Tester::new(steps, numbers(), records(&numbers())).by(|n| *n).check();
}

#[test]
fn rebalance() {
    let steps = case!(u64 => u64, |s| s.rebalance());
    Tester::new(steps, numbers(), records(&numbers())).by(|n| *n).check();
}

/// All of them in their order.
#[test]
fn global() {
    let steps = case!(u64 => u64, |s| s.global());
    Tester::new(steps, numbers(), records(&numbers())).check();
}

#[test]
fn shuffle() {
    let steps = case!(u64 => u64, |s| s.shuffle());
    Tester::new(steps, numbers(), records(&numbers())).by(|n| *n).check();
}

#[test]
fn local_or_shuffle() {
    let steps = case!(u64 => u64, |s| s.local_or_shuffle());
    Tester::new(steps, numbers(), records(&numbers())).by(|n| *n).check();
}

/// All odd numbers to one shard, all even ones to another, if there is another.
#[test]
fn partition_custom() {
    let steps = case!(u64 => u64, |s| s.partition_custom(|n, shards| *n as usize % 2 % shards));
    Tester::new(steps, numbers(), records(&numbers())).by(|n| n % 2).check();
}

#[test]
fn direct() {
    let steps = case!(u64 => u64, |s| s.map(|n| (0, n)).direct());
    Tester::new(steps, numbers(), records(&numbers())).check();
}

#[test]
fn partial_key_by() {
    let steps = case!(u64 => u64, |s| {
        // Partial sums of each number by itself are the numbers, wherever they are made.
        let sums = s.partial_key_by(|n| *n).reduce(|sum, n| *sum += n);
        sums.map(|(_, n)| n)
    });
    Tester::new(steps, numbers(), records(&numbers())).by(|n| *n).check();
}

#[test]
fn windows_of_keys_that_two_shards_share() {
    let steps = case!(Row => Fired, |s| {
        let keyed = s.event_time(at, disordered(46)).partial_key_by(|row| row.key);
        let windows = keyed.window(window_of(SLIDING)).precombine().aggregate(all());
        windows.map(without_order).map(fired)
    });
    let want = results(windows(&rows(), SLIDING, 46)).into_iter();
    let want = want.map(|(at, result)| (at, result.without_order()));
    Tester::new(steps, said(&rows()), want).by(|result| result.key).check();
}

/// Windows behind a spread are those of its shards: on one shard they are the model's.
#[test]
fn a_sum_of_everything_on_one_shard() {
    let steps = case!(Row => i64, |s| {
        let here = s.event_time(at, disordered(46)).global().partitioned_by(|_| ());
        let windows = here.window(Tumbling::of(ns(1000)));
        windows.aggregate(sum(|row: &Row| row.value)).map(|window| window.value)
    });
    let mut sums = std::collections::BTreeMap::new();
    for row in rows() {
        *sums.entry(row.at.div_euclid(1000) * 1000 + 999).or_insert(0) += row.value;
    }
    Tester::new(steps, said(&rows()), sums).check();
}

/// Decides often, so that keys become hot and cool down.
const HOT: HotKeys = HotKeys::above(0.25).sample_every(1).decide_after(6);

#[test]
fn windows_whose_hot_keys_are_split() {
    let steps = case!(Row => Fired, |s| {
        let keyed = s.event_time(at, disordered(2)).key_by(|row| row.key);
        let windows = keyed.window(window_of(LATENESS)).allowed_lateness(ns(15));
        windows.split_hot_keys(HOT).aggregate(all()).map(fired)
    });
    let want = results(windows(&rows(), LATENESS, 2));
    Tester::new(steps, said(&rows()), want).by(|result| result.key).check();
}

#[test]
fn tumbling_windows_whose_hot_keys_are_split() {
    let steps = case!(Row => Fired, |s| {
        let keyed = s.event_time(at, disordered(20)).key_by(|row| row.key % 2);
        let windows = keyed.window(window_of(Cut::tumbling(50)));
        windows.split_hot_keys(HOT).aggregate(all()).map(fired)
    });
    let two: Vec<Row> = rows().into_iter().map(|row| Row { key: row.key % 2, ..row }).collect();
    let want = results(windows(&two, Cut::tumbling(50), 20));
    Tester::new(steps, said(&rows()), want).by(|result| result.key).check();
}
