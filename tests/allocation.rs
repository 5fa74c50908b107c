//! After warm-up a step allocates nothing and frees nothing.

#[path = "allocation/batch.rs"]
mod batch;
#[path = "support/calls.rs"]
mod calls;
#[path = "allocation/codecs.rs"]
mod codecs;
#[path = "allocation/joins.rs"]
mod joins;
#[path = "allocation/journal.rs"]
mod journal;
#[path = "allocation/kit.rs"]
mod kit;
#[path = "allocation/lookup.rs"]
mod lookup;
#[cfg(feature = "net")]
#[path = "allocation/net.rs"]
mod net;
#[path = "allocation/partitioning.rs"]
mod partitioning;
#[path = "allocation/process.rs"]
mod process;
#[cfg(feature = "net")]
#[path = "allocation/rare.rs"]
mod rare;
#[path = "allocation/sessions.rs"]
mod sessions;
#[path = "allocation/sliding.rs"]
mod sliding;
#[path = "allocation/tables.rs"]
mod tables;
#[path = "allocation/time_or_count.rs"]
mod time_or_count;
#[path = "allocation/triggers.rs"]
mod triggers;
#[cfg(feature = "web")]
#[path = "allocation/web.rs"]
mod web;
#[cfg(feature = "calendar")]
#[path = "allocation/windows.rs"]
mod windows;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use calls::calls;
use serde::{Deserialize, Serialize};

use millstream::aggregates::{count, max, ohlc, sum, vwap};
use millstream::dataflow::{Fabric, build};
use millstream::io::{Arrival, Generator, Source};
use millstream::metrics::Counter;
use millstream::time::ManualClock;
use millstream::{
    Config, Pipeline, Result, Shard, Shards, Sliding, Timestamp, Tumbling, Watermarks, ms, us,
};

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Trade {
    symbol: u32,
    price: f64,
    qty: u64,
    at: i64,
}

fn trade(n: u64, due: Timestamp) -> Trade {
    let symbol = (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % 300;
    // Some are late, and some so late that no window takes them any more.
    let behind = [0, 0, 300, 900_000, 20_000_000][n as usize % 5];
    let at = due.as_nanos() - behind;
    Trade { symbol: symbol as u32, price: (n % 97) as f64, qty: n % 11, at }
}

/// How much event time each step moves on.
const STEP: Duration = us(10);

/// Trades without end, at the pace of the clock: sources that run apart in event time open more and
/// more windows between them.
fn trades(
    p: Pipeline<'_>,
    rate: f64,
) -> Result<Generator<impl FnMut(u64, Timestamp) -> Trade + use<>>> {
    let generator = Generator::at_rate(rate, trade)?.start_at(Timestamp(0));
    Ok(generator.share(p.shard(), p.shards()))
}

/// Everything but `ordered`, whose buffer grows to the most that ever wait.
fn everything(p: Pipeline<'_>, rate: f64) -> Result<()> {
    let timed = p
        .source(trades(p, rate)?)
        .filter(|trade| trade.symbol % 7 != 3)
        .event_time(|trade| Timestamp(trade.at), Watermarks::bounded_disorder(us(1)));
    let (some, rest) = timed.split(|trade| trade.qty > 2);
    let tumbling = rest.map(|trade| (trade.symbol, trade.qty)).key_by(|pair| pair.0);
    let tumbling = tumbling.window(Tumbling::of(ms(2))).allowed_lateness(ms(1));
    let (sums, late) = tumbling.aggregate_with_late((count(), sum(|pair: &(u32, u64)| pair.1)));
    let sliding = some.key_by(|trade| trade.symbol).window(Sliding::of(ms(4)).every(ms(1)));
    let bars = sliding.aggregate((
        ohlc(|trade: &Trade| trade.price),
        vwap(|trade: &Trade| trade.price, |trade: &Trade| trade.qty as f64),
    ));
    sums.union(late.flat_map(|_| None)).for_each(drop);
    bars.map(|bar| (bar.key, bar.span.end.0))
        .key_by(|bar| bar.0 % 10)
        .reduce(|newest, bar| *newest = bar)
        .flat_map(|(_, newest)| [newest; 2])
        .for_each(drop);
    let precombined = p.source(trades(p, rate)?).key_by(|trade| trade.symbol);
    let precombined = precombined.window(Tumbling::of(ms(1))).precombine();
    precombined.aggregate(max(|trade: &Trade| trade.qty)).for_each(drop);
    Ok(())
}

/// Shards that share a pipeline, each as a runtime would have it.
fn shards(
    count: usize,
    config: Config,
    pipeline: impl Fn(Pipeline<'_>) -> Result<()>,
) -> Vec<Shard> {
    let config = Arc::new(Config { shards: Shards::Count(count), ..config });
    let fabric = Arc::new(Fabric::new(count));
    let shards = (0..count).map(|index| {
        let (built, ()) = build(index, &config, &fabric, &pipeline).expect("it builds");
        Shard::new(built, Rc::new(ManualClock::default()))
    });
    let shards = shards.collect();
    fabric.check().expect("all links meet");
    shards
}

fn step_all(shards: &mut [Shard], steps: i64, now: &mut Timestamp) {
    for _ in 0..steps {
        *now = *now + STEP;
        for shard in &mut *shards {
            shard.step(*now);
        }
    }
}

fn counted(shards: &[Shard], counter: Counter) -> u64 {
    shards.iter().map(|shard| shard.counters().get(counter)).sum()
}

fn check(count: usize, rate: f64, config: Config) {
    let (mut shards, mut now) = (shards(count, config, |p| everything(p, rate)), Timestamp(0));
    step_all(&mut shards, 8_000, &mut now);
    let fired = counted(&shards, Counter::WindowsFired);
    let late = counted(&shards, Counter::Late);
    assert_eq!(calls(|| step_all(&mut shards, 8_000, &mut now)), 0, "on {count} shards");
    assert!(counted(&shards, Counter::WindowsFired) > fired + 10_000, "windows did fire");
    assert!(counted(&shards, Counter::Late) > late + 500, "records were late");
    assert_eq!(shards.iter().find_map(|shard| shard.failure().map(ToString::to_string)), None);
}

#[test]
fn a_step_of_one_shard_does_not_allocate() {
    check(1, 1e6, Config::default());
}

#[test]
fn a_step_of_two_shards_does_not_allocate() {
    check(2, 1e6, Config::default());
}

#[test]
fn knowing_where_the_time_goes_does_not_allocate() {
    check(2, 1e6, Config { breakdown: true, ..Config::default() });
}

#[test]
fn arrivals_do_not_allocate() {
    for arrival in [Arrival::Poisson { seed: 1 }, Arrival::Burst { size: 64, duty: 0.1 }] {
        let source = Generator::at_rate(1e6, trade).expect("a rate");
        let mut source = source.arrival(arrival).expect("an arrival").share(1, 3);
        let (mut seen, mut now) = (0u64, Timestamp(0));
        let mut poll = || {
            now = now + STEP;
            let polled = source.poll(0, now, 256, &mut |_| seen += 1);
            polled.expect("a generator does not fail").ended
        };
        assert!(!poll());
        assert_eq!(calls(|| (0..1_000).for_each(|_| assert!(!poll()))), 0);
        assert!(seen > 2_000, "{seen}");
    }
}

#[test]
fn small_rings_do_not_allocate() {
    check(2, 1e5, Config { ring_capacity: 3, batch_max: 16, fire_max: 40, ..Config::default() });
}

#[test]
fn push_step_and_pop_do_not_allocate() {
    let (mut shard, (mut input, mut output)) = Shard::embed(Config::embedded(), |p| {
        let (input, stream) = p.input::<Trade>();
        let stream = stream
            .filter(|trade| trade.qty > 0)
            .event_time(|trade| Timestamp(trade.at), Watermarks::bounded_disorder(us(1)));
        let windows = stream.key_by(|trade| trade.symbol).window(Sliding::of(ms(3)).every(ms(1)));
        let bars = windows.aggregate(ohlc(|trade: &Trade| trade.price));
        let ranges = bars.map(|bar| bar.value.high - bar.value.low);
        Ok((input, ranges.output()))
    })
    .expect("it can be built");
    let mut popped = 0u64;
    let mut host = |records: std::ops::Range<u64>| {
        for n in records {
            let due = Timestamp(n as i64 * 1_000);
            while input.push(due, trade(n, due)).is_err() {
                shard.step(due);
                popped += std::iter::from_fn(|| output.pop()).count() as u64;
            }
        }
        popped
    };
    let warm = host(0..60_000);
    let mut more = 0;
    assert_eq!(calls(|| more = host(60_000..90_000)), 0);
    assert!(more > warm + 1_000, "windows did fire: {warm}, {more}");
}

#[test]
fn the_counter_counts() {
    assert_eq!(calls(|| drop(Box::new(1))), 2);
}
