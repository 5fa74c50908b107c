//! Lookups as their users see them: time-outs, retries and policies to the nanosecond of virtual
//! time, what is kept and for how long, what is refused at the build, and real servers.

#[path = "lookup/bridge.rs"]
mod bridge;
#[path = "lookup/eventually.rs"]
mod eventually;
#[path = "lookup/file.rs"]
mod file;
#[path = "lookup/live.rs"]
mod live;
#[cfg(feature = "postgres")]
#[path = "lookup/postgres.rs"]
mod postgres;
#[cfg(feature = "redis")]
#[path = "lookup/redis.rs"]
mod redis;
#[cfg(any(feature = "postgres", feature = "redis"))]
#[path = "lookup/servers.rs"]
mod servers;

use millstream::error::LookupError;
use millstream::lookup::{Cache, Enrich, NoCache, OnFailure, Retry, TableLookup};
use millstream::metrics::Counter;
use millstream::testing::{Attempt, ScriptedLookup, TestDriver, TestInput, TestOutput};
use millstream::{Pipeline, Result, Stage, Stream, Timestamp, ns};

type Server = ScriptedLookup<u64, u64>;
type Answered = (u64, std::result::Result<Option<u64>, LookupError>);

/// A driver of one lookup whose results are looked at.
macro_rules! driver {
    ($server:expr, |$lookup:ident| $settings:expr) => {
        TestDriver::new(|p| {
            let (input, numbers) = p.test_input::<u64>();
            let $lookup = numbers.lookup($server, |n| *n);
            Ok((input, $settings.results().test_output()))
        })
    };
}

fn push(numbers: &TestInput<u64>, values: &[u64]) {
    values.iter().for_each(|n| numbers.push(Timestamp(0), *n));
}

fn timed_out(after_ns: u64) -> LookupError {
    LookupError::TimedOut(ns(after_ns))
}

fn busy() -> LookupError {
    LookupError::Unavailable("busy".to_owned())
}

#[test]
fn an_attempt_ends_at_its_time_and_a_late_answer_is_counted_and_thrown_away() -> Result<()> {
    let server = Server::new(|n, _| match n {
        1 => Attempt::Answers(100, Some(1)),
        2 => Attempt::Answers(101, Some(2)),
        _ => Attempt::Answers(1_000, Some(3)),
    });
    let (mut driver, (numbers, out)) = driver!(server, |lookup| lookup.timeout(ns(100)))?;
    (1..=3).for_each(|n| numbers.push(Timestamp(0), n));
    driver.advance(ns(99))?;
    assert_eq!(out.take_values(), []);
    driver.advance(ns(1))?;
    let want: [Answered; 3] =
        [(1, Ok(Some(1))), (2, Err(timed_out(100))), (3, Err(timed_out(100)))];
    assert_eq!(out.take_values(), want, "what comes at the last moment has come in time");
    // Nothing waits now, so nobody looks; the answers come out with the next record.
    driver.advance(ns(2_000))?;
    numbers.push(Timestamp(0), 1);
    driver.advance(ns(100))?;
    assert_eq!(out.take_values(), [(1, Ok(Some(1)))]);
    assert_eq!(
        (driver.counter(Counter::LookupTimeouts), driver.counter(Counter::LookupLate)),
        (2, 2)
    );
    assert_eq!(
        (driver.counter(Counter::LookupCalls), driver.counter(Counter::LookupFailed)),
        (4, 2)
    );
    Ok(())
}

#[test]
fn retries_wait_twice_as_long_each_time_and_then_give_up() -> Result<()> {
    let server = Server::new(|_, attempt| match attempt {
        0..=2 => Attempt::Fails(0, busy()),
        _ => Attempt::Answers(5, Some(7)),
    });
    let (mut driver, (numbers, out)) =
        driver!(server, |lookup| lookup.retry(Retry::exponential(3, ns(10)).at_most(ns(15))))?;
    numbers.push(Timestamp(0), 1);
    driver.settle()?;
    for (wait, calls) in [(9, 1), (1, 2), (14, 2), (1, 3), (14, 3), (1, 4)] {
        driver.advance(ns(wait))?;
        assert_eq!(driver.counter(Counter::LookupCalls), calls);
    }
    driver.advance(ns(5))?;
    assert_eq!(out.take_values(), [(1, Ok(Some(7)))]);
    let server = Server::new(|_, _| Attempt::Fails(0, busy()));
    let (mut driver, (numbers, out)) =
        driver!(server, |lookup| lookup.retry(Retry::fixed(2, ns(10))))?;
    numbers.push(Timestamp(0), 1);
    driver.advance(ns(10))?;
    driver.advance(ns(10))?;
    assert_eq!(out.take_values(), [(1, Err(busy()))]);
    assert_eq!(driver.counter(Counter::LookupRetries), 2);
    Ok(())
}

#[test]
fn what_cannot_pass_is_not_tried_again() -> Result<()> {
    let refused = || LookupError::Refused("no such column".to_owned());
    let server = Server::new(move |_, _| Attempt::Fails(0, refused()));
    let (mut driver, (numbers, out)) =
        driver!(server, |lookup| lookup.retry(Retry::fixed(9, ns(10))))?;
    numbers.push(Timestamp(0), 1);
    driver.settle()?;
    assert_eq!(out.take_values(), [(1, Err(refused()))]);
    Ok(())
}

#[test]
fn a_lookup_that_takes_nothing_times_out_all_the_same() -> Result<()> {
    let server = Server::new(|_, _| Attempt::Full);
    let (mut driver, (numbers, out)) = driver!(server, |lookup| lookup.timeout(ns(100)))?;
    numbers.push(Timestamp(0), 1);
    driver.advance(ns(99))?;
    assert_eq!(out.take_values(), []);
    driver.advance(ns(1))?;
    assert_eq!(out.take_values(), [(1, Err(timed_out(100)))]);
    assert_eq!(driver.counter(Counter::LookupCalls), 0);
    Ok(())
}

#[test]
fn in_order_one_record_holds_back_the_others_and_in_any_order_none() -> Result<()> {
    let server = || Server::new(|n, _| Attempt::Answers(100 - 10 * n, Some(*n)));
    let (mut driver, (numbers, out)) = driver!(server(), |lookup| lookup)?;
    push(&numbers, &[0, 1, 2]);
    driver.advance(ns(99))?;
    assert_eq!(out.take_values(), []);
    driver.advance(ns(1))?;
    assert_eq!(out.take_values(), [0, 1, 2].map(|n| (n, Ok(Some(n)))));
    let (mut driver, (numbers, out)) = driver!(server(), |lookup| lookup.unordered())?;
    push(&numbers, &[0, 1, 2]);
    for (wait, n) in [(80, 2), (10, 1), (10, 0)] {
        driver.advance(ns(wait))?;
        assert_eq!(out.take_values(), [(n, Ok(Some(n)))]);
    }
    Ok(())
}

/// Between watermarks in any order; across them in none.
#[test]
fn a_watermark_waits_for_those_before_it_and_is_waited_for_by_those_after_it() -> Result<()> {
    let server = Server::new(|n, _| Attempt::Answers(100 - 10 * n, Some(*n)));
    let (mut driver, (numbers, out)) = driver!(server, |lookup| lookup.unordered())?;
    numbers.push(Timestamp(0), 0);
    numbers.watermark(Timestamp(50));
    numbers.push(Timestamp(60), 5);
    driver.advance(ns(99))?;
    assert_eq!((out.take_values(), out.watermark()), (vec![], Timestamp::MIN));
    driver.advance(ns(1))?;
    assert_eq!(out.take_values(), [0, 5].map(|n| (n, Ok(Some(n)))));
    assert_eq!(out.watermark(), Timestamp(50));
    Ok(())
}

/// With so many in line nothing more is taken in, and no more calls are made.
#[test]
fn the_capacity_bounds_the_calls_and_the_line() -> Result<()> {
    let server = Server::new(|_, _| Attempt::Answers(100, Some(1)));
    let (mut driver, (numbers, out)) = driver!(server, |lookup| lookup.capacity(4))?;
    (0..1_000).for_each(|n| numbers.push(Timestamp(0), n));
    driver.settle()?;
    assert_eq!(driver.counter(Counter::LookupCalls), 4);
    driver.advance(ns(100))?;
    assert_eq!((out.take_values().len(), driver.counter(Counter::LookupCalls)), (4, 8));
    for _ in 0..300 {
        driver.advance(ns(100))?;
    }
    assert_eq!(out.take_values().len(), 996);
    Ok(())
}

#[test]
fn policies_for_what_has_failed_for_good() -> Result<()> {
    let server = || {
        Server::new(|n, _| match n {
            1 => Attempt::Fails(0, busy()),
            n => Attempt::Answers(0, Some(n * 2)),
        })
    };

    let (mut driver, (numbers, _out)) = TestDriver::new(|p| {
        let (input, numbers) = p.test_input::<u64>();
        Ok((input, numbers.lookup(server(), |n| *n).left().test_output()))
    })?;
    push(&numbers, &[0, 1, 2]);
    let error = driver.settle().map_err(|error| (error.kind(), error.to_string())).unwrap_err();
    let kind = millstream::ErrorKind::Restartable;
    assert_eq!(error, (kind, "lookup: unavailable: busy".to_owned()));

    let (mut driver, (numbers, out)) = TestDriver::new(|p| {
        let (input, numbers) = p.test_input::<u64>();
        let rows = numbers.lookup(server(), |n| *n).on_failure(OnFailure::Drop);
        Ok((input, rows.inner().test_output()))
    })?;
    push(&numbers, &[0, 1, 2]);
    driver.settle()?;
    assert_eq!((out.take_values(), driver.counter(Counter::Dropped)), (vec![(0, 0), (2, 4)], 1));

    let (mut driver, (numbers, (rows, failed))) = TestDriver::new(|p| {
        let (input, numbers) = p.test_input::<u64>();
        let (rows, failed) = numbers.lookup(server(), |n| *n).left_with_failed();
        Ok((input, (rows.test_output(), failed.test_output())))
    })?;
    push(&numbers, &[0, 1, 2]);
    numbers.watermark(Timestamp(9));
    driver.settle()?;
    assert_eq!(rows.take_values(), [(0, Some(0)), (2, Some(4))]);
    assert_eq!(failed.take_values(), [(1, busy())]);
    assert_eq!((rows.watermark(), failed.watermark()), (Timestamp(9), Timestamp(9)));
    Ok(())
}

fn cached(driver: &TestDriver) -> [u64; 3] {
    [Counter::LookupCalls, Counter::CacheHits, Counter::CacheShared].map(|way| driver.counter(way))
}

#[test]
fn answers_are_kept_for_their_time_and_calls_are_shared() -> Result<()> {
    let server = Server::new(|n, _| Attempt::Answers(10, (*n < 5).then_some(n * 2)));
    let (mut driver, (numbers, out)) =
        driver!(server, |lookup| lookup.cache(Cache::of(9, ns(100)).missing(ns(20))))?;
    push(&numbers, &[1, 1, 7, 1, 7]);
    driver.settle()?;
    assert_eq!(cached(&driver), [2, 0, 3], "one call a key");
    driver.advance(ns(10))?;
    assert_eq!(out.take_values().len(), 5);
    push(&numbers, &[1, 7]);
    driver.settle()?;
    assert_eq!(out.take_values(), [(1, Ok(Some(2))), (7, Ok(None))]);
    assert_eq!(cached(&driver), [2, 2, 3]);
    assert_eq!(driver.state::<u64, Option<u64>>("lookup")?, [(1, Some(2)), (7, None)]);
    driver.advance(ns(20))?;
    push(&numbers, &[1, 7]);
    driver.settle()?;
    assert_eq!(cached(&driver), [3, 3, 3], "that there is nothing is forgotten sooner");
    driver.advance(ns(80))?;
    numbers.push(Timestamp(0), 1);
    driver.settle()?;
    assert_eq!(cached(&driver), [4, 3, 3]);
    Ok(())
}

/// Records that wait are in the snapshot, and are asked about again.
#[test]
fn a_restored_pipeline_asks_again() -> Result<()> {
    let build = || {
        let server = Server::new(|n, _| Attempt::Answers(10, Some(n * 2)));
        driver!(server, |lookup| lookup.cache(Cache::of(9, ns(1000))).unordered())
    };
    let (mut driver, (numbers, out)) = build()?;
    numbers.push(Timestamp(0), 1);
    driver.advance(ns(10))?;
    assert_eq!(out.take_values(), [(1, Ok(Some(2)))]);
    push(&numbers, &[1, 2, 2]);
    numbers.watermark(Timestamp(5));
    driver.settle()?;
    assert_eq!(out.take_values(), [(1, Ok(Some(2)))]);
    let snapshot = driver.snapshot()?;
    let (mut driver, (_numbers, out)) = build()?;
    driver.restore(&snapshot)?;
    driver.advance(ns(10))?;
    assert_eq!(out.take_values(), [2, 2].map(|n| (n, Ok(Some(n * 2)))));
    assert_eq!((out.watermark(), cached(&driver)), (Timestamp(5), [1, 0, 1]));
    Ok(())
}

type Looked<'p> = Enrich<'p, u64, fn(&u64) -> u64, TableLookup<u64, u64>, NoCache>;

fn key(n: &u64) -> u64 {
    *n
}

#[test]
fn impossible_settings_are_refused_at_the_build() {
    fn numbers(p: Pipeline<'_>) -> Stream<'_, impl Stage<Out = u64>> {
        p.test_input::<u64>().1
    }
    fn looked<'p>(stream: Stream<'p, impl Stage<Out = u64>>) -> Looked<'p> {
        stream.lookup(TableLookup::new([]), key as fn(&u64) -> u64)
    }
    macro_rules! refused {
        (|$lookup:ident| $settings:expr) => {
            TestDriver::new(|p| {
                let $lookup = looked(numbers(p));
                Ok($settings.left().test_output())
            })
            .map(|_: (TestDriver, TestOutput<(u64, Option<u64>)>)| ())
            .map_or_else(|error| error.to_string(), |()| "accepted".to_owned())
        };
    }
    let capacity = "lookup capacity = 0: from 1 to 1048576 records";
    assert_eq!(refused!(|lookup| lookup.capacity(0)), capacity);
    assert!(refused!(|lookup| lookup.capacity(usize::MAX)).ends_with("1048576 records"));
    let timeout = "lookup timeout = 0 ns: no answer would be in time";
    assert_eq!(refused!(|lookup| lookup.timeout(ns(0))), timeout);
    let jitter = "lookup retry jitter = 1.5: a part of the wait, from 0 to 1";
    assert_eq!(refused!(|lookup| lookup.retry(Retry::none().jitter(1.5))), jitter);
    let cache = refused!(|lookup| lookup.cache(Cache::of(0, ns(1))));
    assert_eq!(cache, "lookup cache = 0: from 1 to 67108864 keys");
    let cache = refused!(|lookup| lookup.cache(Cache::of(1, ns(0))));
    assert_eq!(cache, "lookup cache = 0 ns: nothing would be kept");
    let memory = refused!(|lookup| lookup.cache(Cache::of(1 << 26, ns(1))));
    assert!(memory.starts_with("the queues of this pipeline take"), "{memory}");
    assert_eq!(refused!(|lookup| lookup.capacity(1).timeout(ns(1))), "accepted");
}
