//! `window`: a keyed tumbling count and sum as fast as it goes, beside hand-written loops.

use std::thread;
use std::time::Instant;

use super::feed::Feed;
use super::open_loop::{self, OpenLoop, Sample, Times};
use super::trial::{Found, Tally, Trial, Trials, agree, count_and_sum, failed, pinned};
use super::{Measured, Scenario};
use crate::cli::args::BenchArgs;
use crate::cli::baseline;
use crate::cli::failure::{Failure, Result};
use crate::cli::progress::Progress;
use crate::cli::report::Goal;
use crate::cli::run::{self, Ran};
use crate::cli::workload::{Reading, WINDOW_NS, reading, reading_of_part};
use crate::cli::{pin, table};
use crate::config::{Config, Idle};
use crate::dataflow::{Pipeline, Plan};
use crate::runtime::Engine;
use crate::time::{ms, ns};
use crate::window::Tumbling;
use crate::window::aggregates::{count, sum};

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "window",
    about: "keyed tumbling count and sum, 100 000 keys, flat out, beside hand-written loops",
    takes: &[],
    plan,
    run,
};

/// Readings at any rate, in short windows.
pub const OPEN_LOOP: OpenLoop = OpenLoop::beside(
    SCENARIO.name,
    |args, span| open_loop::made(args, span, |index, _| reading(index, KEYS)),
    sample,
);

/// Readings of so many meters.
const KEYS: u64 = 100_000;

/// The length of a window where readings come at a rate.
const DUE_MS: u64 = 10;

/// Trials that share the time of a run; each takes about a second for so many records.
const RECORDS_PER_SECOND: f64 = 6e6;

/// Records of a batch unless `--batch-max` says so: throughput is asked for here, not latency. The
/// exchange by hand makes as many at a time.
const BATCH_MAX: usize = 1024;

/// How records find their key's owner.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Over the mesh.
    Exchange,
    /// They are where they belong when they are made.
    Partitioned,
    /// Aggregated where they are made; accumulators cross the mesh.
    Precombined,
}

fn plan(args: &BenchArgs) -> Result<Plan> {
    let into = Found::default();
    Ok(Engine::new(args.config()?)?
        .plan(|p| build(p, (Way::Exchange, KEYS), Feed::flat_out(1), &into))?)
}

fn run(args: &BenchArgs, progress: &mut Progress) -> Result<Measured> {
    let batch_max = args.batch_max.unwrap_or(BATCH_MAX);
    let config = Config { idle: Idle::Spin, batch_max, ..args.config()? };
    let cpus = Engine::new(config.clone())?.cpus().to_vec();
    let times = args.schedule();
    let mut measured = Measured::new(SCENARIO.name);
    measured.noise(run::noise_floor(&cpus, times.noise, progress));
    let records = (times.measured.as_secs_f64() * RECORDS_PER_SECOND) as u64;
    measured.report.setup = format!(
        "{} records a trial, at most {batch_max} a batch, CPUs {cpus:?}",
        table::count(records)
    );
    measured.report.pace = "flat out".to_owned();
    let started = Instant::now();
    let trials = Trials { config, records };
    progress.phase("hand loop", None);
    let hand = pinned(cpus[0], move || baseline::window::count_and_sum(records, KEYS), records)?;
    let (alone, ran) = engine(&trials, "1 shard", &cpus[..1], Way::Exchange, progress)?;
    measured.steps(ran.summary.worst_step, &ran.summary.stage_work);
    agree("hand-written loop", hand.1, alone.1)?;
    measured.report.records_per_s = alone.0;
    measured.ratio("window_vs_hand_loop", alone.0 / hand.0, Some(Goal::AtLeast(1.0)));
    measured.note(format!(
        "One core: engine {}, hand-written loop over hashbrown {}.",
        table::rate(alone.0),
        table::rate(hand.0)
    ));
    match cpus[..] {
        [first, second, ..] => {
            on_two(&mut measured, [first, second], alone, &trials, progress)?;
        }
        _ => measured.note("One core only: nothing was compared on two."),
    }
    measured.report.seconds = started.elapsed().as_secs_f64();
    Ok(measured)
}

/// Runs the engine once over the readings.
fn engine(
    trials: &Trials,
    phase: &'static str,
    cpus: &[usize],
    way: Way,
    progress: &mut Progress,
) -> Result<(Trial, Ran)> {
    let feed = Feed::flat_out(trials.records);
    trials.engine(phase, cpus, progress, move |p, into| build(p, (way, KEYS), feed, into))
}

fn on_two(
    measured: &mut Measured,
    cpus: [usize; 2],
    alone: Trial,
    trials: &Trials,
    progress: &mut Progress,
) -> Result<()> {
    let on_both = |phase, way, progress: &mut Progress| {
        Ok::<_, Failure>(engine(trials, phase, &cpus, way, progress)?.0)
    };
    let partitioned = on_both("2 shards, partitioned", Way::Partitioned, progress)?;
    progress.phase("hand exchange", None);
    let hand = exchange_by_hand(cpus, trials.records)?;
    let exchanged = on_both("2 shards, exchange", Way::Exchange, progress)?;
    let combined = on_both("2 shards, pre-combined", Way::Precombined, progress)?;
    agree("hand-written exchange", hand.1, exchanged.1)?;
    agree("engine on one shard", alone.1, exchanged.1)?;
    agree("pre-combined engine", combined.1, exchanged.1)?;
    let at_least = |goal| Some(Goal::AtLeast(goal));
    measured.ratio("partitioned_2_vs_1", partitioned.0 / alone.0, at_least(1.8));
    measured.ratio("exchange_2_vs_hand", exchanged.0 / hand.0, at_least(0.9));
    measured.ratio("precombined_2_vs_1", combined.0 / alone.0, at_least(1.6));
    measured.note(format!(
        "Two cores: partitioned {}; exchange {}, hand-written exchange {}; pre-combined {}.",
        table::rate(partitioned.0),
        table::rate(exchanged.0),
        table::rate(hand.0),
        table::rate(combined.0)
    ));
    Ok(())
}

fn build(
    p: Pipeline<'_>,
    (way, keys): (Way, u64),
    feed: Feed,
    into: &Found,
) -> crate::error::Result<()> {
    let (part, parts) = (p.shard() as u64, p.shards() as u64);
    let make = move |index, _at| match way {
        Way::Partitioned => reading_of_part(index, keys, part, parts),
        _ => reading(index, keys),
    };
    let readings = p.source(feed.share((p.shard(), p.shards()), make)?);
    let keyed = match way {
        Way::Partitioned => readings.partitioned_by(|r| r.key),
        _ => readings.key_by(|r| r.key),
    };
    // One of a second would hardly end while a rate is tried.
    let size = if feed.is_due() { ms(DUE_MS) } else { ns(WINDOW_NS as u64) };
    let windows = keyed.window(Tumbling::of(size));
    let what = (count(), sum(|r: &Reading| r.value));
    let results = Tally::new(into, count_and_sum);
    match way {
        Way::Precombined => windows.precombine().aggregate(what).sink(results),
        _ => windows.aggregate(what).sink(results),
    }
    Ok(())
}

/// One rate, for so long.
fn sample(args: &BenchArgs, rate: f64, span: Times, progress: &mut Progress) -> Result<Sample> {
    let keys = u64::from(args.keys.unwrap_or(open_loop::KEYS));
    let words = format!("{} keys, windows of {DUE_MS} ms", table::count(keys));
    open_loop::fed(args, &words, rate, span, progress, move |p, feed| {
        build(p, (Way::Exchange, keys), feed, &Found::default())
    })
}

fn exchange_by_hand(cpus: [usize; 2], records: u64) -> Result<Trial> {
    let [first, second] = baseline::exchange::pair(records, KEYS);
    let other = thread::spawn(move || {
        pin::this_thread(cpus[1]);
        second.run()
    });
    let (rate, mut found) = pinned(cpus[0], move || first.run(), records)?;
    found.merge(other.join().map_err(|_| failed("the hand-written exchange panicked"))?);
    Ok((rate, found))
}
