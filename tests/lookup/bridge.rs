//! Code that waits, on threads beside the shard.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use millstream::error::LookupError;
use millstream::lookup::{Answer, Bridge, Cache, OnFailure, Retry};
use millstream::metrics::Counter;
use millstream::{ms, secs};

use crate::eventually::eventually;
use crate::live::{Live, numbers};

fn even(n: u64) -> Option<u64> {
    n.is_multiple_of(2).then_some(n * 10)
}

#[test]
fn threads_that_block_answer_side_by_side_and_records_keep_their_order() {
    let threads = Arc::new(Mutex::new(BTreeSet::new()));
    let seen = threads.clone();
    let live = Live::new(|p| {
        let slow = Bridge::blocking(4, move |n: &u64| {
            seen.lock().unwrap().insert(format!("{:?}", thread::current().id()));
            thread::sleep(Duration::from_micros(n % 7 * 100));
            Ok(even(*n))
        });
        Ok(p.source(numbers(0..500)).lookup(slow, |n| *n).capacity(32).left().output())
    });
    let want: Vec<_> = (0..500).map(|n| (n, even(n))).collect();
    assert_eq!(live.finish(), want);
    assert_eq!(threads.lock().unwrap().len(), 4);
}

#[test]
fn a_worker_is_given_all_that_is_there() {
    let largest = Arc::new(AtomicUsize::new(0));
    let seen = largest.clone();
    let live = Live::new(|p| {
        let batched = Bridge::batched(1, 16, move || {
            let seen = seen.clone();
            move |requests: &[u64], answers: &mut Vec<Answer<u64>>| {
                seen.fetch_max(requests.len(), Ordering::Relaxed);
                thread::sleep(Duration::from_micros(200));
                answers.extend(requests.iter().map(|n| Ok(even(*n))));
            }
        });
        Ok(p.source(numbers(0..500)).lookup(batched, |n| *n).capacity(64).inner().output())
    });
    let want: Vec<_> = (0..500).filter_map(|n| Some((n, even(n)?))).collect();
    assert_eq!(live.finish(), want);
    let largest = largest.load(Ordering::Relaxed);
    assert!((2..=16).contains(&largest), "{largest}");
}

/// A future that is woken by another thread, after a while.
async fn sleep(span: Duration) {
    let woken = Arc::new(AtomicBool::new(false));
    let mut started = false;
    poll_fn(move |cx| {
        if woken.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        if !std::mem::replace(&mut started, true) {
            let (waker, woken) = (cx.waker().clone(), woken.clone());
            thread::spawn(move || {
                thread::sleep(span);
                woken.store(true, Ordering::Release);
                waker.wake();
            });
        }
        Poll::Pending
    })
    .await;
}

#[test]
fn futures_run_side_by_side() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (running, seen) = (now, most.clone());
    let live = Live::new(|p| {
        let futures = Bridge::futures(8, move |n: u64| {
            let (running, seen) = (running.clone(), seen.clone());
            async move {
                seen.fetch_max(running.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                sleep(ms(1 + n % 3)).await;
                running.fetch_sub(1, Ordering::Relaxed);
                Ok(even(n))
            }
        });
        let lookup = p.source(numbers(0..200)).lookup(futures, |n| *n).unordered();
        Ok(lookup.capacity(50).left().output())
    });
    let mut got = live.finish();
    got.sort_unstable();
    assert_eq!(got, (0..200).map(|n| (n, even(n))).collect::<Vec<_>>());
    assert!((2..=8).contains(&most.load(Ordering::Relaxed)), "{most:?}");
}

/// A future that is given up is dropped, and its place is free for others.
#[test]
fn a_future_that_never_ends_is_dropped_when_its_time_is_over() {
    let mut live = Live::new(|p| {
        let futures = Bridge::futures(2, |n: u64| async move {
            if n % 2 == 1 {
                std::future::pending::<()>().await;
            }
            Ok(Some(n))
        });
        let lookup = p.source(numbers(0..20)).lookup(futures, |n| *n).timeout(ms(200));
        Ok(lookup.results().output())
    });
    live.until(|values| values.len() == 20);
    let found: Vec<_> = live.values.iter().filter(|(_, answer)| answer.is_ok()).collect();
    // The first two odd ones are in the way of all others until their time is over.
    assert!(found.len() <= 10 && !found.is_empty(), "{found:?}");
    let late = (0..20).filter(|n| n % 2 == 1);
    let timed_out = Err(LookupError::TimedOut(ms(200)));
    assert!(late.clone().all(|n| live.values.contains(&(n, timed_out.clone()))));
}

#[test]
fn a_panic_is_an_answer_and_the_next_worker_goes_on() {
    let made = Arc::new(AtomicUsize::new(0));
    let makes = made.clone();
    let live = Live::new(|p| {
        let fragile = Bridge::batched(1, 1, move || {
            makes.fetch_add(1, Ordering::Relaxed);
            |requests: &[u64], answers: &mut Vec<Answer<u64>>| {
                assert!(requests[0] != 3, "three");
                answers.push(Ok(Some(requests[0])));
            }
        });
        let lookup = p.source(numbers(0..6)).lookup(fragile, |n| *n);
        Ok(lookup.retry(Retry::fixed(3, ms(1))).results().output())
    });
    let panicked = || Err(LookupError::Refused("the lookup panicked: three".to_owned()));
    let want: Vec<_> = (0..6).map(|n| (n, if n == 3 { panicked() } else { Ok(Some(n)) })).collect();
    assert_eq!(live.finish(), want);
    assert_eq!(made.load(Ordering::Relaxed), 2);
    let live = Live::new(|p| {
        let fragile = Bridge::futures(4, |n: u64| async move {
            assert!(n != 3, "three");
            Ok(Some(n))
        });
        Ok(p.source(numbers(0..6)).lookup(fragile, |n| *n).results().output())
    });
    assert_eq!(live.finish(), want);
}

/// What has timed out while it waited for the thread is not begun.
#[test]
fn questions_whose_time_is_over_are_not_begun() {
    let begun = Arc::new(AtomicUsize::new(0));
    let begins = begun.clone();
    let live = Live::new(|p| {
        let slow = Bridge::blocking(1, move |n: &u64| {
            begins.fetch_add(1, Ordering::Relaxed);
            thread::sleep(ms(100));
            Ok(Some(*n))
        });
        let lookup = p.source(numbers(0..40)).lookup(slow, |n| *n).timeout(ms(10));
        Ok(lookup.on_failure(OnFailure::Drop).left().output())
    });
    assert_eq!(live.finish(), []);
    eventually("the thread ends with the pipeline", || Arc::strong_count(&begun) == 1);
    let begun = begun.load(Ordering::Relaxed);
    assert!(begun <= 2, "{begun} of 40");
}

#[test]
fn a_slow_server_behind_a_cache_is_asked_once_a_key() {
    let asked = Arc::new(AtomicUsize::new(0));
    let asks = asked.clone();
    let mut live = Live::new(|p| {
        let slow = Bridge::blocking(2, move |key: &u64| {
            asks.fetch_add(1, Ordering::Relaxed);
            thread::sleep(ms(2));
            Ok(even(*key))
        });
        let lookup = p.source(numbers(0..3_000)).lookup(slow, |n| n % 10);
        Ok(lookup.cache(Cache::of(100, secs(600))).left().output())
    });
    live.until(|_| false);
    let want: Vec<_> = (0..3_000).map(|n| (n, even(n % 10))).collect();
    assert_eq!(live.values, want);
    assert_eq!(asked.load(Ordering::Relaxed), 10);
    assert_eq!(live.shard.counters().get(Counter::LookupCalls), 10);
}

/// Shards that sleep are woken by answers; each has threads of its own.
#[cfg(feature = "runtime")]
#[test]
fn on_pinned_shards_that_sleep() {
    use millstream::io::MemorySink;
    use millstream::{Config, Engine, Idle, Shards};
    let kept = MemorySink::new();
    let sink = kept.clone();
    let config = Config {
        shards: Shards::Count(2),
        idle: Idle::Park,
        oversubscribe: true,
        ..Config::default()
    };
    let summary = Engine::new(config).and_then(|engine| {
        engine.run(move |p| {
            let half = 200 * p.shard() as u64;
            let slow = Bridge::blocking(2, |n: &u64| {
                thread::sleep(Duration::from_micros(300));
                Ok(even(*n))
            });
            p.source(numbers(half..half + 200)).lookup(slow, |n| *n).left().sink(sink.clone());
            Ok(())
        })
    });
    let summary = summary.expect("it runs");
    assert_eq!(summary.counters.get(Counter::LookupCalls), 400);
    let mut got: Vec<_> = kept.take().into_iter().map(|record| record.value).collect();
    got.sort_unstable();
    assert_eq!(got, (0..400).map(|n| (n, even(n))).collect::<Vec<_>>());
}
