//! Generated trades: an open loop at a given rate, the same trades on any number of shards.

use std::hint::black_box;
use std::time::Duration;

use super::trade::{HEADER, Trade, bars, fold, line};
use super::{CLOSED, FLAT_OUT, compare, setup, window};
use crate::cli::args::BenchArgs;
use crate::cli::failure::Result;
use crate::cli::output::Csv;
use crate::cli::progress::Progress;
use crate::cli::run::{self, Timing};
use crate::cli::scenario::open_loop::{self, FASTEST, LEAD, Sample, Times, patience};
use crate::cli::scenario::{Measured, bars::SCENARIO};
use crate::cli::table;
use crate::cli::workload::mix;
use crate::config::{Config, Shards};
use crate::dataflow::{Pipeline, Plan};
use crate::error::ConfigError;
use crate::io::{Arrival, Generator, Source};
use crate::runtime::Engine;
use crate::time::{Clock, SystemClock, Timestamp};

/// Records a second unless `--rate` says so; and flat out, the records of a second of event time.
pub const RATE: f64 = 1e6;
/// Keys unless `--keys` says so.
const KEYS: u32 = 1000;

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
    let engine = Engine::new(config(args)?)?;
    Ok(engine.plan(|pipeline| market.build(pipeline))?)
}

pub fn run(args: &BenchArgs, progress: &mut Progress) -> Result<Measured> {
    let (config, times) = (config(args)?, args.schedule());
    let engine = Engine::new(config.clone())?;
    args.output.as_deref().map_or(Ok(()), Csv::<()>::check)?;
    let mut measured = Measured::new(SCENARIO.name);
    measured.report.setup = in_words(args, &config, &engine);
    measured.noise(run::noise_floor(engine.cpus(), times.noise, progress));
    let span = LEAD + times.warm_up + times.measured;
    let market = Market::of(args, (!args.flat_out).then_some(span));
    // A file of bars has those of all trades, however long that takes.
    let timing = Timing {
        warm_up: times.warm_up + LEAD,
        measured: Some(times.measured),
        stop: match args.flat_out {
            true => Some(Duration::ZERO),
            false => args.output.is_none().then(|| patience(span)),
        },
    };
    let ran = run::engine(engine, timing, progress, move |pipeline| market.build(pipeline))?;
    measured.ran(&ran);
    let rate = args.rate.unwrap_or(RATE);
    if args.flat_out {
        measured.report.pace = "flat out".to_owned();
        measured.note(FLAT_OUT);
    } else if args.load.closed_loop {
        measured.report.pace = format!("closed loop of at most {}", table::rate(rate));
        measured.note(CLOSED);
    } else {
        measured.report.offered_per_s = Some(rate);
        measured.report.pace = args.load.pace();
        // The goals are set for this load and no other.
        let is_usual = rate == RATE && args.load.arrival() == Arrival::Constant;
        let is_as_set = is_usual && config.shards.count() == 2 && args.output.is_none();
        compare(&mut measured, &ran, is_as_set);
    }
    Ok(measured)
}

/// One shard for a closed loop: there, a record is through before the next one is made.
fn config(args: &BenchArgs) -> Result<Config> {
    let config = args.config()?;
    if !args.load.closed_loop || config.shards.count() == 1 {
        return Ok(config);
    }
    if args.shards.is_some() || !args.cpus.is_empty() {
        let reason = "a closed loop is on one shard, where a record is through before the next";
        return Err(ConfigError::setting("shards", config.shards.count(), reason).into());
    }
    Ok(Config { shards: Shards::Count(1), ..config })
}

fn in_words(args: &BenchArgs, config: &Config, engine: &Engine) -> String {
    let keys = table::count(args.keys.unwrap_or(KEYS).into());
    setup(args, config, engine.cpus(), &format!("{keys} keys"))
}

/// One rate, for so long.
pub fn sample(args: &BenchArgs, rate: f64, span: Times, progress: &mut Progress) -> Result<Sample> {
    let args = BenchArgs { rate: Some(rate), ..args.clone() };
    let config = args.config()?;
    let engine = Engine::new(config.clone())?;
    let setup = in_words(&args, &config, &engine);
    let market = Market::of(&args, Some(span.whole()));
    open_loop::sample(engine, setup, span, progress, move |pipeline| market.build(pipeline))
}

/// Trades a second that the shards make where nobody takes them: the generator alone, on the first
/// of the cores, times the shards.
pub fn alone(args: &BenchArgs, span: Times) -> Result<f64> {
    let engine = Engine::new(args.config()?)?;
    let shards = engine.cpus().len();
    let cpu = engine.cpus().first().copied().unwrap_or(0);
    let market = Market::of(args, None);
    let trades = move || Ok(market.trades(FASTEST, (0, shards))?);
    Ok(open_loop::alone(cpu, span.measured, trades)? * shards as f64)
}

impl Market {
    /// One that begins in a moment.
    fn of(args: &BenchArgs, span: Option<Duration>) -> Self {
        Self { args: args.clone(), start: SystemClock::new().now() + LEAD, span }
    }

    /// The trades of one shard, at `rate`.
    fn trades(
        &self,
        rate: f64,
        (shard, shards): (usize, usize),
    ) -> std::result::Result<impl Source<Out = Trade<u32>> + use<>, ConfigError> {
        let (args, keys) = (&self.args, u64::from(self.args.keys.unwrap_or(KEYS)));
        let make = move |index, at| trade(index, at, keys);
        let trades = match args.flat_out {
            true => Generator::flat_out(rate, make)?,
            false => Generator::at_rate(rate, make)?,
        };
        let trades = trades.arrival(args.load.arrival())?.start_at(self.start);
        let trades = trades.share(shard, shards);
        let trades = if args.load.closed_loop { trades.closed_loop() } else { trades };
        Ok(self.span.map_or(trades.clone(), |span| trades.duration(span)))
    }

    fn build(&self, p: Pipeline<'_>) -> crate::error::Result<()> {
        let args = &self.args;
        let trades = self.trades(args.rate.unwrap_or(RATE), (p.shard(), p.shards()))?;
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
