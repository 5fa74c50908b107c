//! Orders meet what others know: a table in memory, and a service that takes its time.
//!
//! The service here is a function that sleeps for a millisecond and fails now and then; a database
//! or a web service looks the same from the pipeline, which never waits for it. It is asked once
//! for each customer, however many orders there are, because its answers are kept.
//!
//! Run it with `cargo run --example enrichment`.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use serde::{Deserialize, Serialize};

use millstream::error::LookupError;
use millstream::io::MemorySource;
use millstream::lookup::{Answer, Bridge, Cache, Retry, TableLookup};
use millstream::metrics::Counter;
use millstream::time::{Clock, SystemClock};
use millstream::{Config, Record, Shard, Text, Timestamp, ms, secs};

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Order {
    customer: u32,
    symbol: Text<4>,
    qty: u64,
}

/// Number `n` of a made-up day: 40 customers, three symbols, one of which nobody knows.
fn order(n: u32) -> Record<Order> {
    let symbol = Text::literal(["MSFT", "AAPL", "????"][n as usize % 3]);
    let order = Order { customer: n * 7 % 40, symbol, qty: u64::from(1 + n % 9) };
    Record::new(Timestamp::from_millis(i64::from(n)), order)
}

/// What a customer may spend. Every fifth call finds the service busy; customer 13 it never tells.
fn credit(customer: u32) -> Answer<f64> {
    static CALLS: AtomicU32 = AtomicU32::new(0);
    thread::sleep(ms(1));
    if customer == 13 {
        return Err(LookupError::Refused("the account is closed".to_owned()));
    }
    match CALLS.fetch_add(1, Ordering::Relaxed) % 5 {
        4 => Err(LookupError::Unavailable("busy".to_owned())),
        _ => Ok((customer >= 10).then_some(f64::from(customer) * 50.0)),
    }
}

fn main() -> millstream::Result<()> {
    let orders: Vec<_> = (0..2_000).map(order).collect();
    let (mut shard, (mut accepted, mut unknown)) = Shard::embed(Config::embedded(), |p| {
        let prices =
            TableLookup::new([(Text::<4>::literal("MSFT"), 410.0), (Text::literal("AAPL"), 190.0)]);
        // Two threads wait for the service, so that the shard need not.
        let credits = Bridge::blocking(2, |customer: &u32| credit(*customer));
        let (checked, failed) = p
            .source(MemorySource::new(orders))
            .lookup(prices, |order| order.symbol)
            .inner()
            .lookup(credits, |(order, _)| order.customer)
            .capacity(128)
            .timeout(ms(100))
            .retry(Retry::exponential(8, ms(1)).at_most(ms(20)).jitter(0.2))
            .cache(Cache::of(1_000, secs(60)).missing(secs(5)))
            .ordered()
            .left_with_failed();
        let accepted = checked.filter(|((order, price), credit)| {
            credit.is_some_and(|credit| order.qty as f64 * price <= credit)
        });
        Ok((accepted.output(), failed.output()))
    })?;

    let (clock, mut spent, mut count, mut closed) = (SystemClock::new(), 0.0, 0, 0);
    while !shard.is_done() {
        if shard.step(clock.now()).is_none() {
            thread::yield_now();
        }
        if let Some(error) = shard.take_failure() {
            return Err(error);
        }
        while let Some(record) = accepted.pop() {
            let ((order, price), _) = record.value;
            (spent, count) = (spent + order.qty as f64 * price, count + 1);
        }
        while let Some(record) = unknown.pop() {
            let ((order, _), error) = record.value;
            closed += 1;
            if closed == 1 {
                println!("customer {}: {error}", order.customer);
            }
        }
    }
    let counters = shard.counters();
    println!("{count} orders for {spent:.0} accepted, {closed} of a closed account");
    println!("{} answers were kept", counters.get(Counter::CacheHits));
    Ok(())
}
