//! Interval joins when one input is silent, ends first, or has one key with a million records.

use millstream::join::{after, before};
use millstream::testing::{TestDriver, TestInput, TestOutput};
use millstream::{Config, Output, Pipeline, Result, Shard, Stage, Stream, Timestamp, Tumbling, ns};

type Alone = (Option<u32>, Option<u32>);
type Ends = (TestInput<u32>, TestInput<u32>, TestOutput<Alone>);

/// A full join of two inputs, 10 ns either way, by one key.
fn joined() -> (TestDriver, Ends) {
    let build = |p: Pipeline<'_>| -> Result<Ends> {
        let ((left, l), (right, r)) = (p.test_input::<u32>(), p.test_input::<u32>());
        let join = l.key_by(|_| ()).interval_join(r.key_by(|_| ()));
        let pairs = join.between(before(ns(10)), after(ns(10)));
        let pairs = pairs.select_full(|l, r| (l.copied(), r.copied()));
        Ok((left, right, pairs.test_output()))
    };
    TestDriver::new(build).expect("it builds")
}

const fn t(n: i64) -> Timestamp {
    Timestamp(n)
}

#[test]
fn an_input_that_is_idle_holds_nobody_up() {
    let (mut driver, (left, right, pairs)) = joined();
    left.push(t(100), 1);
    left.watermark(t(200));
    driver.settle().unwrap();
    assert!(pairs.take().is_empty(), "the right one may still have a partner");
    assert_eq!(pairs.watermark(), Timestamp::MIN);
    right.idle();
    driver.settle().unwrap();
    assert_eq!(pairs.take_values(), [(Some(1), None)]);
    assert_eq!(pairs.watermark(), t(190), "what else could be alone is later");
    // It wakes, behind: what it says then is late.
    right.push(t(105), 2);
    right.push(t(205), 3);
    left.push(t(207), 4);
    driver.settle().unwrap();
    assert_eq!(pairs.take_values(), [(Some(4), Some(3))]);
    assert_eq!(driver.counter(millstream::metrics::Counter::Late), 1);
}

#[test]
fn an_input_that_ends_first_leaves_the_other_alone() {
    let (mut driver, (left, right, pairs)) = joined();
    left.push(t(100), 1);
    right.push(t(108), 2);
    left.close();
    right.push(t(111), 3);
    driver.settle().unwrap();
    assert_eq!(pairs.take_values(), [(Some(1), Some(2)), (None, Some(3))]);
    assert_eq!(driver.holds().len(), 1, "only the left one can meet: {:?}", driver.holds());
    right.watermark(t(100_000));
    driver.settle().unwrap();
    assert!(driver.holds().is_empty(), "no partner can come: {:?}", driver.holds());
    right.push(t(100_001), 4);
    driver.settle().unwrap();
    assert_eq!(pairs.take_values(), [(None, Some(4))]);
    right.close();
    driver.settle().unwrap();
    assert!(pairs.has_ended() && driver.is_done());
    assert!(driver.holds().is_empty(), "drained to nothing: {:?}", driver.holds());
}

/// A partner at the very watermark is still on time, on either side.
#[test]
fn the_last_partner_that_can_come_is_waited_for() {
    for is_left_first in [true, false] {
        let (mut driver, (left, right, pairs)) = joined();
        let (first, second) = if is_left_first { (&left, &right) } else { (&right, &left) };
        first.push(t(100), 1);
        first.watermark(t(110));
        second.watermark(t(110));
        driver.settle().unwrap();
        assert!(pairs.take().is_empty(), "a partner at 110 may come");
        second.push(t(110), 2);
        driver.settle().unwrap();
        let pair = if is_left_first { (Some(1), Some(2)) } else { (Some(2), Some(1)) };
        assert_eq!(pairs.take_values(), [pair]);
        first.push(t(110), 3);
        second.watermark(t(121));
        driver.settle().unwrap();
        let pair = if is_left_first { (Some(3), Some(2)) } else { (Some(2), Some(3)) };
        assert_eq!(pairs.take_values(), [pair], "and neither is ever alone");
    }
}

#[test]
fn an_empty_input_is_no_partner() {
    let (mut driver, (left, right, pairs)) = joined();
    right.close();
    (0..3).for_each(|n| left.push(t(n), n as u32));
    left.close();
    driver.settle().unwrap();
    assert_eq!(pairs.take_values(), [(Some(0), None), (Some(1), None), (Some(2), None)]);
}

/// Pairs of one left record with a million right ones: each step does a bounded part of it, also
/// of the state that is dropped at the end.
#[test]
fn a_key_with_a_million_partners_stalls_no_step() {
    const PARTNERS: u64 = 1_000_000;
    let config = Config { batch_max: 256, fire_max: 256, ..Config::embedded() };
    fn half<'p, S: Stage<Out = u64>>(stream: Stream<'p, S>) -> millstream::Keyed<'p, (), u64> {
        stream.key_by(|_| ())
    }
    let (mut shard, (mut left, mut right, mut pairs)) = Shard::embed(config, |p| {
        let ((left, l), (right, r)) = (p.input::<u64>(), p.input::<u64>());
        let join = half(l).interval_join(half(r)).between(before(ns(0)), after(ns(2_000_000)));
        Ok((left, right, join.select(|_, right| *right).output()))
    })
    .unwrap();
    let mut most = 0;
    let mut seen = 0;
    let mut step = |shard: &mut Shard, pairs: &mut Output<u64>| {
        most = most.max(shard.step(t(0)).0);
        while let Some(pair) = pairs.pop() {
            assert_eq!(pair.value, seen);
            seen += 1;
        }
        seen
    };
    left.advance_to(t(0));
    for n in 0..PARTNERS {
        while right.push(t(n as i64), n).is_err() {
            step(&mut shard, &mut pairs);
        }
    }
    left.push(t(0), 0).unwrap();
    right.close();
    left.close();
    while !shard.is_done() {
        step(&mut shard, &mut pairs);
    }
    assert_eq!(step(&mut shard, &mut pairs), PARTNERS);
    assert!(most < 8_000, "{most} units of work in one step");
}

/// A full join in windows of 10 ns, by one key.
fn joined_in_windows() -> (TestDriver, Ends) {
    let build = |p: Pipeline<'_>| -> Result<Ends> {
        let ((left, l), (right, r)) = (p.test_input::<u32>(), p.test_input::<u32>());
        let join = l.key_by(|_| ()).window_join(r.key_by(|_| ())).window(Tumbling::of(ns(10)));
        let pairs = join.select_full(|l, r| (l.copied(), r.copied()));
        Ok((left, right, pairs.test_output()))
    };
    TestDriver::new(build).expect("it builds")
}

#[test]
fn a_window_waits_for_both_inputs_and_then_holds_nothing() {
    let (mut driver, (left, right, pairs)) = joined_in_windows();
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
