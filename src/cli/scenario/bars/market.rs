//! Generated trades: an open loop at a given rate, the same trades on any number of shards.

use std::hint::black_box;
use std::time::Duration;

use super::trade::{HEADER, Trade, bars, fold, line};
use super::{FLAT_OUT, compare, setup, window};
use crate::cli::args::BenchArgs;
use crate::cli::failure::Result;
use crate::cli::output::Csv;
use crate::cli::progress::Progress;
use crate::cli::run::{self, Timing};
use crate::cli::scenario::{Measured, bars::SCENARIO};
use crate::cli::table;
use crate::cli::workload::mix;
use crate::dataflow::{Pipeline, Plan};
use crate::io::Generator;
use crate::runtime::Engine;
use crate::time::{Clock, SystemClock, Timestamp};

/// Records a second unless `--rate` says so; and flat out, the records of a second of event time.
const RATE: f64 = 1e6;
/// Keys unless `--keys` says so.
const KEYS: u32 = 1000;
/// From now until the first record is due: shards must have been built by then.
const LEAD: Duration = Duration::from_millis(50);

/// What the shards build, on all of them alike.
#[derive(Clone)]
struct Market {
    args: BenchArgs,
    start: Timestamp,
    /// How long it lasts; without it, until it is stopped.
    span: Option<Duration>,
}

pub fn plan(args: &BenchArgs) -> Result<Plan> {
    let market = Market { args: args.clone(), start: Timestamp(0), span: None };
    let engine = Engine::new(args.config()?)?;
    Ok(engine.plan(|pipeline| market.build(pipeline))?)
}

pub fn run(args: &BenchArgs, progress: &mut Progress) -> Result<Measured> {
    let (config, times) = (args.config()?, args.schedule());
    let engine = Engine::new(config.clone())?;
    args.output.as_deref().map_or(Ok(()), Csv::<()>::check)?;
    let mut measured = Measured::new(SCENARIO.name);
    let keys = table::count(args.keys.unwrap_or(KEYS).into());
    measured.report.setup = setup(args, &config, engine.cpus(), &format!("{keys} keys"));
    measured.noise(run::noise_floor(engine.cpus(), times.noise, progress));
    let start = SystemClock::new().now() + LEAD;
    // The warm-up counts from when the shards begin, a little before the first record.
    let span = LEAD + times.warm_up + times.measured;
    let market = Market { args: args.clone(), start, span: (!args.flat_out).then_some(span) };
    let timing = Timing {
        warm_up: times.warm_up + LEAD,
        measured: Some(times.measured),
        stop: args.flat_out,
    };
    let ran = run::engine(engine, timing, progress, move |pipeline| market.build(pipeline))?;
    measured.ran(&ran);
    if args.flat_out {
        measured.report.pace = "flat out".to_owned();
        measured.note(FLAT_OUT);
    } else {
        let rate = args.rate.unwrap_or(RATE);
        measured.report.offered_per_s = Some(rate);
        measured.report.pace = "open loop".to_owned();
        // The goals are set for this load and no other.
        let is_as_set = rate == RATE && config.shards.count() == 2 && args.output.is_none();
        compare(&mut measured, &ran, is_as_set);
    }
    Ok(measured)
}

impl Market {
    fn build(&self, p: Pipeline<'_>) -> crate::error::Result<()> {
        let (args, keys) = (&self.args, u64::from(self.args.keys.unwrap_or(KEYS)));
        let make = move |index, at| trade(index, at, keys);
        let rate = args.rate.unwrap_or(RATE);
        let trades = if args.flat_out {
            Generator::flat_out(rate, make)
        } else {
            Generator::at_rate(rate, make)
        };
        let trades = trades?.start_at(self.start).share(p.shard(), p.shards());
        let trades = self.span.map_or(trades.clone(), |span| trades.duration(span));
        let bars = bars(p.source(trades), window(args));
        match &args.output {
            Some(path) => {
                let encode = line(|key, line| _ = line.number(key));
                let sink = Csv::on_first(p, path, HEADER, encode)?;
                bars.ordered(|bar| bar.key).sink(sink);
            }
            None => {
                let mut sum = 0.0;
                bars.for_each(move |bar| sum = black_box(fold(sum, &bar.value)));
            }
        }
        Ok(())
    }
}

/// Event time between two points of a symbol's price, between which it goes in a straight line.
const LEG_NS_LOG2: u32 = 27;

/// Trade `index`, which happens at `at`.
///
/// Nothing is remembered from one trade to the next, so that it does not matter which shard makes
/// it: a price is looked up on a jagged line that is fixed for each symbol, a tick or two beside
/// it. A dozen nanoseconds.
#[inline]
fn trade(index: u64, at: Timestamp, keys: u64) -> Trade<u32> {
    let bits = mix(index);
    let symbol = ((bits >> 32) * keys) >> 32;
    let leg = at.as_nanos() >> LEG_NS_LOG2;
    let level = |leg: i64| (mix(symbol.rotate_left(40) ^ leg as u64) & 0x3ff) as i64;
    let (from, to) = (level(leg), level(leg.wrapping_add(1)));
    let into = at.as_nanos() & ((1 << LEG_NS_LOG2) - 1);
    let walk = from + (((to - from) * into) >> LEG_NS_LOG2);
    let ticks = 10_000 + (symbol as i64 * 97) % 40_000 + walk + (bits & 3) as i64;
    Trade {
        key: symbol as u32,
        price: ticks as f64 / 100.0,
        qty: (1 + (bits >> 2 & 0xff)) as f64,
        origin: (),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_walk_and_keys_are_all_there() {
        let mut seen = [false; 10];
        let mut last = [None::<f64>; 10];
        for index in 0..100_000u64 {
            let trade = trade(index, Timestamp(index as i64 * 1000), 10);
            let key = trade.key as usize;
            seen[key] = true;
            assert!(trade.price > 0.0 && trade.qty >= 1.0);
            let step = last[key].map_or(0.0, |last| (trade.price - last).abs());
            assert!(step < 0.2, "a walk has no jumps: {step}");
            last[key] = Some(trade.price);
        }
        assert_eq!(seen, [true; 10]);
    }
}
