//! `process`: a process function with state and a timeout that every record puts off, beside a
//! hand-written loop.

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
use crate::operators::{KeyContext, Process, Timer};
use crate::runtime::Engine;
use crate::time::Timestamp;

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "process",
    about: "state and a timer a record, 100 000 keys, flat out, beside a hand-written loop",
    takes: &[],
    plan,
    run,
};

/// Readings at any rate; the timeout lasts as long as three of a meter take to come.
pub const OPEN_LOOP: OpenLoop = OpenLoop::beside(
    SCENARIO.name,
    |args, span| open_loop::made(args, span, |index, _| reading(index, KEYS.into())),
    sample,
);

/// Readings of so many meters.
const KEYS: u32 = 100_000;

/// The silence that ends a row of readings, in the mean time between two readings of a meter, which
/// come at any time: so one in twenty is the last of its row.
const TIMEOUT: f64 = 3.0;

/// Trials that share the time of a run; each of the two takes several seconds for so many.
const RECORDS_PER_SECOND: f64 = 2e6;

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
    let timeout_ns = timeout(feed, keys).as_nanos() as i64;
    let by_hand = move || baseline::process::count_and_sum(records, keys, timeout_ns);
    let hand = pinned(cpu, by_hand, records)?;
    let build = move |p: Pipeline<'_>, into: &Found| build(p, feed, keys, into);
    let trials = Trials { config, records };
    let (ours, ran) = trials.engine("process", &[cpu], progress, build)?;
    agree("hand-written loop", hand.1, ours.1)?;
    measured.report.records_per_s = ours.0;
    measured.ratio("process_m_per_s", ours.0 / 1e6, args.goal(Goal::AtLeast(5.0)));
    measured.ratio("process_vs_hand", ours.0 / hand.0, None);
    measured.steps(ran.summary.worst_step, &ran.summary.stage_work);
    measured.note(format!(
        "Engine {}, hand-written loop over hashbrown and a BTreeSet {}; {} timeouts fired.",
        table::rate(ours.0),
        table::rate(hand.0),
        table::count(ours.1.results)
    ));
    measured.report.seconds = started.elapsed().as_secs_f64();
    Ok(measured)
}

fn timeout(feed: Feed, keys: u64) -> Duration {
    feed.time_of(TIMEOUT * keys as f64)
}

/// One rate, for so long.
fn sample(args: &BenchArgs, rate: f64, span: Times, progress: &mut Progress) -> Result<Sample> {
    let keys = u64::from(args.keys.unwrap_or(open_loop::KEYS));
    let words = format!("{} keys, rows of 20 readings on average", table::count(keys));
    open_loop::fed(args, &words, rate, span, progress, move |p, feed| {
        build(p, feed, keys, &Found::default())
    })
}

fn build(p: Pipeline<'_>, feed: Feed, keys: u64, into: &Found) -> crate::error::Result<()> {
    let readings = feed.share((p.shard(), p.shards()), move |index, _at| reading(index, keys))?;
    let add = |found: &mut Checksum, row: (u64, Row)| {
        found.add(row.0, row.1.deadline.as_nanos(), row.1.count, row.1.sum);
    };
    p.source(readings)
        .key_by(|r| r.key)
        .process(Rows { timeout: timeout(feed, keys) })
        .sink(Tally::new(into, add));
    Ok(())
}

/// Counts and sums what a meter reads until it falls silent.
struct Rows {
    timeout: Duration,
}

#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Row {
    deadline: Timestamp,
    count: u64,
    sum: u64,
}

impl Process for Rows {
    type Key = u64;
    type In = Reading;
    type State = Row;
    type Out = (u64, Row);

    fn on_record(&mut self, reading: Reading, ctx: &mut KeyContext<'_, Self>) {
        let (key, at) = (ctx.key(), ctx.at());
        let row = ctx.state();
        let before = *row;
        // Records come ahead of the watermark: the timeout may be over and not have fired yet.
        let is_over = before.count > 0 && before.deadline <= at;
        if is_over {
            *row = Row::default();
        }
        row.deadline = at + self.timeout;
        row.count += 1;
        row.sum += u64::from(reading.value);
        let deadline = row.deadline;
        if before.count > 0 {
            ctx.cancel_timer(before.deadline);
        }
        ctx.set_timer(deadline);
        if is_over {
            ctx.emit((key, before));
        }
    }

    fn on_timer(&mut self, _: Timer, ctx: &mut KeyContext<'_, Self>) {
        let (key, row) = (ctx.key(), *ctx.state());
        ctx.emit((key, row));
        ctx.clear();
    }
}
