//! `join`: two streams joined by key and interval of time, beside a hand-written map of small
//! sorted vectors.

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::feed::Feed;
use super::open_loop::{self, OpenLoop, Sample, Times};
use super::trial::{Found, Tally, Trials, agree, pinned};
use super::{Measured, Scenario};
use crate::cli::args::BenchArgs;
use crate::cli::baseline::{self, Checksum};
use crate::cli::failure::Result;
use crate::cli::progress::Progress;
use crate::cli::report::Goal;
use crate::cli::run;
use crate::cli::table;
use crate::cli::workload::{Reading, reading};
use crate::config::{Config, Idle};
use crate::dataflow::{Pipeline, Plan};
use crate::join::{after, before};
use crate::runtime::Engine;
use crate::time::{Timestamp, Watermarks};

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "join",
    about: "two streams of 100 000 keys joined by interval, beside a map of sorted vectors",
    takes: &[],
    plan,
    run,
};

/// Readings at any rate, on both streams together.
pub const OPEN_LOOP: OpenLoop = OpenLoop::beside(
    SCENARIO.name,
    |args, span| open_loop::made(args, span, |index, _| reading(index, KEYS.into())),
    sample,
);

/// Readings of so many meters, on each stream.
const KEYS: u32 = 100_000;

/// Trials that share the time of a run; each of the two takes several seconds for so many.
const RECORDS_PER_SECOND: f64 = 2e6;

/// Records of a batch unless `--batch-max` says so: throughput is asked for here, not latency.
const BATCH_MAX: usize = 1024;

/// How far apart two readings may be, so that each has one partner on average: a key has one
/// reading among `2 * keys` on each stream.
fn reach(feed: Feed, keys: u64) -> Duration {
    feed.time_of(keys as f64)
}

fn plan(args: &BenchArgs) -> Result<Plan> {
    let into = Found::default();
    Ok(Engine::new(args.config()?)?.plan(|p| build(p, Feed::flat_out(1), KEYS.into(), &into))?)
}

fn run(args: &BenchArgs, progress: &mut Progress) -> Result<Measured> {
    let batch_max = args.batch_max.unwrap_or(BATCH_MAX);
    let config = Config { idle: Idle::Spin, batch_max, ..args.config()? };
    let cpu = *Engine::new(config.clone())?.cpus().last().unwrap_or(&0);
    let times = args.schedule();
    let mut measured = Measured::new(SCENARIO.name);
    measured.noise(run::noise_floor(&[cpu], times.noise, progress));
    let records = (times.measured.as_secs_f64() * RECORDS_PER_SECOND) as u64;
    let keys = u64::from(args.keys.unwrap_or(KEYS));
    measured.report.setup = format!(
        "{} records of {} keys on two streams, 1 shard on CPU {cpu}, at most {batch_max} a batch",
        table::count(records),
        table::count(keys)
    );
    measured.report.pace = "flat out".to_owned();
    let started = Instant::now();
    progress.phase("hand loop", None);
    let feed = Feed::flat_out(records);
    let reach_ns = reach(feed, keys).as_nanos() as i64;
    let by_hand = move || baseline::joins::interval_join(records, keys, reach_ns);
    let hand = pinned(cpu, by_hand, records)?;
    let build = move |p: Pipeline<'_>, into: &Found| build(p, feed, keys, into);
    let trials = Trials { config, records };
    let (ours, ran) = trials.engine("join", &[cpu], progress, build)?;
    agree("hand-written map of sorted vectors", hand.1, ours.1)?;
    measured.report.records_per_s = ours.0;
    measured.ratio("join_vs_hand", ours.0 / hand.0, args.goal(Goal::AtLeast(0.4)));
    measured.steps(ran.summary.worst_step, &ran.summary.stage_work);
    measured.note(format!(
        "Engine {}, hand-written map {}; {} pairs, {:.2} partners for a record on average.",
        table::rate(ours.0),
        table::rate(hand.0),
        table::count(ours.1.results),
        2.0 * ours.1.results as f64 / records as f64
    ));
    measured.report.seconds = started.elapsed().as_secs_f64();
    Ok(measured)
}

/// A reading and when it was taken.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Taken {
    reading: Reading,
    at: i64,
}

/// One rate, for so long.
fn sample(args: &BenchArgs, rate: f64, span: Times, progress: &mut Progress) -> Result<Sample> {
    let keys = u64::from(args.keys.unwrap_or(open_loop::KEYS));
    let words = format!("{} keys, a partner each on average", table::count(keys));
    open_loop::fed(args, &words, rate, span, progress, move |p, feed| {
        build(p, feed, keys, &Found::default())
    })
}

fn build(p: Pipeline<'_>, feed: Feed, keys: u64, into: &Found) -> crate::error::Result<()> {
    let reach = reach(feed, keys);
    let stream = |which: usize| {
        let make = move |index, at: Timestamp| Taken { reading: reading(index, keys), at: at.0 };
        let readings = feed.share((2 * p.shard() + which, 2 * p.shards()), make)?;
        let readings = p.source(readings).event_time(|r| Timestamp(r.at), Watermarks::monotonic());
        Ok::<_, crate::error::Error>(readings.key_by(|r| r.reading.key))
    };
    let add = |found: &mut Checksum, (left, right): (Taken, Taken)| {
        let Reading { key, value } = left.reading;
        found.add_pair(key, left.at.max(right.at), value, right.reading.value);
    };
    stream(0)?
        .interval_join(stream(1)?)
        .between(before(reach), after(reach))
        .select(|left, right| (*left, *right))
        .sink(Tally::new(into, add));
    Ok(())
}
