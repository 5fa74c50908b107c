//! One tester for every operator: the same input one record at a time and all at once, embedded and
//! on simulated shards, with full queues, closed sinks and silence, must give the same output.
//! `src/testing/contract.rs` says what all of that is.

#[path = "contract/apart.rs"]
mod apart;
#[path = "contract/asof.rs"]
mod asof;
#[path = "contract/batch.rs"]
mod batch;
#[path = "contract/connect.rs"]
mod connect;
#[path = "contract/drained.rs"]
mod drained;
#[path = "contract/golden_joins.rs"]
mod golden_joins;
#[path = "contract/join_extremes.rs"]
mod join_extremes;
#[path = "contract/joins.rs"]
mod joins;
#[path = "contract/lookup.rs"]
mod lookup;
#[path = "contract/partitioning.rs"]
mod partitioning;
#[path = "contract/process.rs"]
mod process;
#[path = "contract/ranked.rs"]
mod ranked;
#[path = "contract/sessions.rs"]
mod sessions;
#[cfg(feature = "calendar")]
#[path = "contract/shapes.rs"]
mod shapes;
#[path = "contract/slides.rs"]
mod slides;
#[path = "contract/sliding.rs"]
mod sliding;
#[path = "contract/sources.rs"]
mod sources;
mod support;
#[path = "contract/table_joins.rs"]
mod table_joins;
#[path = "contract/tables.rs"]
mod tables;
#[path = "contract/time_or_count.rs"]
mod time_or_count;
#[path = "contract/triggers.rs"]
mod triggers;
#[path = "contract/window_joins.rs"]
mod window_joins;

use std::iter::repeat_n;

use millstream::aggregates::{count, sum};
use millstream::io::callback;
use millstream::{Config, Shard, Simulation, Timestamp, Tumbling, Watermarks, case, ns};

use support::model::{Answer, Value, running_sums, windows};
use support::tester::Tester;
use support::world::{all, at, disordered, fired, memory, window_of, without_order};
use support::{Cut, Fired, Open, Probe, Row, Said, Script, Seen};

/// Small numbers at times that go back now and then, with promises between them.
fn numbers() -> Vec<Said<u64>> {
    let times = [5, 6, 6, 9, 3, 12, 30, 31, 30, 44, 45, 45, 60];
    let mut said: Vec<_> = (0..).zip(times).map(|(n, at)| Said::Record(at, n)).collect();
    said.insert(5, Said::Watermark(10));
    said.insert(8, Said::Watermark(40));
    said.push(Said::Watermark(61));
    said
}

fn records<T: Clone>(said: &[Said<T>]) -> Vec<(i64, T)> {
    let record = |said: &Said<T>| match said {
        Said::Record(at, value) => Some((*at, value.clone())),
        _ => None,
    };
    said.iter().filter_map(record).collect()
}

/// Rows of some keys, out of order by up to 45.
fn rows() -> Vec<Row> {
    let row = |n: i64| Row { at: 7 * n - (n * n * 13) % 46, key: (n * n) as u64 % 5, value: n };
    (-4..56).map(row).collect()
}

fn said(rows: &[Row]) -> Vec<Said<Row>> {
    rows.iter().map(|row| Said::Record(row.at, *row)).collect()
}

#[test]
fn map() {
    let want = records(&numbers()).into_iter().map(|(at, n)| (at, n * n + 1));
    Tester::new(case!(u64 => u64, |s| s.map(|n| n * n + 1)), numbers(), want).check();
}

#[test]
fn filter() {
    let want = records(&numbers()).into_iter().filter(|(_, n)| n % 3 == 1);
    Tester::new(case!(u64 => u64, |s| s.filter(|n| n % 3 == 1)), numbers(), want).check();
    Tester::new(case!(u64 => u64, |s| s.filter(|_| false)), numbers(), []).check();
}

#[test]
fn filter_map() {
    let want = records(&numbers()).into_iter().filter(|(_, n)| n % 3 == 1);
    let want = want.map(|(at, n)| (at, n.to_string()));
    let steps = case!(u64 => String, |s| s.filter_map(|n| (n % 3 == 1).then(|| n.to_string())));
    Tester::new(steps, numbers(), want).check();
    Tester::new(case!(u64 => u64, |s| s.filter_map(|_| None)), numbers(), []).check();
}

#[test]
fn inspect() {
    let steps = case!(u64 => u64, |s| {
        let mut seen = 0;
        s.inspect(move |record| {
            assert_eq!(record.value, seen, "each record is seen once");
            seen += 1;
        })
    });
    // What the closure has counted is in no snapshot.
    Tester::new(steps, numbers(), records(&numbers())).without_restoring().check();
}

#[test]
fn flat_map_of_none_some_and_a_thousand() {
    let steps = case!(u64 => u64, |s| s.flat_map(|n| repeat_n(n, [0, 1, 2, 1000][n as usize % 4])));
    let fan = |(at, n)| repeat_n((at, n), [0, 1, 2, 1000][n as usize % 4]);
    let want: Vec<_> = records(&numbers()).into_iter().flat_map(fan).collect();
    Tester::new(steps, numbers(), want).check();
    let none = case!(u64 => u64, |s| s.flat_map(|_| None));
    Tester::new(none, numbers(), []).check();
}

#[test]
fn flat_map_of_flat_map() {
    let steps = case!(u64 => u64, |s| {
        s.flat_map(|n| (0..n).map(move |m| n * 100 + m)).filter(|n| n % 2 == 0).flat_map(|n| [n; 7])
    });
    let outer = |(at, n): (i64, u64)| (0..n).map(move |m| (at, n * 100 + m));
    let middle = records(&numbers()).into_iter().flat_map(outer).filter(|(_, n)| n % 2 == 0);
    let want: Vec<_> = middle.flat_map(|record| [record; 7]).collect();
    Tester::new(steps, numbers(), want).check();
}

#[test]
fn boxed() {
    let steps = case!(u64 => u64, |s| s.boxed().map(|n| n + 1).boxed().boxed().map(|n| n - 1));
    Tester::new(steps, numbers(), records(&numbers())).check();
}

#[test]
fn event_time_replaces_timestamps() {
    let steps = case!(u64 => u64, |s| s
        .event_time(|n| Timestamp(*n as i64 * 10), Watermarks::monotonic())
        .event_time(|n| Timestamp(*n as i64 * 100), Watermarks::bounded_disorder(ns(5))));
    let want = records(&numbers()).into_iter().map(|(_, n)| (n as i64 * 100, n));
    Tester::new(steps, numbers(), want).check();
}

/// What `flat_map` holds back is not behind the end of the input.
#[test]
fn event_time_behind_flat_map() {
    let steps = case!(u64 => u64, |s| s
        .flat_map(|n| (0..40).map(move |m| n * 40 + m))
        .event_time(|n| Timestamp(*n as i64), Watermarks::monotonic())
        .key_by(|_| 0u8)
        .window(Tumbling::of(ns(100)))
        .aggregate(count())
        .map(|window| window.value));
    let ends = (100..=500).step_by(100).map(|end| (end - 1, 100)).chain([(599, 20)]);
    Tester::new(steps, numbers(), ends).check();
}

#[test]
fn key_by_and_reduce() {
    let steps = case!(Row => (u64, i64), |s| {
        let pairs = s.map(|row| (row.key, row.value)).key_by(|pair| pair.0);
        pairs.reduce(|sum, pair| sum.1 += pair.1).map(|(key, sum)| (key, sum.1))
    });
    let want = rows().iter().map(|row| row.at).zip(running_sums(&rows())).collect::<Vec<_>>();
    Tester::new(steps, said(&rows()), want).by(|sum| sum.0).check();
}

#[test]
fn two_exchanges_keep_the_order_of_a_key() {
    let steps = case!(Row => Row, |s| {
        let once = s.key_by(|row| row.key % 3).reduce(|newest, row| *newest = row);
        let twice = once.map(|(_, row)| row).key_by(|row| (row.key, 7u8));
        twice.reduce(|newest, row| *newest = row).map(|(_, row)| row)
    });
    let want: Vec<_> = rows().iter().map(|row| (row.at, *row)).collect();
    Tester::new(steps, said(&rows()), want).by(|row| row.key).check();
}

#[test]
fn ordered() {
    let steps = case!(Row => Row, |s| {
        s.event_time(at, disordered(46)).ordered(|row| (row.key, row.value))
    });
    let mut want: Vec<_> = rows().iter().map(|row| (row.at, *row)).collect();
    want.sort_by_key(|(at, row)| (*at, row.key, row.value));
    Tester::new(steps, said(&rows()), want).check();
}

#[test]
fn what_ordered_holds_is_limited() {
    let run = |records_max| {
        let config = Config { records_max, ..Config::simulation(2) };
        Simulation::with_config(config, 0).run(|p| {
            let stream = p.source(memory(if p.shard() == 1 { &ROWS } else { &[] }));
            stream.event_time(at, disordered(100)).ordered(|row| row.key).for_each(drop);
            Ok(())
        })
    };
    const ROWS: [Row; 5] = [Row { at: 1, key: 1, value: 1 }; 5];
    assert!(run(5).is_ok());
    let error = run(4).err().expect("four fit and five do not").to_string();
    let want = "ordered: 4 records that wait for the watermark is the limit; raise `records_max`";
    assert!(error.starts_with(want), "{error}");
}

fn results(answer: Answer) -> Vec<(i64, Fired)> {
    answer.fired.into_iter().map(|fired| (fired.end - 1, fired)).collect()
}

const TUMBLING: Cut = Cut { size: 20, slide: 20, offset: 3, lateness: 0 };
const SLIDING: Cut = Cut { size: 30, slide: 12, offset: 0, lateness: 0 };
const LATENESS: Cut = Cut { size: 20, slide: 10, offset: 5, lateness: 15 };
const OVERLAPPING: Cut = Cut { size: 60, slide: 1, offset: 0, lateness: 9 };

/// Windows under these cuts and disorders; with a disorder below 45 some records are late.
macro_rules! window_cases {
    ($($name:ident: $cut:expr, $disorder:expr;)*) => {$(
        #[test]
        fn $name() {
            let steps = case!(Row => Fired, |s| {
                let keyed = s.event_time(at, disordered($disorder)).key_by(|row| row.key);
                let lateness = ns($cut.lateness as u64);
                let windows = keyed.window(window_of($cut)).allowed_lateness(lateness);
                windows.aggregate(all()).map(fired)
            });
            let want = results(windows(&rows(), $cut, $disorder));
            Tester::new(steps, said(&rows()), want).by(|result| result.key).check();
        }
    )*};
}

window_cases! {
    window_tumbling: TUMBLING, 46;
    window_tumbling_with_late_records: TUMBLING, 4;
    window_sliding: SLIDING, 46;
    window_sliding_with_late_records: SLIDING, 0;
    window_with_lateness: LATENESS, 2;
    window_of_many_slices: OVERLAPPING, 5;
}

#[test]
fn window_results_in_order() {
    let steps = case!(Row => Fired, |s| {
        let keyed = s.event_time(at, disordered(10)).key_by(|row| row.key);
        let windows = keyed.window(window_of(SLIDING)).aggregate(all());
        windows.ordered(|result| result.key).map(fired)
    });
    Tester::new(steps, said(&rows()), results(windows(&rows(), SLIDING, 10))).check();
}

#[test]
fn late_output() {
    let steps = case!(Row => (bool, u64, i64), |s| {
        let keyed = s.event_time(at, disordered(3)).key_by(|row| row.key);
        let windows = keyed.window(window_of(LATENESS)).allowed_lateness(ns(15));
        let (results, late) = windows.aggregate_with_late(sum(|row: &Row| row.value));
        let results = results.map(|window| (true, window.key, window.value));
        results.union(late.map(|row| (false, row.key, row.value)))
    });
    let answer = windows(&rows(), LATENESS, 3);
    assert!(!answer.late.is_empty());
    let fired = answer.fired.iter().map(|f| (f.end - 1, (true, f.key, f.value.1)));
    let late = answer.late.iter().map(|row| (row.at, (false, row.key, row.value)));
    let want: Vec<_> = fired.chain(late).collect();
    Tester::new(steps, said(&rows()), want).by(|(ok, key, _)| 2 * key + u64::from(*ok)).check();
}

#[test]
fn precombined() {
    let steps = case!(Row => Fired, |s| {
        let keyed = s.event_time(at, disordered(5)).key_by(|row| row.key);
        let windows = keyed.window(window_of(SLIDING)).precombine();
        windows.aggregate(all()).map(without_order).map(fired)
    });
    let answer = windows(&rows(), SLIDING, 5);
    assert!(!answer.late.is_empty());
    let want = results(answer).into_iter().map(|(at, result)| (at, result.without_order()));
    Tester::new(steps, said(&rows()), want).by(|result| result.key).check();
}

#[test]
fn window_after_window() {
    let steps = case!(Row => (i64, u64), |s| {
        let keyed = s.event_time(at, disordered(46)).key_by(|row| row.key);
        let counts = keyed.window(window_of(TUMBLING)).aggregate(count());
        let all = counts.key_by(|_| ()).window(window_of(TUMBLING));
        let total = all.aggregate(sum(|window: &millstream::Windowed<u64, u64>| window.value));
        total.map(|window| (window.span.end.0, window.value))
    });
    let one_key: Vec<Row> = rows().into_iter().map(|row| Row { key: 0, ..row }).collect();
    let answer = windows(&one_key, TUMBLING, 46);
    let want = answer.fired.iter().map(|f| (f.end - 1, (f.end, f.value.0)));
    Tester::new(steps, said(&rows()), want.collect::<Vec<_>>()).check();
}

/// Windows close by the promise of a source too.
#[test]
fn windows_on_the_times_of_the_source() {
    let steps = case!(u64 => (i64, u64), |s| {
        let windows = s.key_by(|_| 0u8).window(Tumbling::of(ns(10))).aggregate(sum(|n: &u64| *n));
        windows.map(|window| (window.span.end.0, window.value))
    });
    let want = [(10, 10), (20, 5), (40, 6), (50, 30), (70, 12)];
    Tester::new(steps, numbers(), want.map(|(end, sum)| (end - 1, (end, sum)))).check();
}

/// The watermarks that reach a sink when each of these is said and done.
fn watermarks_of<W>(watermarks: Watermarks<W>, said: &[i64]) -> Vec<i64>
where
    W: millstream::time::WatermarkStrategy<i64>,
{
    let seen = Seen::new();
    let config = Config { batch_max: 1, ..Config::embedded() };
    let (mut shard, ()) = Shard::embed(config, |p| {
        let script = Script::new(said.iter().map(|at| Said::Record(0, *at)));
        let stream = p.source(script).event_time(|at| Timestamp(at.abs()), watermarks);
        stream.sink(Probe::new(&seen, Open::Always, 1));
        Ok(())
    })
    .unwrap();
    (0..100).for_each(|now| _ = shard.step(Timestamp(now)));
    assert!(shard.is_done());
    seen.borrow().check_over();
    seen.borrow().watermarks.iter().map(|(_, at)| *at).collect()
}

#[test]
fn watermark_strategies() {
    // The last record comes with the end of the input, and that is no watermark to a sink.
    assert_eq!(watermarks_of(Watermarks::monotonic(), &[5, 7, 7, 6, 9, 9, 8, 20]), [5, 7, 9]);
    assert_eq!(watermarks_of(Watermarks::bounded_disorder(ns(3)), &[5, 7, 6, 20, 1]), [2, 4, 17]);
    let wary = Watermarks::monotonic().jump_at_most(ns(10));
    assert_eq!(watermarks_of(wary, &[5, 900, 7, 6, 800, 17, 9]), [5, 7, 17]);
    let marks = Watermarks::punctuated(|at: &i64| (*at < 0).then_some(Timestamp(-at)));
    assert_eq!(watermarks_of(marks, &[5, 7, -7, 3, -6, 9, -8, 20]), [7, 8]);
}

/// Two partitions, of which the second falls silent at once and for ever: without it the first
/// moves the watermark on, and the stream does not end before the silent one does.
#[test]
fn idle_after() {
    let seen = Seen::new();
    let first = (0..40).flat_map(|n| [Said::Record(0, n * 10), Said::Silence(10)]);
    let second = [Said::Record(0, 1), Said::Silence(u32::MAX)];
    let scripts = [first.collect::<Vec<_>>(), second.to_vec()];
    let (mut shard, ()) = Shard::embed(Config { batch_max: 1, ..Config::embedded() }, |p| {
        let watermarks = Watermarks::monotonic().idle_after(ns(200_000));
        let stream =
            p.source(Script::partitions(scripts)).event_time(|n| Timestamp(*n), watermarks);
        stream.sink(Probe::new(&seen, Open::Always, 1));
        Ok(())
    })
    .unwrap();
    let watermark = || seen.borrow().watermarks.last().map(|(_, at)| *at);
    let mut run = |steps| (0..steps).for_each(|now| _ = shard.step(Timestamp(now * 1_000)));
    run(100);
    assert_eq!(watermark(), Some(1), "not silent for long enough yet");
    run(500);
    assert!(watermark().is_some_and(|at| at > 100), "without the silent one: {:?}", watermark());
    run(2_000);
    assert_eq!(seen.borrow().records.len(), 41);
    assert_eq!(seen.borrow().ended, 0, "the silent one has not ended");
}

/// An event-time step behind another has the same partitions to deal with.
#[test]
fn event_time_twice_on_two_partitions() {
    let seen = Seen::new();
    let part = |from: i64| (from..from + 50).map(|n| Said::Record(0, n)).collect::<Vec<_>>();
    let (mut shard, ()) = Shard::embed(Config { batch_max: 3, ..Config::embedded() }, |p| {
        let stream = p.source(Script::partitions([part(0), part(1_000)]));
        stream
            .event_time(|n| Timestamp(*n), Watermarks::monotonic())
            .flat_map(|n| [n, n])
            .event_time(|n| Timestamp(*n), Watermarks::monotonic())
            .sink(Probe::new(&seen, Open::Always, 3));
        Ok(())
    })
    .unwrap();
    (0..200).for_each(|now| _ = shard.step(Timestamp(now)));
    assert!(shard.is_done());
    seen.borrow().check_over();
    assert_eq!(seen.borrow().records.len(), 200);
    let ahead = seen.borrow().watermarks.iter().map(|(_, at)| *at).max();
    assert!(ahead.is_none_or(|at| at <= 1_049), "{ahead:?}");
}

/// What a window emits is of no partition, whatever a source of the same shard was asked last.
#[test]
fn event_time_behind_a_window() {
    let seen = Seen::new();
    let part = |from: i64| (from..from + 50).map(|n| Said::Record(n, n)).collect::<Vec<_>>();
    let config = Config { batch_max: 3, fire_max: 1, ..Config::embedded() };
    let (mut shard, ()) = Shard::embed(config, |p| {
        let stream = p.source(Script::partitions([part(0), part(20), part(40)]));
        let windows = stream.key_by(|n| *n).window(Tumbling::of(ns(10))).aggregate(count());
        windows
            .map(|window| window.key)
            .event_time(|key| Timestamp(*key), Watermarks::bounded_disorder(ns(10)))
            .sink(Probe::new(&seen, Open::Always, 3));
        let none = p.source(Script::<i64>::empty());
        none.event_time(|n| Timestamp(*n), Watermarks::monotonic()).for_each(drop);
        Ok(())
    })
    .unwrap();
    (0..2_000).for_each(|now| _ = shard.step(Timestamp(now)));
    assert!(shard.is_done());
    seen.borrow().check_over();
    assert_eq!(seen.borrow().records.len(), 90);
    let behind = seen.borrow().watermarks.iter().all(|(_, at)| *at < 90);
    assert!(behind, "{:?}", seen.borrow().watermarks);
}

/// An input's promise closes windows while nothing is pushed.
#[test]
fn a_promise_closes_windows() {
    let (mut shard, (mut input, mut output)) = Shard::embed(Config::embedded(), |p| {
        let (input, stream) = p.input::<u64>();
        let windows = stream.key_by(|n| n % 2).window(Tumbling::of(ns(10)));
        Ok((input, windows.aggregate(count()).output()))
    })
    .unwrap();
    for n in 0..6 {
        input.push(Timestamp(n as i64), n).unwrap();
    }
    let mut now = 0;
    let mut rest = |shard: &mut Shard| {
        while !shard.step(Timestamp(now)).is_none() {
            now += 1;
        }
    };
    rest(&mut shard);
    assert!(output.pop().is_none());
    input.advance_to(Timestamp(9));
    rest(&mut shard);
    assert!(output.pop().is_none());
    input.advance_to(Timestamp(10));
    rest(&mut shard);
    let counts = [output.pop(), output.pop()].map(|window| window.map(|w| w.value.value));
    assert_eq!((counts, output.pop().is_none()), ([Some(3), Some(3)], true));
    input.close();
    rest(&mut shard);
    assert!(shard.is_done());
}

/// A sink hears of batches, watermarks and the end, in order.
#[test]
fn a_sink_is_told_everything() {
    let seen = Seen::new();
    let (mut shard, ()) = Shard::embed(Config { batch_max: 2, ..Config::embedded() }, |p| {
        let script = p.source(Script::new(numbers())).inspect(|_| ());
        script.sink(Probe::new(&seen, Open::Always, 2));
        p.source(Script::new(numbers())).for_each(|record| assert!(record.value < 13));
        p.source(Script::new(numbers())).sink(callback(drop));
        Ok(())
    })
    .unwrap();
    (0..100).for_each(|now| _ = shard.step(Timestamp(now)));
    let seen = seen.borrow();
    seen.check_over();
    assert_eq!(seen.records, records(&numbers()));
    let watermarks: Vec<_> = seen.watermarks.iter().map(|(_, at)| *at).collect();
    assert_eq!(watermarks, [6, 9, 10, 30, 40, 45, 60]);
    let _: Option<Value> = None;
}
