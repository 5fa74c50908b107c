//! `yahoo`: the streaming benchmark that Yahoo published in 2015: of what happens to ads the views
//! are kept, each finds its campaign in a table that does not change, and views are counted by
//! campaign in windows of ten seconds.
//!
//! As in the later runs of others, what happens is made in memory and not read as JSON from a
//! broker, so that it is the engine that is measured. With `--slo` and `--sweep` it comes at any
//! rate.

use std::time::Instant;

use super::feed::Feed;
use super::open_loop::{self, OpenLoop, Sample, Times};
use super::trial::{Found, Tally, Trials, agree, pinned};
use super::{Measured, Scenario};
use crate::cli::args::BenchArgs;
use crate::cli::baseline::Checksum;
use crate::cli::baseline::advertising::{self, Action, Shown, WINDOW_NS, campaigns, shown};
use crate::cli::failure::Result;
use crate::cli::progress::Progress;
use crate::cli::run;
use crate::cli::table;
use crate::config::{Config, Idle};
use crate::dataflow::{Pipeline, Plan};
use crate::lookup::TableLookup;
use crate::runtime::Engine;
use crate::time::{ms, ns};
use crate::window::aggregates::count;
use crate::window::{Tumbling, Windowed};

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "yahoo",
    about: "views of ads by campaign: filter, join with a static table, 10 s windows",
    takes: &[],
    plan,
    run,
};

/// What happens to ads, at any rate.
pub const OPEN_LOOP: OpenLoop = OpenLoop {
    name: SCENARIO.name,
    rate: 1e6,
    generator: |args, span| open_loop::made(args, span, |index, _| shown(index, CAMPAIGNS.into())),
    sample,
};

/// As many as the original has, each with ten ads.
const CAMPAIGNS: u32 = 100;

/// Trials that share the time of a run; each takes about a third of a second for so many records.
const RECORDS_PER_SECOND: f64 = 12e6;

/// The length of a window where events come at a rate.
const DUE_MS: u64 = 10;

/// Records of a batch unless `--batch-max` says so: throughput is asked for here, not latency.
const BATCH_MAX: usize = 1024;

fn plan(args: &BenchArgs) -> Result<Plan> {
    let into = Found::default();
    Ok(Engine::new(args.config()?)?
        .plan(|p| build(p, Feed::flat_out(1), CAMPAIGNS.into(), &into))?)
}

fn run(args: &BenchArgs, progress: &mut Progress) -> Result<Measured> {
    let batch_max = args.batch_max.unwrap_or(BATCH_MAX);
    let config = Config { idle: Idle::Spin, batch_max, ..args.config()? };
    let cpus = Engine::new(config.clone())?.cpus().to_vec();
    let times = args.schedule();
    let mut measured = Measured::new(SCENARIO.name);
    measured.noise(run::noise_floor(&cpus, times.noise, progress));
    let records = (times.measured.as_secs_f64() * RECORDS_PER_SECOND) as u64;
    let of = u64::from(args.keys.unwrap_or(CAMPAIGNS));
    measured.report.setup = format!(
        "{} records a trial of {} campaigns, at most {batch_max} a batch, CPUs {cpus:?}",
        table::count(records),
        table::count(of)
    );
    measured.report.pace = "flat out".to_owned();
    let started = Instant::now();
    progress.phase("hand loop", None);
    let hand = pinned(cpus[0], move || advertising::views(records, of), records)?;
    let trials = Trials { config, records };
    let feed = Feed::flat_out(records);
    let build = move |p: Pipeline<'_>, into: &Found| build(p, feed, of, into);
    let (alone, ran) = trials.engine("1 shard", &cpus[..1], progress, build)?;
    agree("hand-written loop", hand.1, alone.1)?;
    measured.steps(ran.summary.worst_step, &ran.summary.stage_work);
    measured.report.records_per_s = alone.0;
    measured.ratio("yahoo_vs_hand", alone.0 / hand.0, None);
    let mut said = format!(
        "Engine {} on one core, hand-written loop {}",
        table::rate(alone.0),
        table::rate(hand.0)
    );
    if cpus.len() > 1 {
        let (all, _) = trials.engine("all shards", &cpus, progress, build)?;
        agree("engine on one shard", alone.1, all.1)?;
        measured.ratio("yahoo_all_vs_1", all.0 / alone.0, None);
        said += &format!("; engine {} on {} cores", table::rate(all.0), cpus.len());
    } else {
        measured.note("One core only: nothing was compared on two.");
    }
    measured.note(format!("{said}. {} windows.", table::count(alone.1.results)));
    measured.report.seconds = started.elapsed().as_secs_f64();
    Ok(measured)
}

/// One rate, for so long.
fn sample(args: &BenchArgs, rate: f64, span: Times, progress: &mut Progress) -> Result<Sample> {
    let campaigns = u64::from(args.keys.unwrap_or(CAMPAIGNS));
    let words = format!("{campaigns} campaigns, windows of {DUE_MS} ms");
    open_loop::fed(args, &words, rate, span, progress, move |p, feed| {
        build(p, feed, campaigns, &Found::default())
    })
}

/// Views by campaign, in windows of ten seconds; at a rate in shorter ones, since one of ten
/// seconds would not end while it is tried.
fn build(p: Pipeline<'_>, feed: Feed, of: u64, into: &Found) -> crate::error::Result<()> {
    let size = if feed.is_due() { ms(DUE_MS) } else { ns(WINDOW_NS as u64) };
    let events = feed.share((p.shard(), p.shards()), move |index, _| shown(index, of))?;
    let add = |found: &mut Checksum, window: Windowed<u64, u64>| {
        found.add(window.key, window.span.end.as_nanos(), window.value, 0);
    };
    p.source(events)
        .filter(|shown| shown.action == Action::View)
        .lookup(TableLookup::new(campaigns(of)), |shown: &Shown| shown.ad)
        .inner()
        .key_by(|(_, campaign)| *campaign)
        .window(Tumbling::of(size))
        .aggregate(count())
        .sink(Tally::new(into, add));
    Ok(())
}
