//! Lookups allocate nothing once warm: neither those of tables, nor those that wait, retry, give up
//! and keep answers.

use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use millstream::dataflow::{Fabric, build};
use millstream::error::{Full, LookupError};
use millstream::lookup::{Answer, Cache, CallId, Lookup, OnFailure, Retry, TableLookup};
use millstream::metrics::Counter;
use millstream::time::ManualClock;
use millstream::{Config, Pipeline, Result, Shard, Shards, Timestamp, us};

use super::{Trade, calls, counted, step_all, trades};

/// Answers every third question at once, others two steps later or never; allocates nothing.
struct Ring {
    waiting: VecDeque<(CallId, u32, Timestamp)>,
    asked: u64,
}

impl Ring {
    fn new() -> Self {
        Self { waiting: VecDeque::with_capacity(1024), asked: 0 }
    }
}

impl Lookup for Ring {
    type Request = u32;
    type Reply = u64;

    fn ask(&mut self, id: CallId, request: &u32, now: Timestamp) -> Result<(), Full<()>> {
        if self.waiting.len() == 1024 {
            return Err(Full(()));
        }
        self.asked += 1;
        if !self.asked.is_multiple_of(50) {
            let due = if self.asked.is_multiple_of(3) { now } else { now + us(15) };
            self.waiting.push_back((id, *request, due));
        }
        Ok(())
    }

    fn poll(&mut self, now: Timestamp) -> Option<(CallId, Answer<u64>)> {
        let (id, request, due) = *self.waiting.front()?;
        if due > now {
            return None;
        }
        self.waiting.pop_front();
        match request % 31 {
            // An empty text takes no memory.
            0 => Some((id, Err(LookupError::Unavailable(String::new())))),
            1 => Some((id, Ok(None))),
            _ => Some((id, Ok(Some(u64::from(request))))),
        }
    }
}

/// Every other trade asks for the same key.
fn hot_or_not(trade: &Trade) -> u32 {
    if trade.symbol.is_multiple_of(2) { 2 } else { trade.symbol }
}

fn everything(p: Pipeline<'_>) -> Result<()> {
    let table = TableLookup::new((0..200u32).map(|symbol| (symbol, symbol * 2)));
    let tables = p.source(trades(p, 5e5)?).lookup(table, |trade| trade.symbol);
    tables.inner().for_each(drop);
    let retry = Retry::exponential(2, us(20)).jitter(0.5);
    let ordered = p.source(trades(p, 3e5)?).lookup(Ring::new(), |trade| trade.symbol);
    let ordered = ordered.capacity(100).timeout(us(50)).retry(retry);
    ordered.on_failure(OnFailure::Drop).left().for_each(drop);
    let cached = p.source(trades(p, 5e5)?).lookup(Ring::new(), hot_or_not);
    let cached = cached.cache(Cache::of(100, us(300)).missing(us(50))).timeout(us(50)).unordered();
    let (rows, failed) = cached.left_with_failed();
    rows.for_each(drop);
    failed.for_each(drop);
    Ok(())
}

fn check(count: usize) {
    let config = Arc::new(Config { shards: Shards::Count(count), ..Config::default() });
    let fabric = Arc::new(Fabric::new(count));
    let mut shards: Vec<Shard> = (0..count)
        .map(|index| {
            let (built, ()) = build(index, &config, &fabric, everything).expect("it builds");
            Shard::new(built, Rc::new(ManualClock::default()))
        })
        .collect();
    let mut now = Timestamp(0);
    step_all(&mut shards, 8_000, &mut now);
    let counters = [
        Counter::RecordsOut,
        Counter::LookupCalls,
        Counter::LookupRetries,
        Counter::LookupTimeouts,
        Counter::CacheHits,
        Counter::CacheShared,
        Counter::LookupFailed,
    ];
    let before = counters.map(|counter| counted(&shards, counter));
    assert_eq!(calls(|| step_all(&mut shards, 8_000, &mut now)), 0, "on {count} shards");
    for (counter, before) in counters.into_iter().zip(before) {
        let more = counted(&shards, counter) - before;
        assert!(more > 50, "{more} {}", counter.name());
    }
    assert_eq!(shards.iter().find_map(|shard| shard.failure().map(ToString::to_string)), None);
}

#[test]
fn lookups_do_not_allocate() {
    check(1);
    check(2);
}
