//! Window joins when one input is silent, ends first, or has more records or windows than a step
//! can do; records between windows; pairs beyond the cap.

use millstream::join::FanOut;
use millstream::metrics::Counter;
use millstream::testing::{TestDriver, TestInput, TestOutput};
use millstream::{
    Config, Output, Pipeline, Result, Shard, Sliding, Timestamp, Tumbling, Window, ns,
};

type Alone = (Option<u32>, Option<u32>);
type Ends = (TestInput<u32>, TestInput<u32>, TestOutput<Alone>);

const fn t(n: i64) -> Timestamp {
    Timestamp(n)
}

/// A full join in windows, by one key.
fn joined_in(window: impl Window) -> (TestDriver, Ends) {
    let build = |p: Pipeline<'_>| -> Result<Ends> {
        let ((left, l), (right, r)) = (p.test_input::<u32>(), p.test_input::<u32>());
        let join = l.key_by(|_| ()).window_join(r.key_by(|_| ())).window(window);
        let pairs = join.select_full(|l, r| (l.copied(), r.copied()));
        Ok((left, right, pairs.test_output()))
    };
    TestDriver::new(build).expect("it builds")
}

#[test]
fn a_window_waits_for_both_inputs_and_then_holds_nothing() {
    let (mut driver, (left, right, pairs)) = joined_in(Tumbling::of(ns(10)));
    left.push(t(3), 1);
    left.watermark(t(100));
    right.push(t(15), 2);
    driver.settle().unwrap();
    assert!(pairs.take().is_empty(), "the right one may still say something of the first window");
    right.idle();
    driver.settle().unwrap();
    assert_eq!(pairs.take_values(), [(Some(1), None), (None, Some(2))]);
    assert!(driver.holds().is_empty(), "both windows are over: {:?}", driver.holds());
    left.push(t(101), 3);
    left.close();
    right.push(t(109), 4);
    driver.settle().unwrap();
    assert!(pairs.take().is_empty(), "an input that has ended is not waited for, the other is");
    right.close();
    driver.settle().unwrap();
    assert_eq!(pairs.take_values(), [(Some(3), Some(4))]);
    assert!(pairs.has_ended() && driver.is_done() && driver.holds().is_empty());
}

/// A window with a thousand records on either side of one key is a million pairs, and no step.
#[test]
fn a_million_pairs_of_one_key_come_in_slices() {
    let (mut shard, (mut numbers, mut pairs)) = Shard::embed(Config::embedded(), |p| {
        let (input, numbers) = p.input::<u32>();
        let (left, right) = numbers.split(|n| n % 2 == 0);
        let join = left.key_by(|_| ()).window_join(right.key_by(|_| ()));
        let pairs = join.window(Tumbling::of(ns(10))).select(|l, r| (*l, *r));
        Ok((input, pairs.output()))
    })
    .unwrap();
    let (mut most, mut count) = (0, 0u64);
    let mut step = |pairs: &mut Output<(u32, u32)>| {
        most = most.max(shard.step(t(0)).0);
        count += std::iter::from_fn(|| pairs.pop()).count() as u64;
        shard.is_done()
    };
    for n in 0..2_000 {
        while numbers.push(t(5), n).is_err() {
            step(&mut pairs);
        }
    }
    numbers.close();
    while !step(&mut pairs) {}
    assert_eq!(count, 1_000_000);
    assert!(most < 8_000, "{most} units in one step");
}

/// A record that is in ten thousand windows goes into some of them a step, and what comes behind
/// it waits: a record that is in time before the next watermark, and that watermark.
#[test]
fn a_record_of_many_windows_goes_into_some_a_step() {
    const WINDOWS: usize = 10_000;
    let (mut driver, (left, right, pairs)) =
        joined_in(Sliding::of(ns(WINDOWS as u64)).every(ns(1)));
    left.push(t(0), 1);
    left.push(t(-2), 2);
    left.watermark(t(2));
    right.push(t(0), 3);
    let (mut held, mut steps) = (0, 0);
    while driver.step().unwrap() {
        let now = driver.holds().len();
        assert!(now <= held + 4_096, "{held} windows, and {now} a step later");
        (held, steps) = (now, steps + 1);
    }
    assert!(steps > 2, "{steps}");
    assert_eq!(driver.holds().len(), WINDOWS + 2);
    right.close();
    left.close();
    driver.settle().unwrap();
    let pairs = pairs.take_values();
    let with = |left| pairs.iter().filter(|pair| **pair == (Some(left), Some(3))).count();
    assert_eq!((with(1), with(2), pairs.len()), (WINDOWS, WINDOWS - 2, 2 * WINDOWS));
    assert!(driver.is_done() && driver.holds().is_empty());
}

#[test]
fn a_window_join_goes_on_when_an_idle_input_wakes() {
    let (mut driver, (left, right, pairs)) = joined_in(Tumbling::of(ns(10)));
    right.push(t(2), 1);
    right.idle();
    left.push(t(3), 2);
    left.watermark(t(25));
    driver.settle().unwrap();
    assert_eq!(pairs.take_values(), [(Some(2), Some(1))], "nobody waits for what is idle");
    assert_eq!(pairs.watermark(), t(25));
    // What it says when it wakes is late for windows that closed without it, and for no others.
    right.push(t(9), 3);
    right.push(t(21), 4);
    driver.settle().unwrap();
    left.push(t(29), 5);
    left.watermark(t(50));
    driver.settle().unwrap();
    assert!(pairs.take().is_empty(), "it is awake, so the window waits for it");
    assert_eq!(driver.counter(Counter::Late), 1);
    right.watermark(t(30));
    driver.settle().unwrap();
    assert_eq!(pairs.take_values(), [(Some(5), Some(4))]);
    assert_eq!(pairs.watermark(), t(30));
}

/// A record between two windows belongs to none: it is dropped, and counted as dropped and not as
/// late, unless it came behind the watermark as well.
#[test]
fn records_between_windows_are_dropped_and_not_late() {
    let (mut driver, (left, right, pairs)) =
        joined_in(Sliding::of(ns(4)).every(ns(10)).with_gaps());
    for (at, n) in [(3, 1), (4, 2), (9, 3), (10, 4)] {
        left.push(t(at), n);
        right.push(t(at), n + 10);
    }
    driver.settle().unwrap();
    let counted =
        |driver: &TestDriver| [Counter::Late, Counter::Dropped].map(|c| driver.counter(c));
    assert_eq!(counted(&driver), [0, 4]);
    left.watermark(t(14));
    right.watermark(t(14));
    driver.settle().unwrap();
    assert_eq!(pairs.take_values(), [(Some(1), Some(11)), (Some(4), Some(14))]);
    left.push(t(5), 5);
    left.push(t(3), 6);
    driver.settle().unwrap();
    assert_eq!(counted(&driver), [1, 6], "no window was ever there for the first of the two");
}

/// As many pairs as may be come out, and one more stops the pipeline and says why.
#[test]
fn more_pairs_in_a_window_than_may_be_are_an_error() {
    let join = |rights: u32| {
        let build = |p: Pipeline<'_>| -> Result<Ends> {
            let ((left, l), (right, r)) = (p.test_input::<u32>(), p.test_input::<u32>());
            let join = l.key_by(|_| ()).window_join(r.key_by(|_| ()));
            let join = join.window(Tumbling::of(ns(10))).fan_out(FanOut::FailAbove(2));
            let pairs = join.select(|l, r| (Some(*l), Some(*r)));
            Ok((left, right, pairs.test_output()))
        };
        let (mut driver, (left, right, pairs)) = TestDriver::new(build).expect("it builds");
        (0..3).for_each(|n| left.push(t(n), n as u32));
        (0..rights).for_each(|n| right.push(t(0), 10 + n));
        left.close();
        right.close();
        let failure = driver.settle().err().map(|error| error.to_string());
        (pairs.take_values().len(), failure)
    };
    assert_eq!(join(2), (6, None));
    let golden =
        "window join: 2 pairs of one record is the limit; raise `fan_out` or bound the input";
    assert_eq!(join(3).1.as_deref(), Some(golden));
}
