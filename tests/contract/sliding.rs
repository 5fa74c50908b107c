//! Windows of records through the tester, what they refuse, and where their limits are.

use millstream::io::IterSource;
use millstream::{Config, Error, Pipeline, Record, Rolling, Simulation, Timestamp, ns};

use crate::support::Row;
use crate::support::sliding::{Back, Digesting, Slid, count_windows, rolling, slid};
use crate::support::tester::{Case, Tester};
use crate::support::world::{at, disordered};
use crate::{case, rows, said};

/// The results of each key in order; the time of a result is that of its record, and 0 in it.
fn check(case: impl Case<In = Row, Out = Slid>, want: Vec<Slid>) {
    assert!(!want.is_empty());
    let want =
        want.into_iter().map(|(at, key, start, end, value)| (at, (0, key, start, end, value)));
    Tester::new(case, said(&rows()), want).by(|slid| slid.1).check();
}

#[test]
fn count_window_end_to_end() {
    let steps = case!(Row => Slid, |s| {
        let keyed = s.event_time(at, disordered(4)).key_by(|row| row.key);
        keyed.count_window(4).aggregate(Digesting::<false>).map(|result| slid(0, &result))
    });
    check(steps, count_windows(&rows(), 4, 4, false));
}

#[test]
fn count_window_of_one() {
    let steps = case!(Row => Slid, |s| {
        let windows = s.key_by(|row| row.key).count_window(1).emit_incomplete();
        windows.aggregate(Digesting::<true>).map(|result| slid(0, &result))
    });
    check(steps, count_windows(&rows(), 1, 1, true));
}

#[test]
fn count_window_with_what_is_left() {
    let steps = case!(Row => Slid, |s| {
        let windows = s.key_by(|row| row.key).count_window(7).emit_incomplete();
        windows.aggregate(Digesting::<false>).map(|result| slid(0, &result))
    });
    check(steps, count_windows(&rows(), 7, 7, true));
}

#[test]
fn count_window_sliding() {
    let steps = case!(Row => Slid, |s| {
        let windows = s.key_by(|row| row.key).count_window(5).every(2).emit_incomplete();
        windows.aggregate(Digesting::<false>).map(|result| slid(0, &result))
    });
    check(steps, count_windows(&rows(), 5, 2, true));
}

#[test]
fn count_window_with_gaps() {
    let steps = case!(Row => Slid, |s| {
        let windows = s.key_by(|row| row.key).count_window(2).every(5);
        windows.aggregate(Digesting::<true>).map(|result| slid(0, &result))
    });
    check(steps, count_windows(&rows(), 2, 5, false));
}

const TIED: Back = Back::Length { length: 40, inclusive: true };

#[test]
fn rolling_back_in_time() {
    let steps = case!(Row => Slid, |s| {
        let keyed = s.event_time(at, disordered(45)).key_by(|row| row.key);
        let windows = keyed.rolling(Rolling::of(ns(40)));
        windows.aggregate(Digesting::<false>).map(|result| slid(0, &result))
    });
    check(steps, rolling(&rows(), 45, Back::Length { length: 40, inclusive: false }).0);
}

#[test]
fn rolling_with_both_bounds_in() {
    let steps = case!(Row => Slid, |s| {
        let keyed = s.event_time(at, disordered(45)).key_by(|row| row.key);
        let windows = keyed.rolling(TIED.rolling());
        windows.aggregate(Digesting::<true>).map(|result| slid(0, &result))
    });
    check(steps, rolling(&rows(), 45, TIED).0);
}

#[test]
fn rolling_over_the_last_records() {
    let steps = case!(Row => Slid, |s| {
        let keyed = s.event_time(at, disordered(45)).key_by(|row| row.key);
        let windows = keyed.rolling(Rolling::last(3));
        windows.aggregate(Digesting::<false>).map(|result| slid(0, &result))
    });
    check(steps, rolling(&rows(), 45, Back::Last(3)).0);
}

/// All records at one of few instants: everything has peers.
fn tied() -> Vec<Row> {
    rows().into_iter().map(|row| Row { at: row.at.div_euclid(60) * 60, ..row }).collect()
}

#[test]
fn rolling_where_all_times_are_shared() {
    let steps = case!(Row => Slid, |s| {
        let keyed = s.event_time(at, disordered(60)).key_by(|row| row.key % 2);
        let windows = keyed.rolling(Rolling::of(ns(120)));
        windows.aggregate(Digesting::<false>).map(|result| slid(0, &result))
    });
    let rows: Vec<Row> = tied().into_iter().map(|row| Row { key: row.key % 2, ..row }).collect();
    let (want, late) = rolling(&rows, 60, Back::Length { length: 120, inclusive: false });
    assert!(late.is_empty());
    let want =
        want.into_iter().map(|(at, key, start, end, value)| (at, (0, key, start, end, value)));
    Tester::new(steps, said(&tied()), want).by(|slid| slid.1).check();
}

/// Results of a shard come in order of time, whatever their keys.
#[test]
fn rolling_comes_in_order_of_time() {
    let steps = case!(Row => i64, |s| {
        let keyed = s.event_time(at, disordered(45)).partitioned_by(|row| row.key);
        keyed.rolling(TIED.rolling()).aggregate(Digesting::<false>).map(|result| result.span.end.0)
    });
    let mut times: Vec<i64> = rows().iter().map(|row| row.at).collect();
    times.sort();
    Tester::new(steps, said(&rows()), times.into_iter().map(|at| (at, at + 1))).check();
}

#[test]
fn rolling_with_late_records() {
    let steps = case!(Row => (bool, u64, i64), |s| {
        let keyed = s.event_time(at, disordered(3)).key_by(|row| row.key);
        let (results, late) = keyed.rolling(TIED.rolling()).aggregate_with_late(Digesting::<true>);
        let results = results.map(|window| (true, window.key, window.value.1 as i64));
        results.union(late.map(|row| (false, row.key, row.value)))
    });
    let (results, late) = rolling(&rows(), 3, TIED);
    assert!(!late.is_empty());
    let results =
        results.into_iter().map(|(at, key, _, _, value)| (at, (true, key, value.1 as i64)));
    let late = late.into_iter().map(|row| (row.at, (false, row.key, row.value)));
    let want: Vec<_> = results.chain(late).collect();
    Tester::new(steps, said(&rows()), want).by(|(ok, key, _)| 2 * key + u64::from(*ok)).check();
}

/// A run over the numbers below 1000, by their remainder.
fn refused(config: Config, windows: impl Fn(Pipeline<'_>, IterSource<Numbers>)) -> Error {
    let simulation = Simulation::with_config(config, 0);
    let outcome = simulation.run(|p| {
        let numbers: Numbers = Box::new((0..1_000).map(|n| Record::new(Timestamp(n), row(n))));
        windows(p, IterSource::new(numbers));
        Ok(())
    });
    outcome.err().expect("it is refused")
}

type Numbers = Box<dyn Iterator<Item = Record<Row>>>;

fn row(n: i64) -> Row {
    Row { at: n, key: n as u64 % 100, value: n }
}

#[test]
fn windows_of_no_records_are_refused() {
    let refuse = |size, every| {
        refused(Config::simulation(1), move |p, numbers| {
            let windows = p.source(numbers).key_by(|row| row.key).count_window(size).every(every);
            windows.aggregate(Digesting::<false>).for_each(drop);
        })
        .to_string()
    };
    let reason = "a window holds and moves on by at least one record";
    assert_eq!(refuse(0, 1), format!("count_window = 0: {reason}"));
    assert_eq!(refuse(1, 0), format!("every = 0: {reason}"));
}

#[test]
fn what_count_windows_hold_is_limited() {
    let limits = [
        (Config { records_max: 299, ..Config::simulation(1) }, "records in windows", 299),
        (Config { keys_max: 99, ..Config::simulation(1) }, "keys", 99),
    ];
    for (config, held, allowed) in limits {
        let error = refused(config, |p, numbers| {
            let windows = p.source(numbers).key_by(|row| row.key).count_window(3).every(1);
            windows.aggregate(Digesting::<false>).for_each(drop);
        });
        let Error::Limit { operator: "count_window", what, limit, .. } = error else {
            panic!("{error}")
        };
        assert_eq!((what, limit), (held, allowed));
    }
}

#[test]
fn rolling_back_to_nowhere_is_refused() {
    let refuse = |rolling: Rolling| {
        refused(Config::simulation(1), move |p, numbers| {
            let windows = p.source(numbers).key_by(|row| row.key).rolling(rolling);
            windows.aggregate(Digesting::<false>).for_each(drop);
        })
        .to_string()
    };
    let reason = "a window that ends at a record reaches back at least to that record";
    assert_eq!(refuse(Rolling::of(ns(0))), format!("rolling = 0 ns: {reason}"));
    assert_eq!(refuse(Rolling::last(0)), format!("rolling = last 0: {reason}"));
}

/// A window holds what it reaches back to, and beside it at most what waits for the watermark.
#[test]
fn what_rolling_windows_hold_is_limited() {
    let run = |records_max| {
        let config = Config { records_max, batch_max: 1, ..Config::simulation(1) };
        Simulation::with_config(config, 0).run(|p| {
            let numbers = (0..5_000).map(|n| Record::new(Timestamp(n), row(n)));
            let keyed = p.source(IterSource::new(numbers)).key_by(|row| row.key);
            keyed.rolling(Rolling::of(ns(250))).aggregate(Digesting::<false>).for_each(drop);
            Ok(())
        })
    };
    assert!(run(300).is_ok());
    let error = run(200).err().expect("there is no room for 250");
    let Error::Limit { operator: "rolling", what, setting, .. } = error else { panic!("{error}") };
    assert_eq!((what, setting), ("records in windows", "records_max"));
}
