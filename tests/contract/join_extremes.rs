//! Joins when one input is silent, ends first, or has one key with a million records; what they may
//! hold, and what they hold for ever.

use std::time::Duration;

use millstream::join::{after, before};
use millstream::metrics::Counter;
use millstream::testing::{TestDriver, TestInput, TestOutput};
use millstream::{
    Config, Output, Pipeline, Result, Shard, Stage, Stream, Timestamp, Ttl, Tumbling, ms, ns,
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
    let (driver, ()) = TestDriver::new(|p| {
        let keyed = || p.test_input::<u32>().1.key_by(|n| *n);
        let join = keyed().window_join(keyed()).window(Tumbling::of(Duration::MAX));
        join.select(|l, r| l + r).for_each(drop);
        keyed().deduplicate().for_each(drop);
        keyed().ttl(Ttl::of(ns(9))).deduplicate().for_each(drop);
        Ok(())
    })
    .expect("it builds");
    let [window, deduplicate] = driver.plan().warnings() else { panic!("two are warned of") };
    assert!(window.starts_with("window join (inner, ") && window.contains("never closes"));
    assert_eq!(deduplicate, "deduplicate: each key is kept for ever; give it a `ttl`");
}

/// All records of a cross join have one key, so what bounds it is time and `records_max`: of both
/// sides together on a shard.
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
            let holds = driver.holds();
            assert!(holds.iter().all(|line| line.starts_with("cross join ")), "{holds:?}");
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

/// Of sparse records not a whole pane is held beyond what is wanted, where little may be held.
#[test]
fn a_join_of_sparse_records_holds_little() {
    let config = Config { records_max: 500, ..Config::embedded() };
    let build = |p: Pipeline<'_>| -> Result<Ends> {
        let ((left, l), (right, r)) = (p.test_input::<u32>(), p.test_input::<u32>());
        let join = l.key_by(|_| ()).interval_join(r.key_by(|_| ()));
        let pairs = join.between(before(ms(1)), after(ms(1)));
        Ok((left, right, pairs.select_left(|l, r| (Some(*l), r.copied())).test_output()))
    };
    let built = TestDriver::with_config(config, build);
    let (mut driver, (left, right, pairs)) = built.expect("it builds");
    for n in 0..2_000 {
        let at = 50_000_000 * i64::from(n);
        left.push(t(at), n);
        left.watermark(t(at));
        right.watermark(t(at - 100_000_000));
        driver.settle().expect("few are wanted");
        let holds = driver.holds().len();
        assert!(holds <= 3 + 500 / 8, "{holds} are held");
    }
    assert_eq!(pairs.take().len(), 1_997, "the last three may still have partners");
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
