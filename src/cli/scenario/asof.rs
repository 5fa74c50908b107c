//! `asof`: each trade joined with the latest quote of its symbol, beside two sorted arrays and one
//! pass.

use std::time::Instant;

use super::feed::Feed;
use super::open_loop::{self, OpenLoop, Sample, Times};
use super::trial::{Found, Tally, Trials, agree, pinned};
use super::{Measured, Scenario};
use crate::cli::args::BenchArgs;
use crate::cli::baseline::asof::{QUOTE_NS, TRADE_NS, Tick, quote, trade, trades};
use crate::cli::baseline::{self, Checksum};
use crate::cli::failure::Result;
use crate::cli::progress::Progress;
use crate::cli::report::Goal;
use crate::cli::run;
use crate::cli::table;
use crate::cli::workload::Reading;
use crate::config::{Config, Idle};
use crate::dataflow::{Pipeline, Plan};
use crate::runtime::Engine;
use crate::time::{Timestamp, Watermarks};

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "asof",
    about: "trades joined with the latest quotes of 1000 symbols, beside two sorted arrays",
    takes: &[],
    plan,
    run,
};

/// Quotes and trades at any rate, which is that of both together.
pub const OPEN_LOOP: OpenLoop = OpenLoop::beside(
    SCENARIO.name,
    |args, span| open_loop::made(args, span, |index, _| quote(index, SYMBOLS.into())),
    sample,
);

/// So many symbols.
const SYMBOLS: u32 = 1_000;

/// Trials that share the time of a run; each of the two takes several seconds for so many.
const QUOTES_PER_SECOND: f64 = 4e6;

/// Records of a batch unless `--batch-max` says so: throughput is asked for here, not latency.
const BATCH_MAX: usize = 1024;

fn plan(args: &BenchArgs) -> Result<Plan> {
    let into = Found::default();
    Ok(Engine::new(args.config()?)?
        .plan(|p| build(p, [Feed::flat_out(1); 2], SYMBOLS.into(), &into))?)
}

fn run(args: &BenchArgs, progress: &mut Progress) -> Result<Measured> {
    let batch_max = args.batch_max.unwrap_or(BATCH_MAX);
    let config = Config { idle: Idle::Spin, batch_max, ..args.config()? };
    let cpu = *Engine::new(config.clone())?.cpus().last().unwrap_or(&0);
    let times = args.schedule();
    let mut measured = Measured::new(SCENARIO.name);
    measured.noise(run::noise_floor(&[cpu], times.noise, progress));
    let quotes = (times.measured.as_secs_f64() * QUOTES_PER_SECOND) as u64;
    let records = quotes + trades(quotes);
    let symbols = u64::from(args.keys.unwrap_or(SYMBOLS));
    measured.report.setup = format!(
        "{} quotes and {} trades of {} symbols, 1 shard on CPU {cpu}, at most {batch_max} a batch",
        table::count(quotes),
        table::count(trades(quotes)),
        table::count(symbols)
    );
    measured.report.pace = "flat out".to_owned();
    let started = Instant::now();
    progress.phase("hand loop", None);
    let by_hand = move || baseline::asof::asof_join(quotes, symbols);
    let hand = pinned(cpu, by_hand, records)?;
    let feeds = [trades(quotes), quotes].map(Feed::flat_out);
    let build = move |p: Pipeline<'_>, into: &Found| build(p, feeds, symbols, into);
    let trials = Trials { config, records };
    let (ours, ran) = trials.engine("asof", &[cpu], progress, build)?;
    agree("pass over two sorted arrays", hand.1, ours.1)?;
    measured.report.records_per_s = ours.0;
    measured.ratio("asof_vs_sorted_arrays", ours.0 / hand.0, args.goal(Goal::AtLeast(0.3)));
    measured.steps(ran.summary.worst_step, &ran.summary.stage_work);
    measured.note(format!(
        "Engine {}, sorted arrays {}; {} trades had a quote.",
        table::rate(ours.0),
        table::rate(hand.0),
        table::count(ours.1.results)
    ));
    measured.report.seconds = started.elapsed().as_secs_f64();
    Ok(measured)
}

/// One rate, for so long.
fn sample(args: &BenchArgs, rate: f64, span: Times, progress: &mut Progress) -> Result<Sample> {
    let symbols = u64::from(args.keys.unwrap_or(SYMBOLS));
    let words = format!("quotes and trades of {} symbols", table::count(symbols));
    open_loop::fed(args, &words, rate, span, progress, move |p, feed| {
        let [of_quotes, of_trades] = [QUOTE_NS, TRADE_NS].map(|period| 1.0 / period as f64);
        let feeds = [of_trades, of_quotes].map(|own| feed.part(own / (of_trades + of_quotes)));
        build(p, feeds, symbols, &Found::default())
    })
}

/// Trades, and what quotes there are for them.
fn build(
    p: Pipeline<'_>,
    [trades, quotes]: [Feed; 2],
    symbols: u64,
    into: &Found,
) -> crate::error::Result<()> {
    let stream = |make: fn(u64, u64) -> Tick, feed: Feed| {
        let make = move |index, at: Timestamp| {
            let tick = make(index, symbols);
            Tick { at: if feed.is_due() { at.as_nanos() } else { tick.at }, ..tick }
        };
        let ticks = feed.share((p.shard(), p.shards()), make)?;
        let ticks = p.source(ticks).event_time(|r| Timestamp(r.at), Watermarks::monotonic());
        Ok::<_, crate::error::Error>(ticks.key_by(|r| r.reading.key))
    };
    let add = |found: &mut Checksum, (trade, quote): (Tick, Tick)| {
        let Reading { key, value } = trade.reading;
        found.add_pair(key, trade.at, value, quote.reading.value);
    };
    stream(trade, trades)?
        .asof_join(stream(quote, quotes)?)
        .select(|trade, quote| (*trade, *quote))
        .sink(Tally::new(into, add));
    Ok(())
}
