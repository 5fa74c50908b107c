//! `hotkey`: a sliding sum on two shards where one key has half of all records, beside uniform
//! keys.

use std::time::Instant;

use super::feed::Feed;
use super::open_loop::{self, OpenLoop, Sample, Times};
use super::trial::{Found, Tally, Trial, Trials, agree, count_and_sum};
use super::{Measured, Scenario};
use crate::cli::args::BenchArgs;
use crate::cli::failure::Result;
use crate::cli::progress::Progress;
use crate::cli::report::Goal;
use crate::cli::run;
use crate::cli::table;
use crate::cli::workload::{Reading, reading, skewed_reading};
use crate::config::{Config, Idle};
use crate::dataflow::{Pipeline, Plan};
use crate::metrics::Counter;
use crate::runtime::Engine;
use crate::time::ns;
use crate::window::aggregates::{count, sum};
use crate::window::{HotKeys, Sliding};

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "hotkey",
    about: "sliding sum on two shards, one key with half of all records, beside uniform keys",
    takes: &[],
    plan,
    run,
};

/// Readings at any rate, half of them of one meter, in shorter windows.
pub const OPEN_LOOP: OpenLoop = OpenLoop::beside(
    SCENARIO.name,
    |args, span| open_loop::made(args, span, |index, _| skewed_reading(index, KEYS.into())),
    sample,
);

/// Readings of so many meters.
const KEYS: u32 = 100_000;

/// Trials that share the time of a run; each of the four takes about a second for so many records.
const RECORDS_PER_SECOND: f64 = 6e6;

/// Records of a batch unless `--batch-max` says so: throughput is asked for here, not latency.
const BATCH_MAX: usize = 1024;

const SIZE_NS: u64 = 10_000_000_000;
const SLIDE_NS: u64 = 1_000_000_000;
/// Where readings come at a rate, windows are so many times as short.
const SHORTER: u64 = 100;

/// What is read, and how it is aggregated.
#[derive(Clone, Copy)]
struct Way {
    /// Every other reading is of one meter.
    is_skewed: bool,
    /// Hot keys are split.
    splits: bool,
}

fn plan(args: &BenchArgs) -> Result<Plan> {
    let (into, way) = (Found::default(), Way { is_skewed: true, splits: true });
    Ok(Engine::new(args.config()?)?
        .plan(|p| sums(p, way, Feed::flat_out(1), KEYS.into(), &into))?)
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
        "{} records a trial of {} keys, at most {batch_max} a batch, CPUs {cpus:?}",
        table::count(records),
        table::count(keys_of(args))
    );
    measured.report.pace = "flat out".to_owned();
    let started = Instant::now();
    let trials = Trials { config, records };
    match cpus[..] {
        [first, second, ..] => compare(&mut measured, [first, second], args, &trials, progress)?,
        _ => measured.note("One core only: there is nobody to share a hot key with."),
    }
    measured.report.seconds = started.elapsed().as_secs_f64();
    Ok(measured)
}

fn keys_of(args: &BenchArgs) -> u64 {
    args.keys.unwrap_or(KEYS).into()
}

fn compare(
    measured: &mut Measured,
    cpus: [usize; 2],
    args: &BenchArgs,
    trials: &Trials,
    progress: &mut Progress,
) -> Result<()> {
    let (records, keys) = (trials.records, keys_of(args));
    let feed = Feed::flat_out(records);
    let mut trial = |phase, is_skewed, splits| {
        let way = Way { is_skewed, splits };
        let build = move |p: Pipeline<'_>, into: &Found| sums(p, way, feed, keys, into);
        trials.engine(phase, &cpus, progress, build)
    };
    let (uniform, _): (Trial, _) = trial("uniform keys", false, false)?;
    let (watched, _) = trial("uniform keys, watched", false, true)?;
    let (whole, _) = trial("a hot key", true, false)?;
    let (split, ran) = trial("a hot key, split", true, true)?;
    agree("engine that watches for hot keys", watched.1, uniform.1)?;
    agree("engine that splits none", whole.1, split.1)?;
    measured.steps(ran.summary.worst_step.clone(), &ran.summary.stage_work);
    measured.report.records_per_s = split.0;
    measured.report.counters = ran.counters;
    let goal = args.goal(Goal::AtLeast(0.7));
    measured.ratio("hot_split_vs_uniform", split.0 / uniform.0, goal);
    measured.ratio("hot_whole_vs_uniform", whole.0 / uniform.0, None);
    measured.ratio("uniform_watched_vs_uniform", watched.0 / uniform.0, None);
    let stayed = ran.summary.counters.get(Counter::HotRecords);
    measured.note(format!(
        "Two cores: uniform keys {}, and {} when hot keys are looked for; one key with half of all \
         records {}, and {} when it is split. {} of {} records were aggregated where they arrived.",
        table::rate(uniform.0),
        table::rate(watched.0),
        table::rate(whole.0),
        table::rate(split.0),
        table::count(stayed),
        table::count(records)
    ));
    Ok(())
}

/// One rate, for so long.
fn sample(args: &BenchArgs, rate: f64, span: Times, progress: &mut Progress) -> Result<Sample> {
    let keys = u64::from(args.keys.unwrap_or(open_loop::KEYS));
    let [size, slide] = [SIZE_NS, SLIDE_NS].map(|span| ns(span / SHORTER));
    let words = format!("{} keys and a hot one, {size:?} every {slide:?}", table::count(keys));
    let way = Way { is_skewed: true, splits: true };
    open_loop::fed(args, &words, rate, span, progress, move |p, feed| {
        sums(p, way, feed, keys, &Found::default())
    })
}

fn sums(
    p: Pipeline<'_>,
    way: Way,
    feed: Feed,
    keys: u64,
    into: &Found,
) -> crate::error::Result<()> {
    let make = move |index, _at| match way.is_skewed {
        true => skewed_reading(index, keys),
        false => reading(index, keys),
    };
    let readings = p.source(feed.share((p.shard(), p.shards()), make)?);
    let shorter = if feed.is_due() { SHORTER } else { 1 };
    let [size, slide] = [SIZE_NS, SLIDE_NS].map(|span| ns(span / shorter));
    let windows = readings.key_by(|r| r.key).window(Sliding::of(size).every(slide));
    let what = (count(), sum(|r: &Reading| r.value));
    let results = Tally::new(into, count_and_sum);
    match way.splits {
        true => windows.split_hot_keys(HotKeys::default()).aggregate(what).sink(results),
        false => windows.aggregate(what).sink(results),
    }
    Ok(())
}
