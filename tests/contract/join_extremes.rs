//! Interval joins when one input is silent, ends first, or has one key with a million records.

use std::time::Duration;

use millstream::join::{FanOut, after, before};
use millstream::metrics::Counter;
use millstream::testing::{TestDriver, TestInput, TestOutput};
use millstream::{
    Config, Output, Pipeline, Result, Shard, Sliding, Stage, Stream, Timestamp, Tumbling, Window,
    ns,
};

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
    assert_eq!(driver.counter(Counter::Late), 1);
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

/// Joins that wait for late records for ever keep what they hold for ever.
#[test]
fn joins_that_keep_everything_are_warned_of() {
    let warnings = |lateness: Duration| {
        let (driver, ()) = TestDriver::new(|p| {
            let halves = || {
                let keyed = || p.test_input::<u32>().1.key_by(|n| *n);
                (keyed(), keyed())
            };
            let (left, right) = halves();
            let join = left.window_join(right).window(Tumbling::of(ns(10)));
            join.allowed_lateness(lateness).select(|l, r| l + r).for_each(drop);
            let (left, right) = halves();
            let join = left.interval_join(right).between(before(ns(5)), after(ns(5)));
            join.allowed_lateness(lateness).select(|l, r| l + r).for_each(drop);
            let (left, right) = halves();
            let join = left.asof_join(right).tolerance(ns(5)).allowed_lateness(lateness);
            join.select(|l, r| l + r).for_each(drop);
            let (left, right) = halves();
            let windows = left.window_around(right).between(before(ns(5)), after(ns(5)));
            let windows = windows.allowed_lateness(lateness);
            windows.apply(|l, around| (*l, around.count())).for_each(drop);
            Ok(())
        })
        .expect("it builds");
        driver.plan().warnings().to_vec()
    };
    assert_eq!(warnings(Duration::from_secs(86_400)), [""; 0]);
    let for_ever = warnings(Duration::MAX);
    let interval = "interval join (inner, -5ns to +5ns)";
    for join in ["window join (inner, 10ns)", interval, "as-of join", "window around"] {
        let named = |warning: &&String| warning.starts_with(join);
        let warning = for_ever.iter().find(named).expect("each of them is named");
        assert!(warning.contains("kept for ever"), "{warning}");
    }
    assert_eq!(for_ever.len(), 4);
}

/// All records of a cross join have one key, so what bounds it is time and `records_max`: both sides
/// together on a shard.
#[test]
fn a_cross_join_holds_as_much_as_may_be() {
    let config = Config { records_max: 10, ..Config::embedded() };
    let build = |p: Pipeline<'_>| -> Result<Ends> {
        let ((left, l), (right, r)) = (p.test_input::<u32>(), p.test_input::<u32>());
        let join = l.cross_join(r).between(before(ns(20)), after(ns(20)));
        let pairs = join.select_left(|l, r| (Some(*l), r.copied()));
        Ok((left, right, pairs.test_output()))
    };
    for (lefts, rights) in [(10, 0), (0, 10), (4, 6)] {
        let built = TestDriver::with_config(config.clone(), build);
        let (mut driver, (left, right, pairs)) = built.expect("it builds");
        assert!(driver.plan().to_string().contains("cross join (left, -20ns to +20ns)"));
        // What is past is dropped, on both sides, and makes room.
        for at in [0, 1_000] {
            (0..lefts).for_each(|n| left.push(t(at), n));
            (0..rights).for_each(|n| right.push(t(at), 100 + n));
            driver.settle().expect("so many may be held");
            left.watermark(t(at + 100));
            right.watermark(t(at + 100));
            driver.settle().expect("so many may be held");
            assert!(driver.holds().is_empty(), "{:?}", driver.holds());
        }
        let out = pairs.take().len() as u32;
        assert_eq!(out, 2 * lefts * rights.max(1));
        (0..lefts).for_each(|n| left.push(t(2_000), n));
        (0..=rights).for_each(|n| right.push(t(2_000), n));
        let golden = "cross join: 10 records that wait for partners is the limit; raise \
                      `records_max` or bound the input";
        let failure = driver.settle().err().map(|error| error.to_string());
        assert_eq!(failure.as_deref(), Some(golden), "{lefts} and {rights}");
    }
}

/// A record whose answer a silent input could still change waits for it, until that is idle.
#[test]
fn an_asof_join_waits_for_the_versions_unless_they_are_idle() {
    let build = |p: Pipeline<'_>| -> Result<Ends> {
        let ((left, l), (right, r)) = (p.test_input::<u32>(), p.test_input::<u32>());
        let join = l.key_by(|_| ()).asof_join(r.key_by(|_| ()));
        let pairs = join.select_left(|l, r| (Some(*l), r.copied()));
        Ok((left, right, pairs.test_output()))
    };
    let (mut driver, (left, right, pairs)) = TestDriver::new(build).expect("it builds");
    right.push(t(50), 1);
    left.push(t(100), 2);
    left.watermark(t(200));
    driver.settle().unwrap();
    assert!(pairs.take().is_empty(), "there may be a version of 70 to come");
    right.idle();
    driver.settle().unwrap();
    assert_eq!(pairs.take_values(), [(Some(2), Some(1))]);
    // It wakes behind: a version that others have gone past is late.
    right.push(t(150), 3);
    right.push(t(210), 4);
    driver.settle().unwrap();
    left.push(t(205), 5);
    left.push(t(220), 6);
    left.close();
    driver.settle().unwrap();
    assert!(pairs.take().is_empty(), "it is awake");
    right.close();
    driver.settle().unwrap();
    assert_eq!(pairs.take_values(), [(Some(5), Some(1)), (Some(6), Some(4))]);
    assert_eq!(driver.counter(Counter::Late), 1);
}

/// A row that a hundred thousand others name: a change of it is told to all of them in slices.
#[test]
fn a_row_that_many_name_stalls_no_step() {
    const ROWS: u64 = 100_000;
    let (mut shard, (mut lefts, mut rights, mut joined)) = Shard::embed(Config::embedded(), |p| {
        let ((lefts, l), (rights, r)) = (p.input::<u64>(), p.input::<u64>());
        let left = l.key_by(|n| *n).table(|n| Some(*n));
        let right = r.key_by(|_| 0u8).table(|n| Some(*n));
        let join = left.join_foreign(right, |_, _| Some(0u8)).select(|l, r| l + r);
        Ok((lefts, rights, join.to_stream().output()))
    })
    .unwrap();
    let (mut most, mut seen) = (0, 0u64);
    let mut step = |shard: &mut Shard| {
        let work = shard.step(t(0));
        most = most.max(work.0);
        seen += std::iter::from_fn(|| joined.pop()).count() as u64;
        (!work.is_none(), seen)
    };
    rights.push(t(0), 1).unwrap();
    for n in 0..ROWS {
        while lefts.push(t(0), n).is_err() {
            step(&mut shard);
        }
    }
    while step(&mut shard).0 {}
    assert_eq!(step(&mut shard).1, ROWS);
    rights.push(t(0), 2).unwrap();
    while step(&mut shard).0 {}
    assert_eq!(step(&mut shard).1, 2 * ROWS);
    assert!(most < 8_000, "{most} units in one step");
}
