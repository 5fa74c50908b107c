//! `sessions`: a keyed count and sum of sessions, some records out of order, beside a hand-written
//! map of sessions.

use std::time::{Duration, Instant};

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
use crate::cli::workload::{Delayed, delayed};
use crate::config::{Config, Idle};
use crate::dataflow::{Pipeline, Plan};
use crate::runtime::Engine;
use crate::time::{Timestamp, Watermarks};
use crate::window::aggregates::{count, sum};
use crate::window::{Session, Windowed};

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "sessions",
    about: "sessions of 100 000 keys, 10 % out of order, flat out, beside a hand-written map",
    takes: &[],
    plan,
    run,
};

/// Readings at any rate, whose gaps last as long as some of them take to come.
pub const OPEN_LOOP: OpenLoop = OpenLoop::beside(
    SCENARIO.name,
    |args, span| {
        open_loop::made(args, span, |index, at| delayed(index, at.as_nanos(), KEYS.into(), 1))
    },
    sample,
);

/// Readings of so many meters.
const KEYS: u32 = 100_000;

/// The silence that ends a session, in the mean time between two readings of a meter, which come
/// at any time: this is ln 7, so sessions hold 7 readings on average.
const GAP: f64 = 1.95;

/// What comes late comes less than this part of a gap late.
const DELAY: f64 = 0.1;

/// Trials that share the time of a run; each of the two takes several seconds for so many.
const RECORDS_PER_SECOND: f64 = 3e6;

/// Records of a batch unless `--batch-max` says so: throughput is asked for here, not latency.
const BATCH_MAX: usize = 1024;

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
        "{} records of {} keys, 1 shard on CPU {cpu}, at most {batch_max} a batch",
        table::count(records),
        table::count(keys)
    );
    measured.report.pace = "flat out".to_owned();
    let started = Instant::now();
    progress.phase("hand loop", None);
    let feed = Feed::flat_out(records);
    let [gap, delay] = spans(feed, keys).map(|span| span.as_nanos() as i64);
    let by_hand = move || baseline::sessions::count_and_sum(records, keys, gap, delay);
    let hand = pinned(cpu, by_hand, records)?;
    let build = move |p: Pipeline<'_>, into: &Found| build(p, feed, keys, into);
    let trials = Trials { config, records };
    let (ours, ran) = trials.engine("sessions", &[cpu], progress, build)?;
    agree("hand-written map of sessions", hand.1, ours.1)?;
    measured.report.records_per_s = ours.0;
    measured.ratio("sessions_vs_hand", ours.0 / hand.0, args.goal(Goal::AtLeast(0.4)));
    measured.steps(ran.summary.worst_step, &ran.summary.stage_work);
    measured.note(format!(
        "Engine {}, hand-written map {}; {} sessions of {:.1} records on average.",
        table::rate(ours.0),
        table::rate(hand.0),
        table::count(ours.1.results),
        records as f64 / ours.1.results.max(1) as f64
    ));
    measured.report.seconds = started.elapsed().as_secs_f64();
    Ok(measured)
}

/// How long the silence is that ends a session, and how late at most what comes late.
fn spans(feed: Feed, keys: u64) -> [Duration; 2] {
    [GAP, GAP * DELAY].map(|part| feed.time_of(part * keys as f64))
}

/// One rate, for so long.
fn sample(args: &BenchArgs, rate: f64, span: Times, progress: &mut Progress) -> Result<Sample> {
    let keys = u64::from(args.keys.unwrap_or(open_loop::KEYS));
    let words = format!("{} keys, sessions of 7 readings on average", table::count(keys));
    open_loop::fed(args, &words, rate, span, progress, move |p, feed| {
        build(p, feed, keys, &Found::default())
    })
}

fn build(p: Pipeline<'_>, feed: Feed, keys: u64, into: &Found) -> crate::error::Result<()> {
    let [gap, delay] = spans(feed, keys);
    let delay_ns = delay.as_nanos() as i64;
    let make = move |index, at: Timestamp| delayed(index, at.as_nanos(), keys, delay_ns);
    let readings = feed.share((p.shard(), p.shards()), make)?;
    let add = |found: &mut Checksum, result: Windowed<u64, (u64, u64)>| {
        let Windowed { key, span, value: (count, sum), .. } = result;
        found.add_session(key, [span.start, span.end].map(Timestamp::as_nanos), count, sum);
    };
    p.source(readings)
        .event_time(|r| Timestamp(r.at), Watermarks::bounded_disorder(delay))
        .key_by(|r| r.reading.key)
        .session(Session::gap(gap))
        .aggregate((count(), sum(|r: &Delayed| r.reading.value)))
        .sink(Tally::new(into, add));
    Ok(())
}
