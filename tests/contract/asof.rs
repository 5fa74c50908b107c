//! As-of joins in every way in which records may come.

use millstream::join::{Bound, Rights, after, before, same_time};
use millstream::{Config, Shard, ns};

use super::support::asof::{Around, AsOf, Direction, answers, around};
use super::support::joins::is_left;
use super::support::model::{Row, watermarks};
use super::support::tester::Tester;
use super::support::world::{at, disordered};
use super::{Said, case, memory, rows, said};

/// The number of a left record and of what it found; 1000 for nothing.
type Found = (i64, i64);

fn numbers((left, right): (Row, Option<Row>)) -> Found {
    (left.value, right.map_or(1000, |right| right.value))
}

/// As-of joins of both halves of one stream; with a disorder below 45 some records are late.
macro_rules! asof_cases {
    ($($name:ident: $direction:ident, $strict:expr, $tolerance:expr, $lateness:expr,
        $disorder:expr, |$join:ident| $built:expr;)*) => {$(
        #[test]
        fn $name() {
            let steps = case!(Row => Found, |s| {
                let (left, right) = s.event_time(at, disordered($disorder)).split(is_left);
                let right = right.key_by(|row| row.key);
                let $join = left.key_by(|row| row.key).asof_join(right);
                let join = $built.allowed_lateness(ns($lateness));
                let answers = join.select_left(|l, r| (*l, r.copied()));
                // By the time of the left record, which is not always that of the answer.
                let answers = answers.map(numbers);
                answers.event_time(|_| millstream::Timestamp(0), disordered(0))
            });
            let direction = Direction::$direction;
            let (strict, tolerance, lateness) = ($strict, $tolerance, $lateness);
            let asof = AsOf { direction, strict, tolerance, lateness };
            let (want, _) = answers(&rows(), &watermarks(&rows(), $disorder), asof);
            assert!(want.iter().filter(|answer| answer.1.is_some()).count() > 5);
            let want: Vec<_> = want.into_iter().map(|answer| (0, numbers(answer))).collect();
            Tester::new(steps, said(&rows()), want).by(|found| found.0 as u64).check();
        }
    )*};
}

asof_cases! {
    backward: Backward, false, None, 0, 46, |join| join;
    backward_with_late_records: Backward, false, None, 0, 4, |join| join;
    backward_with_lateness: Backward, false, None, 30, 4, |join| join;
    backward_strict: Backward, true, None, 0, 46, |join| join.strict();
    backward_near: Backward, false, Some(12), 0, 46, |join| join.tolerance(ns(12));
    forward: Forward, false, None, 0, 46, |join| join.forward();
    forward_near: Forward, false, Some(20), 3, 9, |join| join.forward().tolerance(ns(20));
    forward_strict: Forward, true, None, 0, 46, |join| join.forward().strict();
    nearest: Nearest, false, None, 0, 46, |join| join.nearest();
    nearest_near: Nearest, false, Some(9), 0, 46, |join| join.nearest().tolerance(ns(9));
    nearest_strict: Nearest, true, Some(50), 7, 9,
        |join| join.nearest().strict().tolerance(ns(50));
}

/// A version of every third value says that the row is gone.
#[test]
fn temporal_join() {
    let steps = case!(Row => Found, |s| {
        let (left, versions) = s.event_time(at, disordered(9)).split(is_left);
        let versions = versions.key_by(|row| row.key);
        let join = left.key_by(|row| row.key).temporal_join(versions, |row| row.value % 3 == 0);
        let answers = join.allowed_lateness(ns(20)).select_left(|l, r| (*l, r.copied()));
        answers.map(numbers).event_time(|_| millstream::Timestamp(0), disordered(0))
    });
    let backward =
        AsOf { direction: Direction::Backward, strict: false, tolerance: None, lateness: 20 };
    let (want, _) = answers(&rows(), &watermarks(&rows(), 9), backward);
    let row = |(left, version): (Row, Option<Row>)| {
        numbers((left, version.filter(|version| version.value % 3 != 0)))
    };
    let want: Vec<_> = want.into_iter().map(|answer| (0, row(answer))).collect();
    assert!(want.iter().filter(|found| found.1.1 < 1000).count() > 5, "some rows are there");
    Tester::new(steps, said(&rows()), want).by(|found| found.0 as u64).check();
}

/// The control stream is one for all keys and shards.
#[test]
fn broadcast_state() {
    let steps = case!(Row => Found, |s| {
        let (left, control) = s.event_time(at, disordered(46)).split(is_left);
        let answers = left.with_broadcast(control).select_left(|l, r| (*l, r.copied()));
        answers.map(numbers).event_time(|_| millstream::Timestamp(0), disordered(0))
    });
    let backward =
        AsOf { direction: Direction::Backward, strict: false, tolerance: None, lateness: 0 };
    let alike: Vec<Row> = rows().iter().map(|row| Row { key: 0, ..*row }).collect();
    let (want, _) = answers(&alike, &watermarks(&alike, 46), backward);
    let want: Vec<_> = want.into_iter().map(|answer| (0, numbers(answer))).collect();
    assert!(want.iter().filter(|found| found.1.1 < 1000).count() > 5);
    Tester::new(steps, said(&rows()), want).by(|found| found.0 as u64).check();
}

/// Quotes and trades as in kdb+'s `aj`: the last of equal times counts, one at the very time too.
#[test]
fn ties_are_those_of_aj() {
    let steps = case!((char, i64) => (i64, i64), |s| {
        let (trades, quotes) = s.split(|row: &(char, i64)| row.0 == 't');
        let join = trades.key_by(|_| ()).asof_join(quotes.key_by(|_| ()));
        join.select(|trade, quote| (trade.1, quote.1))
    });
    let rows = [(1, 't', 0), (2, 'q', 10), (2, 'q', 11), (2, 't', 1), (2, 'q', 12), (5, 't', 2)];
    let said = rows.map(|(at, kind, value)| Said::Record(at, (kind, value)));
    // The trade of time 2 gets the quote that arrived after it, since that has the same time.
    Tester::new(steps, said, [(2, (1, 12)), (5, (2, 12))]).check();
}

/// Windows around records, whose bounds lie behind, around and ahead of them.
macro_rules! around_cases {
    ($($name:ident: ($from:expr, $from_ns:expr), ($to:expr, $to_ns:expr), $lateness:expr,
        $disorder:expr, $prevailing:expr,
        |$windows:ident| $built:expr;)*) => {$(
        #[test]
        fn $name() {
            let steps = case!(Row => Around, |s| {
                let (left, right) = s.event_time(at, disordered($disorder)).split(is_left);
                let (left, right) = (left.key_by(|row| row.key), right.key_by(|row| row.key));
                let $windows = left.window_around(right).between($from, $to);
                let windows = $built.allowed_lateness(ns($lateness));
                let values = |rights: Rights<'_, Row>| rights.map(|r| r.value.value).collect();
                windows.apply(move |left, rights| (*left, values(rights)))
            });
            let bounds = [$from_ns, $to_ns, $lateness];
            let want = around(&rows(), &watermarks(&rows(), $disorder), bounds, $prevailing);
            assert!(want.iter().filter(|window| !window.1.is_empty()).count() > 3, "{want:?}");
            let want: Vec<_> = want.into_iter().map(|window| (window.0.at, window)).collect();
            Tester::new(steps, said(&rows()), want).by(|window| window.0.value as u64).check();
        }
    )*};
}

around_cases! {
    window_around: (before(ns(20)), -20), (after(ns(30)), 30), 0, 46, false, |windows| windows;
    window_before: (before(ns(40)), -40), (same_time(), 0), 5, 3, false, |windows| windows;
    window_before_and_in_force: (before(ns(30)), -30), (same_time(), 0), 0, 46, true,
        |windows| windows.prevailing();
    window_behind: (before(ns(60)), -60), (before(ns(9)), -9), 0, 46, true,
        |windows| windows.prevailing();
    window_ahead: (after(ns(5)), 5), (after(ns(50)), 50), 0, 7, false, |windows| windows;
}

#[test]
fn what_is_kept_for_ever_is_warned_of() {
    let warnings = |near: bool| {
        let (shard, ()) = Shard::embed(Config::embedded(), |p| {
            let (left, right) = p.source(memory(&rows())).split(is_left);
            let join = left.key_by(|row| row.key).asof_join(right.key_by(|row| row.key));
            let join = if near { join.tolerance(ns(1)) } else { join };
            join.select(|l, r| l.value + r.value).for_each(drop);
            Ok(())
        })
        .unwrap();
        shard.plan().warnings().to_vec()
    };
    assert!(warnings(true).is_empty());
    assert!(warnings(false)[0].contains("the latest right record of each key is kept for ever"));
}

#[test]
fn windows_around_that_keep_everything_are_warned_of() {
    let warnings = |from: Bound, is_prevailing: bool| {
        let (shard, ()) = Shard::embed(Config::embedded(), |p| {
            let (left, right) = p.source(memory(&rows())).split(is_left);
            let windows = left.key_by(|row| row.key).window_around(right.key_by(|row| row.key));
            let windows = windows.between(from, same_time());
            let windows = if is_prevailing { windows.prevailing() } else { windows };
            windows.apply(|_, around| around.count()).for_each(drop);
            Ok(())
        })
        .unwrap();
        shard.plan().warnings().to_vec()
    };
    assert!(warnings(before(ns(5)), false).is_empty());
    let latest = warnings(before(ns(5)), true);
    assert!(latest[0].contains("the latest right record of each key is kept for ever"));
    let all = warnings(before(std::time::Duration::MAX), false);
    assert!(all[0].contains("records are kept for ever, since the interval has no end"));
    assert_eq!((latest.len(), all.len()), (1, 1));
}
