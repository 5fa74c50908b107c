//! Lookups: answers in any order, late, never, refused; records come out as they should.

use millstream::error::LookupError;
use millstream::lookup::{Cache, OnFailure, Retry, TableLookup};
use millstream::testing::{Attempt, ScriptedLookup};
use millstream::{case, ns};

use super::support::tester::Tester;
use super::{numbers, records};

/// Answers after a while that differs from number to number, so that they come out of order.
fn triples() -> ScriptedLookup<u64, u64> {
    ScriptedLookup::new(|n: &u64, _| {
        Attempt::Answers((n * 7919) % 900, (n % 4 != 3).then_some(n * 3))
    })
}

fn triple(n: u64) -> Option<u64> {
    (n % 4 != 3).then_some(n * 3)
}

fn busy() -> LookupError {
    LookupError::Unavailable("busy".to_owned())
}

/// Some attempts fail and some are never answered; a sixth of all numbers is refused.
fn unsure() -> ScriptedLookup<u64, u64> {
    ScriptedLookup::new(|n: &u64, attempt| match (n % 6, attempt) {
        (5, _) => Attempt::Fails(30, LookupError::Refused("odd".to_owned())),
        (1, 0) => Attempt::Silent,
        (2, 0 | 1) => Attempt::Fails(50, busy()),
        (3, 0) => Attempt::Full,
        _ => Attempt::Answers((n * 31) % 90, Some(n + 100)),
    })
}

fn sure(n: u64) -> Option<u64> {
    (n % 6 != 5).then_some(n + 100)
}

#[test]
fn table_left_and_inner() {
    let left = case!(u64 => (u64, Option<u64>), |s| {
        s.lookup(TableLookup::new((0..5).map(|n| (n, n * n))), |n| *n).left()
    });
    let row = |(at, n)| (at, (n, (n < 5).then_some(n * n)));
    Tester::new(left, numbers(), records(&numbers()).into_iter().map(row)).check();
    let inner = case!(u64 => (u64, u64), |s| {
        s.lookup(TableLookup::new((0..5).map(|n| (n, n * n))), |n| *n).inner()
    });
    let row = |(at, n)| (n < 5).then_some((at, (n, n * n)));
    Tester::new(inner, numbers(), records(&numbers()).into_iter().filter_map(row)).check();
}

#[test]
fn answers_out_of_order_come_out_in_order() {
    let steps = case!(u64 => (u64, Option<u64>), |s| s.lookup(triples(), |n| *n).left());
    let row = |(at, n)| (at, (n, triple(n)));
    Tester::new(steps, numbers(), records(&numbers()).into_iter().map(row)).check();
    let narrow = case!(u64 => (u64, Option<u64>), |s| {
        s.lookup(triples(), |n| *n).capacity(2).left()
    });
    let want = records(&numbers()).into_iter().map(row);
    // What is not taken in waits where no snapshot can be.
    Tester::new(narrow, numbers(), want).without_restoring().check();
}

/// Between two watermarks there is no order.
macro_rules! unordered_cases {
    ($($name:ident: $capacity:literal, $($restoring:ident)?;)*) => {$(
        #[test]
        fn $name() {
            let steps = case!(u64 => (u64, u64), |s| {
                s.lookup(triples(), |n| *n).unordered().capacity($capacity).inner()
            });
            let row = |(at, n)| Some((at, (n, triple(n)?)));
            let want = records(&numbers()).into_iter().filter_map(row);
            Tester::new(steps, numbers(), want).by(|row| row.0)$(.$restoring())?.check();
        }
    )*};
}

unordered_cases! {
    answers_in_any_order_one_at_a_time: 1, without_restoring;
    answers_in_any_order_three_at_a_time: 3, without_restoring;
    answers_in_any_order: 256, ;
}

#[test]
fn cached_answers() {
    let steps = case!(u64 => (u64, Option<u64>), |s| {
        s.lookup(triples(), |n| n % 5).cache(Cache::of(3, ns(1_000)).missing(ns(50))).left()
    });
    let row = |(at, n)| (at, (n, triple(n % 5)));
    Tester::new(steps, numbers(), records(&numbers()).into_iter().map(row)).check();
}

#[test]
fn failures_are_retried_or_dropped() {
    let steps = case!(u64 => (u64, u64), |s| {
        let retry = Retry::exponential(3, ns(20)).jitter(0.5);
        let rows = s.lookup(unsure(), |n| *n).timeout(ns(100)).retry(retry);
        rows.on_failure(OnFailure::Drop).inner()
    });
    let row = |(at, n)| Some((at, (n, sure(n)?)));
    Tester::new(steps, numbers(), records(&numbers()).into_iter().filter_map(row)).check();
}

#[test]
fn failures_as_values_and_as_a_stream() {
    let steps = case!(u64 => (u64, bool), |s| {
        let rows = s.lookup(unsure(), |n| *n).timeout(ns(100)).retry(Retry::fixed(2, ns(0)));
        rows.results().map(|(n, answer)| (n, answer.is_ok()))
    });
    let row = |(at, n)| (at, (n, sure(n).is_some()));
    Tester::new(steps, numbers(), records(&numbers()).into_iter().map(row)).check();
    let steps = case!(u64 => (u64, bool), |s| {
        let rows = s.lookup(unsure(), |n| *n).timeout(ns(100)).retry(Retry::fixed(2, ns(0)));
        let (rows, failed) = rows.unordered().left_with_failed();
        rows.map(|(n, _)| (n, true)).union(failed.map(|(n, _)| (n, false)))
    });
    let want = records(&numbers()).into_iter().map(row);
    Tester::new(steps, numbers(), want).by(|row| row.0).check();
}

/// Time is by event: what comes late to a window behind a lookup came late before it.
#[test]
fn a_window_behind_a_lookup() {
    use millstream::aggregates::sum;
    use millstream::{Tumbling, Watermarks};
    let steps = case!(u64 => u64, |s| {
        let rows = s
            .event_time(|n| millstream::Timestamp(*n as i64), Watermarks::bounded_disorder(ns(2)))
            .lookup(triples(), |n| *n)
            .unordered()
            .left();
        let windows = rows.key_by(|_| ()).window(Tumbling::of(ns(4)));
        windows.aggregate(sum(|row: &(u64, Option<u64>)| row.1.unwrap_or(0))).map(|w| w.value)
    });
    let windows = [(3, 0..4u64), (7, 4..8), (11, 8..12), (15, 12..13)];
    let want = windows.map(|(at, of)| (at, of.filter_map(triple).sum::<u64>()));
    Tester::new(steps, numbers(), want).check();
}
