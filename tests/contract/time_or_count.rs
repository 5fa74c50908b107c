//! Windows by time or count in every way in which records may come, and what is refused.

use millstream::aggregates::count;
use millstream::{Config, Record, Shard, Timestamp, Timing, Windowed, ns};

use super::support::Row;
use super::support::sliding::{Digesting, Slid, slid};
use super::support::tester::{Case, Tester};
use super::support::time_or_count::time_or_count;
use super::support::world::{at, disordered};
use super::{case, rows, said};

/// The results of each key in order; the time of a result is that of its record, and 0 in it.
fn check(case: impl Case<In = Row, Out = Slid>, (want, late): (Vec<Slid>, Vec<Row>)) {
    assert!(!want.is_empty() && late.is_empty());
    let want =
        want.into_iter().map(|(at, key, start, end, value)| (at, (0, key, start, end, value)));
    Tester::new(case, said(&rows()), want).by(|slid| slid.1).check();
}

/// What the records of a window come to, as the digest does.
fn digest_of<'a>(records: impl Iterator<Item = &'a Record<Row>>) -> (u64, u64) {
    let rows: Vec<Row> = records.map(|record| record.value).collect();
    super::support::sliding::digest(&rows)
}

macro_rules! cases {
    ($($name:ident: $after:expr, $records:expr, $disorder:expr;)*) => {$(
        #[test]
        fn $name() {
            let steps = case!(Row => Slid, |s| {
                let keyed = s.event_time(at, disordered($disorder)).key_by(|row| row.key);
                let windows = keyed.time_or_count(ns($after), $records);
                windows.aggregate(Digesting::<false>).map(|result| slid(0, &result))
            });
            check(steps, time_or_count(&rows(), $disorder, $after, $records));
        }
    )*};
}

cases! {
    time_or_count_by_both: 90, 3, 46;
    time_or_count_by_time: 50, 1_000, 46;
    time_or_count_by_count: 1_000_000, 4, 46;
    time_or_count_of_one: 10, 1, 46;
    time_or_count_of_an_instant: 1, 2, 46;
    time_or_count_behind_the_watermark: 60, 3, 5;
}

#[test]
fn time_or_count_with_its_records() {
    let steps = case!(Row => Slid, |s| {
        let keyed = s.event_time(at, disordered(46)).key_by(|row| row.key);
        let windows = keyed.time_or_count(ns(120), 4);
        windows.apply(|_, _, records| digest_of(records)).map(|result| slid(0, &result))
    });
    check(steps, time_or_count(&rows(), 46, 120, 4));
}

/// Aggregated and with their records, the same is late.
#[test]
fn time_or_count_with_late_records() {
    let aggregated = case!(Row => (bool, u64, i64), |s| {
        let keyed = s.event_time(at, disordered(0)).key_by(|row| row.key);
        let (results, late) = keyed.time_or_count(ns(9), 3).aggregate_with_late(count());
        let results = results.map(|window| (true, window.key, window.value as i64));
        results.union(late.map(|row| (false, row.key, row.value)))
    });
    let applied = case!(Row => (bool, u64, i64), |s| {
        let keyed = s.event_time(at, disordered(0)).key_by(|row| row.key);
        let windows = keyed.time_or_count(ns(9), 3);
        let (results, late) = windows.apply_with_late(|_, _, records| records.len() as i64);
        let results = results.map(|window| (true, window.key, window.value));
        results.union(late.map(|row| (false, row.key, row.value)))
    });
    let (results, late) = time_or_count(&rows(), 0, 9, 3);
    assert!(late.len() > 3, "{late:?}");
    let results = results.into_iter().map(|(at, key, _, _, (n, _))| (at, (true, key, n as i64)));
    let late = late.into_iter().map(|row| (row.at, (false, row.key, row.value)));
    let want: Vec<_> = results.chain(late).collect();
    let lane = |(ok, key, _): &(bool, u64, i64)| 2 * key + u64::from(*ok);
    Tester::new(aggregated, said(&rows()), want.clone()).by(lane).check();
    Tester::new(applied, said(&rows()), want).by(lane).check();
}

/// Windows behind windows hear of them in time.
#[test]
fn time_or_count_of_time_or_count() {
    let steps = case!(Row => (i64, i64, u64), |s| {
        let keyed = s.event_time(at, disordered(46)).key_by(|_| ());
        let threes = keyed.time_or_count(ns(90), 3).aggregate(count());
        let nines = threes.key_by(|_| 0u8).time_or_count(ns(10_000), 3);
        let nines = nines.apply(|_, _, threes| threes.map(|three| three.value.value).sum::<u64>());
        nines.map(|window| (window.span.start.0, window.span.end.0, window.value))
    });
    let alone: Vec<Row> = rows().into_iter().map(|row| Row { key: 0, ..row }).collect();
    let threes = time_or_count(&alone, 46, 90, 3).0;
    let nines = threes.chunks(3).map(|threes| {
        let times = || threes.iter().map(|three| three.0);
        let (start, latest) = (times().min().unwrap(), times().max().unwrap());
        let total = threes.iter().map(|three| three.4.0).sum::<u64>();
        // The last one may be over before it is full.
        let end = if threes.len() == 3 { latest + 1 } else { threes[0].0 + 10_000 };
        (end - 1, (start, end, total))
    });
    Tester::new(steps, said(&rows()), nines.collect::<Vec<_>>()).check();
}

/// Pushes records of a key, or promises (negative: so far, and no record); returns the counts with
/// their spans, how many keys are held at last, and what was wrong.
fn counted(
    config: Config,
    after: u64,
    records: u32,
    said: &[i64],
) -> (Vec<(i64, i64, u64)>, usize, String) {
    let (mut shard, (mut input, mut output)) = Shard::embed(config, |p| {
        let (input, stream) = p.input::<u64>();
        let windows = stream.key_by(|key| *key).time_or_count(ns(after), records);
        Ok((input, windows.aggregate(count()).output()))
    })
    .unwrap();
    for (n, &at) in said.iter().enumerate() {
        match at {
            0.. => input.push(Timestamp(at), n as u64 / 100).unwrap(),
            _ => input.advance_to(Timestamp(-at)),
        }
        (0..9).for_each(|now| _ = shard.step(Timestamp(now)));
    }
    let keys = shard.counters().get(millstream::metrics::Counter::Keys) as usize;
    let failure = shard.failure().map(ToString::to_string).unwrap_or_default();
    let window = |Record { at, value }: Record<Windowed<u64, u64>>| {
        assert_eq!((value.timing, at), (Timing::OnTime, value.span.end.offset(-1)));
        (value.span.start.0, value.span.end.0, value.value)
    };
    (std::iter::from_fn(|| output.pop()).map(window).collect(), keys, failure)
}

/// The worked example: full, over by the next record, over by the watermark, and anew each time.
#[test]
fn time_and_number_begin_anew() {
    let said = [10, 12, 19, 20, 29, 30, 31, -39, -40, 41, -50, -51];
    let (windows, keys, failure) = counted(Config::embedded(), 10, 3, &said);
    assert_eq!(windows, [(10, 20, 3), (20, 30, 2), (30, 40, 2), (41, 51, 1)]);
    assert_eq!((keys, failure.as_str()), (0, ""));
}

/// An older record moves the start and not the end; one that is not before the end opens the next.
#[test]
fn older_records_join() {
    let (windows, _, _) = counted(Config::embedded(), 10, 9, &[100, 95, 109, 104, 110, 99, -130]);
    assert_eq!(windows, [(95, 110, 4), (99, 120, 2)]);
    // One that opens a window ends it when its own time is over, which may be sooner than that of
    // a window that was full.
    let (windows, ..) = counted(Config::embedded(), 10, 2, &[100, 101, 95, -104]);
    assert_eq!(windows, [(100, 102, 2)]);
    let (windows, ..) = counted(Config::embedded(), 10, 2, &[100, 101, 95, -105]);
    assert_eq!(windows, [(100, 102, 2), (95, 105, 1)]);
}

/// Full windows give back their keys once their own time is over, and no place in memory grows.
#[test]
fn a_key_is_held_until_its_time_is_over() {
    let (windows, keys, _) = counted(Config::embedded(), 10, 2, &[0, 1, 2, 3, 4, 5, -9]);
    assert_eq!((windows.len(), keys), (3, 1));
    let (windows, keys, _) = counted(Config::embedded(), 10, 2, &[0, 1, 2, 3, 4, 5, -10]);
    assert_eq!((windows.len(), keys), (3, 0));
    assert_eq!(counted(Config::embedded(), 10, 1, &[0, 1, 2]).1, 0);
}

#[test]
fn what_time_or_count_holds_is_limited() {
    let times: Vec<i64> = (0..300).collect();
    let config = Config { keys_max: 2, ..Config::embedded() };
    let (.., failure) = counted(config.clone(), 1_000, 5, &times);
    let said = "time_or_count: 2 keys is the limit; raise `keys_max`";
    assert!(failure.starts_with(said), "{failure}");
    assert_eq!(counted(config, 100, 5, &times).2, "");
}

#[test]
fn records_of_time_or_count_are_limited() {
    let config = Config { records_max: 7, ..Config::embedded() };
    let (mut shard, (mut input, _output)) = Shard::embed(config, |p| {
        let (input, stream) = p.input::<u64>();
        let windows = stream.key_by(|key| *key).time_or_count(ns(1_000), 4);
        Ok((input, windows.apply(|_, _, records| records.len()).output()))
    })
    .unwrap();
    for n in 0..8 {
        assert!(shard.failure().is_none());
        input.push(Timestamp(n), n as u64 % 3).unwrap();
        shard.step(Timestamp(0));
    }
    let failure = shard.failure().map(ToString::to_string).unwrap_or_default();
    let said = "time_or_count: 7 records in windows is the limit; raise `records_max`";
    assert!(failure.starts_with(said), "{failure}");
}

#[test]
fn impossible_windows_by_time_or_count_are_refused() {
    let refused = |after, records| {
        let built = Shard::embed(Config::embedded(), |p| {
            let (input, stream) = p.input::<u64>();
            let windows = stream.key_by(|n| *n).time_or_count(ns(after), records);
            Ok((input, windows.aggregate(count()).output()))
        });
        built.map(|_| ()).unwrap_err().to_string()
    };
    assert_eq!(refused(0, 1), "time_or_count = 0 ns: a window needs a length");
    assert_eq!(refused(1, 0), "time_or_count = 0: a window holds at least one record");
}

/// At the end of time a window holds its last instant too.
#[test]
fn the_end_of_time_is_in_a_window() {
    let last = i64::MAX;
    let (windows, ..) = counted(Config::embedded(), 10, 3, &[last - 3, last - 1, last, last]);
    assert_eq!(windows, [(last - 3, last, 3)]);
}
