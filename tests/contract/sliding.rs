//! Windows of records through the tester, what they refuse, and where their limits are.

use millstream::io::IterSource;
use millstream::{Config, Error, Pipeline, Record, Simulation, Timestamp};

use crate::support::Row;
use crate::support::sliding::{Digesting, Slid, count_windows, slid};
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
