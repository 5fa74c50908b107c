//! `sessions`: a keyed count and sum of sessions, some records out of order, beside a hand-written
//! map of sessions.

use std::time::Instant;

use super::trial::{Found, Tally, Trials, agree, pinned};
use super::{Measured, Scenario};
use crate::cli::args::BenchArgs;
use crate::cli::baseline::{self, Checksum};
use crate::cli::failure::Result;
use crate::cli::progress::Progress;
use crate::cli::report::Goal;
use crate::cli::run;
use crate::cli::table;
use crate::cli::workload::{Delayed, PERIOD_NS, delayed};
use crate::config::{Config, Idle};
use crate::dataflow::{Pipeline, Plan};
use crate::io::Generator;
use crate::runtime::Engine;
use crate::time::{Timestamp, Watermarks, ns};
use crate::window::aggregates::{count, sum};
use crate::window::{Session, Windowed};

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "sessions",
    about: "sessions of 100 000 keys, 10 % out of order, flat out, beside a hand-written map",
    takes_trades: false,
    plan,
    run,
};

/// Readings of so many meters.
const KEYS: u32 = 100_000;

/// The silence that ends a session. Each of the meters is read every 100 ms on average, at any
/// time: this is ln 7 of that, so sessions hold 7 readings on average.
const GAP_NS: i64 = 195_000_000;

/// What comes late comes less than this late.
const DELAY_NS: i64 = GAP_NS / 10;

/// Trials that share the time of a run; each of the two takes several seconds for so many.
const RECORDS_PER_SECOND: f64 = 3e6;

/// Records of a batch unless `--batch-max` says so: throughput is asked for here, not latency.
const BATCH_MAX: usize = 1024;

fn plan(args: &BenchArgs) -> Result<Plan> {
    let into = Found::default();
    Ok(Engine::new(args.config()?)?.plan(|p| build(p, 1, KEYS.into(), &into))?)
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
    let by_hand = move || baseline::sessions::count_and_sum(records, keys, GAP_NS, DELAY_NS);
    let hand = pinned(cpu, by_hand, records)?;
    let build = move |p: Pipeline<'_>, into: &Found| build(p, records, keys, into);
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

fn build(p: Pipeline<'_>, records: u64, keys: u64, into: &Found) -> crate::error::Result<()> {
    let make = move |index, _at| delayed(index, keys, DELAY_NS);
    let readings = Generator::flat_out(1e9 / PERIOD_NS as f64, make)?
        .count(records)
        .share(p.shard(), p.shards());
    let add = |found: &mut Checksum, result: Windowed<u64, (u64, u64)>| {
        let Windowed { key, span, value: (count, sum), .. } = result;
        found.add_session(key, [span.start, span.end].map(Timestamp::as_nanos), count, sum);
    };
    p.source(readings)
        .event_time(|r| Timestamp(r.at), Watermarks::bounded_disorder(ns(DELAY_NS as u64)))
        .key_by(|r| r.reading.key)
        .session(Session::gap(ns(GAP_NS as u64)))
        .aggregate((count(), sum(|r: &Delayed| r.reading.value)))
        .sink(Tally::new(into, add));
    Ok(())
}
