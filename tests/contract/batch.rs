//! Batches in every way in which records may come, by number and by the clock, and what is refused.

use std::time::Duration;

use millstream::operators::Batched;
use millstream::{Config, Input, Output, Record, Shard, Timestamp, Tumbling, case, ns, secs};

use super::support::Row;
use super::support::batch::{Mode, batches};
use super::support::tester::Tester;
use super::support::world::{at, disordered};
use super::{rows, said};

/// Longer than any run of the tester.
const LONG: Duration = secs(1_000_000);

/// What is in a batch, as it is compared: a table in no order of its own is sorted.
fn told(mode: Mode, batch: &Batched<Row>) -> Vec<Row> {
    let mut rows: Vec<Row> = batch.iter().map(|record| record.value).collect();
    if mode == Mode::Complete {
        rows.sort();
    }
    rows
}

macro_rules! cases {
    ($($name:ident: $records:expr, $mode:ident;)*) => {$(
        #[test]
        fn $name() {
            let steps = case!(Row => Vec<Row>, |s| {
                let batches = s.event_time(at, disordered(46)).batch($records, LONG);
                cases!(@$mode batches).map(|batch| told(Mode::$mode, &batch))
            });
            let want = batches(&rows(), $records, Mode::$mode);
            Tester::new(steps, said(&rows()), want).check();
        }
    )*};
    (@Append $batches:ident) => { $batches.append() };
    (@Update $batches:ident) => { $batches.update(|row| row.key) };
    (@Complete $batches:ident) => { $batches.complete(|row| row.key) };
}

cases! {
    batch_of_all_that_comes: 7, Append;
    batch_of_one: 1, Append;
    batch_of_more_than_there_is: 1_000, Append;
    batch_of_what_has_changed: 9, Update;
    batch_of_one_that_has_changed: 1, Update;
    batch_of_what_is_new_at_the_end: 500, Update;
    batch_of_all_there_is: 7, Complete;
    batch_of_all_there_is_for_every_record: 1, Complete;
    batch_of_all_there_was: 400, Complete;
}

/// The watermark waits with the records of a batch, so windows behind it lose nothing.
#[test]
fn windows_behind_batches() {
    let steps = case!(Row => u64, |s| {
        let ordered = s.event_time(at, disordered(46)).ordered(|row| row.key);
        let batches = ordered.batch(4, LONG).append().map(|batch| batch.len() as u64);
        let windows = batches.window_all(Tumbling::of(ns(50)));
        windows.fold(0, |total: &mut u64, len| *total += len).map(|window| window.value)
    });
    let mut rows_ = rows();
    rows_.sort_by_key(|row| (row.at, row.key));
    let mut want: Vec<(i64, u64)> = Vec::new();
    for batch in rows_.chunks(4) {
        let latest = batch.iter().map(|row| row.at).max().unwrap();
        let end = latest.div_euclid(50) * 50 + 49;
        match want.last_mut().filter(|(at, _)| *at == end) {
            Some((_, total)) => *total += batch.len() as u64,
            None => want.push((end, batch.len() as u64)),
        }
    }
    Tester::new(steps, said(&rows()), want).check();
}

/// Batches of at most 5 of what is pushed, or of what came in 100 ns, by hand.
struct ByHand {
    shard: Shard,
    input: Input<u64>,
    output: Output<Vec<u64>>,
}

impl ByHand {
    fn new(wait: u64) -> Self {
        let (shard, (input, output)) = Shard::embed(Config::embedded(), |p| {
            let (input, stream) = p.input::<u64>();
            let batches = stream.batch(5, ns(wait)).append();
            let batches = batches.map(|batch| batch.iter().map(|record| record.value).collect());
            Ok((input, batches.output()))
        })
        .unwrap();
        Self { shard, input, output }
    }

    /// Pushes and steps once; returns the batches that came out.
    fn step(&mut self, now: i64, numbers: &[u64]) -> Vec<Vec<u64>> {
        numbers.iter().for_each(|n| self.input.push(Timestamp(0), *n).unwrap());
        self.shard.step(Timestamp(now));
        std::iter::from_fn(|| self.output.pop()).map(|batch| batch.value).collect()
    }
}

#[test]
fn the_clock_ends_a_batch() {
    let mut batches = ByHand::new(100);
    let none: [Vec<u64>; 0] = [];
    assert_eq!(batches.step(0, &[1]), none);
    assert_eq!(batches.step(99, &[2]), none);
    assert_eq!(batches.step(100, &[]), [[1, 2]], "the first has waited for long enough");
    assert_eq!(batches.step(500, &[]), none, "there are no empty ones");
    assert_eq!(batches.step(510, &[3, 4]), none);
    assert_eq!(batches.step(609, &[5]), none);
    // What is due by the clock goes before the records of the step.
    assert_eq!(batches.step(612, &[6]), [[3, 4, 5]]);
    let full = batches.step(620, &[7, 8, 9, 10, 11, 12, 13, 14, 15]);
    assert_eq!(full, [[6, 7, 8, 9, 10], [11, 12, 13, 14, 15]]);
    assert_eq!(batches.step(712, &[16]), none, "the time of full batches is no other's");
    assert_eq!(batches.step(811, &[]), none);
    assert_eq!(batches.step(812, &[]), [[16]]);
    assert_eq!(batches.step(900, &[17, 18]), none);
    let ByHand { mut shard, input, mut output } = batches;
    input.close();
    (901..905).for_each(|now| _ = shard.step(Timestamp(now)));
    assert_eq!(output.pop().map(|batch| batch.value), Some(vec![17, 18]));
    assert!(shard.is_done());
}

/// Without a wait a batch is what is there.
#[test]
fn no_wait_is_what_is_there() {
    let mut batches = ByHand::new(0);
    assert_eq!(batches.step(0, &[1, 2, 3]), [[1, 2, 3]]);
    assert_eq!(batches.step(1, &[4]), [[4]]);
    assert_eq!(batches.step(2, &[5, 6, 7, 8, 9, 10]), [vec![5, 6, 7, 8, 9], vec![10]]);
}

/// Latency counts from the oldest record of a batch.
#[test]
fn a_batch_is_as_late_as_its_oldest_record() {
    let (mut shard, mut input) = Shard::embed(Config::embedded(), |p| {
        let (input, stream) = p.input::<u64>();
        stream.batch(2, LONG).append().for_each(drop);
        Ok(input)
    })
    .unwrap();
    for (now, number) in [(1_000, 1), (9_000, 2)] {
        input.push(Timestamp(0), number).unwrap();
        shard.step(Timestamp(now));
    }
    let latency = shard.latencies().to_sink.percentiles();
    assert_eq!(latency.samples, 1);
    assert!(latency.max >= 8_000, "{latency:?}");
}

#[test]
fn more_keys_than_there_may_be_are_an_error() {
    let config = Config { keys_max: 3, ..Config::embedded() };
    let (mut shard, mut input) = Shard::embed(config, |p| {
        let (input, stream) = p.input::<u64>();
        stream.batch(100, LONG).complete(|n| *n).for_each(drop);
        Ok(input)
    })
    .unwrap();
    for n in 0..4 {
        assert!(shard.failure().is_none());
        input.push(Timestamp(0), n).unwrap();
        shard.step(Timestamp(0));
    }
    let failure = shard.failure().map(ToString::to_string).unwrap_or_default();
    assert!(failure.starts_with("batch: 3 keys is the limit; raise `keys_max`"), "{failure}");
}

#[test]
fn impossible_batches_are_refused() {
    let refused = |records| {
        let config = Config { records_max: 50, ..Config::embedded() };
        let built = Shard::embed(config, |p| {
            let (input, stream) = p.input::<u64>();
            stream.batch(records, LONG).update(|n| *n).for_each(drop);
            Ok(input)
        });
        built.map(|_| ()).map_err(|error| error.to_string())
    };
    let none = "batch = 0: a batch holds at least one record";
    assert_eq!(refused(0), Err(none.to_owned()));
    let many = "batch = 51: more than `records_max`, which is 50";
    assert_eq!(refused(51), Err(many.to_owned()));
    assert!(refused(usize::MAX).is_err());
    assert_eq!(refused(50), Ok(()));
}

/// A table of more keys than a slice takes several steps, and is of one moment all the same.
#[test]
fn a_table_is_of_one_moment() {
    let config = Config { fire_max: 3, batch_max: 4, ..Config::embedded() };
    let (mut shard, (mut input, mut output)) = Shard::embed(config, |p| {
        let (input, stream) = p.input::<u64>();
        let batches = stream.batch(40, LONG).complete(|n| n % 20);
        let sorted = batches.map(|batch| {
            let mut all: Vec<u64> = batch.iter().map(|Record { value, .. }| *value).collect();
            all.sort();
            all
        });
        Ok((input, sorted.output()))
    })
    .unwrap();
    let (mut next, mut got) = (0, Vec::new());
    for now in 0..3_000 {
        while next < 200 && input.push(Timestamp(0), next).is_ok() {
            next += 1;
        }
        let work = shard.step(Timestamp(now));
        assert!(work.0 < 40, "a step is a slice: {work:?}");
        got.extend(std::iter::from_fn(|| output.pop()).map(|batch| batch.value));
    }
    let want = |batch: u64| (40 * batch + 20..40 * batch + 40).collect::<Vec<_>>();
    assert_eq!(got, (0..5).map(want).collect::<Vec<_>>());
}
