//! `tablejoin`: two tables of a million rows in all joined by key while a tenth of them changes,
//! beside two hash maps.

use std::time::Instant;

use super::feed::Feed;
use super::open_loop::{self, OpenLoop, Sample, Times};
use super::trial::{Found, Tally, Trials, agree, pinned};
use super::{Measured, Scenario};
use crate::cli::args::BenchArgs;
use crate::cli::baseline::tables::upsert;
use crate::cli::baseline::{self, Checksum};
use crate::cli::failure::Result;
use crate::cli::progress::Progress;
use crate::cli::report::Goal;
use crate::cli::run;
use crate::cli::table;
use crate::config::{Config, Idle};
use crate::dataflow::{Change, Pipeline, Plan};
use crate::runtime::Engine;

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "tablejoin",
    about: "two tables of 500 000 rows joined by key, 10 % updates, beside two hash maps",
    takes: &[],
    plan,
    run,
};

/// Upserts of both tables at any rate; behind the first of each row all are updates.
pub const OPEN_LOOP: OpenLoop = OpenLoop::beside(
    SCENARIO.name,
    |args, span| open_loop::made(args, span, |index, _| upsert(index, ROWS.into())),
    sample,
);

/// Rows of each table.
const ROWS: u32 = 500_000;

/// Each row once, and a tenth as many updates.
const fn upserts(rows: u64) -> u64 {
    2 * rows + 2 * rows / 10
}

/// Records of a batch unless `--batch-max` says so: throughput is asked for here, not latency.
const BATCH_MAX: usize = 1024;

fn plan(args: &BenchArgs) -> Result<Plan> {
    let into = Found::default();
    Ok(Engine::new(args.config()?)?.plan(|p| build(p, Feed::flat_out(1), ROWS.into(), &into))?)
}

fn run(args: &BenchArgs, progress: &mut Progress) -> Result<Measured> {
    let batch_max = args.batch_max.unwrap_or(BATCH_MAX);
    let config = Config { idle: Idle::Spin, batch_max, ..args.config()? };
    let cpu = *Engine::new(config.clone())?.cpus().last().unwrap_or(&0);
    let times = args.schedule();
    let mut measured = Measured::new(SCENARIO.name);
    measured.noise(run::noise_floor(&[cpu], times.noise, progress));
    let rows = u64::from(args.keys.unwrap_or(ROWS));
    let records = upserts(rows);
    measured.report.setup = format!(
        "{} upserts of two tables of {} rows, 1 shard on CPU {cpu}, at most {batch_max} a batch",
        table::count(records),
        table::count(rows)
    );
    measured.report.pace = "flat out".to_owned();
    let started = Instant::now();
    progress.phase("hand loop", None);
    let by_hand = move || baseline::tables::join(records, rows);
    let hand = pinned(cpu, by_hand, records)?;
    let feed = Feed::flat_out(records);
    let build = move |p: Pipeline<'_>, into: &Found| build(p, feed, rows, into);
    let trials = Trials { config, records };
    let (ours, ran) = trials.engine("tablejoin", &[cpu], progress, build)?;
    agree("two hand-written maps", hand.1, ours.1)?;
    measured.report.records_per_s = ours.0;
    measured.ratio("tablejoin_vs_hand", ours.0 / hand.0, args.goal(Goal::AtLeast(0.4)));
    measured.steps(ran.summary.worst_step, &ran.summary.stage_work);
    measured.note(format!(
        "Engine {}, two hash maps {}; {} rows in the end.",
        table::rate(ours.0),
        table::rate(hand.0),
        table::count(ours.1.results)
    ));
    measured.report.seconds = started.elapsed().as_secs_f64();
    Ok(measured)
}

/// One rate, for so long.
fn sample(args: &BenchArgs, rate: f64, span: Times, progress: &mut Progress) -> Result<Sample> {
    let rows = u64::from(args.keys.unwrap_or(open_loop::KEYS));
    let words = format!("two tables of {} rows", table::count(rows));
    open_loop::fed(args, &words, rate, span, progress, move |p, feed| {
        build(p, feed, rows, &Found::default())
    })
}

fn build(p: Pipeline<'_>, feed: Feed, rows: u64, into: &Found) -> crate::error::Result<()> {
    let table = |which: usize| {
        let make = move |index, _at| upsert(index, rows);
        let changes = feed.share((2 * p.shard() + which, 2 * p.shards()), make)?;
        let keyed = p.source(changes).key_by(|row| row.key);
        Ok::<_, crate::error::Error>(keyed.table(|row| Some(row.value)))
    };
    let add = |found: &mut Checksum, (key, change): (u64, Change<u64>)| {
        found.change(key, change.before().copied(), change.after().copied());
    };
    table(0)?
        .join(table(1)?)
        .select(|left, right| u64::from(*left) * u64::from(*right))
        .to_changes()
        .sink(Tally::new(into, add));
    Ok(())
}
