//! `nexmark`: the queries of an auction house, one or all, flat out on one shard and on two, and
//! the latency of each in an open loop (`load.rs`).
//!
//! Each result is reduced to a number that does not depend on the order of its rows (`digest.rs`),
//! and it must be the same on one shard, on two, and where events come disordered.

mod digest;
mod load;

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::open_loop::{self, OpenLoop};
use super::trial::{Found, Trials, agree};
use super::{Measured, Scenario, Takes};
use crate::cli::args::BenchArgs;
use crate::cli::baseline::Checksum;
use crate::cli::failure::Result;
use crate::cli::progress::Progress;
use crate::cli::report::QueryFigures;
use crate::cli::run;
use crate::cli::table;
use crate::config::{Config, Idle};
use crate::dataflow::{Pipeline, Plan};
use crate::error::ConfigError;
use crate::io::Generator;
use crate::nexmark::{Event, Nexmark, Query};
use crate::runtime::Engine;
use digest::Digest;
use load::Load;

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "nexmark",
    about: "queries 0 to 22 of an auction house, flat out and open loop: `nexmark q5`, or all",
    takes: &[Takes::Rate, Takes::Arrival, Takes::Breakdown],
    plan,
    run,
};

/// One query at any rate.
pub const OPEN_LOOP: OpenLoop = OpenLoop {
    name: SCENARIO.name,
    rate: open_loop::RATE,
    generator: load::alone,
    sample: load::sample,
};

/// Events that share the time of a run: one query takes about a second for so many on one shard.
const EVENTS_PER_SECOND: f64 = 1e6;
/// As many as are kept in memory: some 400 MB.
const EVENTS_MAX: u64 = 4 << 20;
/// Events that change places where they come disordered.
const DISORDER: u64 = 64;

/// Records of a batch unless `--batch-max` says so: throughput is asked for here, not latency.
const BATCH_MAX: usize = 1024;

fn plan(args: &BenchArgs) -> Result<Plan> {
    let query = queries(args)?[0];
    let (nexmark, into) = (Nexmark::default(), Found::default());
    let events = [].into();
    Ok(Engine::new(args.config()?)?.plan(|p| flat_out(p, query, &nexmark, &events, &into))?)
}

/// The queries asked for: one or all.
fn queries(args: &BenchArgs) -> Result<Vec<Query>> {
    match args.query.as_deref() {
        None | Some("all") => Ok(Query::all().collect()),
        Some(name) => Ok(vec![name.parse()?]),
    }
}

fn run(args: &BenchArgs, progress: &mut Progress) -> Result<Measured> {
    let queries = queries(args)?;
    if args.breakdown && queries.len() > 1 {
        let reason = "--breakdown is of one query, not of all: say `nexmark q5`";
        return Err(ConfigError::setting("query", "all", reason).into());
    }
    let batch_max = args.batch_max.unwrap_or(BATCH_MAX);
    // Stamps cost some of what they measure, and are shown of the open loop.
    let config = Config { idle: Idle::Spin, batch_max, breakdown: false, ..args.config()? };
    let cpus = Engine::new(config.clone())?.cpus().to_vec();
    let times = args.schedule();
    let mut measured = Measured::new(SCENARIO.name);
    measured.noise(run::noise_floor(&cpus, times.noise, progress));
    // On one shard, on all, disordered, and in the open loop.
    let share = times.measured.as_secs_f64() / (4 * queries.len()) as f64;
    let groups = ((share * EVENTS_PER_SECOND) as u64).clamp(1 << 13, EVENTS_MAX) / DISORDER;
    let bench = Bench::new(config, &cpus, groups * DISORDER, progress);
    measured.report.setup = format!(
        "{} events in memory; 1 shard and {} on CPUs {cpus:?}, at most {batch_max} a batch",
        table::count(bench.trials.records),
        cpus.len()
    );
    measured.note(bench.generated.clone());
    let started = Instant::now();
    let mut total = 0.0;
    let load = Load::of(args, Duration::from_secs_f64(share), queries.len() == 1);
    for query in &queries {
        let figures = bench.query(*query, progress, &mut measured)?;
        total += 1.0 / figures.one_shard_per_s;
        load.measure(*query, figures, progress, &mut measured)?;
    }
    load.report(cpus.len(), &mut measured);
    measured.report.records_per_s = queries.len() as f64 / total;
    if queries.len() > 1 {
        measured
            .note("The rate flat out is that of all queries on one shard, one after the other.");
    }
    if cpus.len() == 1 {
        measured.note("One core only: nothing was run on two shards.");
    }
    measured.report.seconds = started.elapsed().as_secs_f64();
    Ok(measured)
}

/// What all queries are measured with.
struct Bench {
    trials: Trials,
    cpus: Vec<usize>,
    nexmark: Nexmark,
    in_order: Arc<[Event]>,
    disordered: Arc<[Event]>,
    /// What it took to make them, in words.
    generated: String,
}

impl Bench {
    fn new(config: Config, cpus: &[usize], count: u64, progress: &mut Progress) -> Self {
        progress.phase("events", None);
        let (nexmark, started) = (Nexmark::default(), Instant::now());
        let in_order: Arc<[Event]> = (0..count).map(|place| nexmark.arrival(place)).collect();
        let per_s = count as f64 / started.elapsed().as_secs_f64();
        let mixed = Nexmark { disorder: DISORDER, ..nexmark };
        let disordered = (0..count).map(|place| mixed.arrival(place)).collect();
        let generated = format!(
            "The generator alone makes {} on one core, once, before anything is measured; the \
             rates flat out are those of reading events from memory, the query, and a hash of each \
             row.",
            table::rate(per_s)
        );
        let trials = Trials { config, records: count };
        Self { trials, cpus: cpus.to_vec(), nexmark, in_order, disordered, generated }
    }

    /// Runs a query on one shard, on all, and on one where events come disordered.
    fn query(
        &self,
        query: Query,
        progress: &mut Progress,
        to: &mut Measured,
    ) -> Result<QueryFigures> {
        let one = &self.cpus[..1];
        let (first, ran) = self.trial(query, &self.nexmark, &self.in_order, one, progress)?;
        let (one_shard_per_s, result) = first;
        to.steps(ran.summary.worst_step, &ran.summary.stage_work);
        to.ratio(&format!("nexmark_{query}_m_per_s"), one_shard_per_s / 1e6, None);
        let (shards, mut all_shards_per_s) = (self.cpus.len(), None);
        if shards > 1 {
            let on_all = self.trial(query, &self.nexmark, &self.in_order, &self.cpus, progress)?;
            let (rate, all) = on_all.0;
            agree(&format!("{query} on one shard"), result, all)?;
            to.ratio(&format!("nexmark_{query}_{shards}_shards_m_per_s"), rate / 1e6, None);
            all_shards_per_s = Some(rate);
        }
        let mixed = Nexmark { disorder: DISORDER, ..self.nexmark };
        let again = self.trial(query, &mixed, &self.disordered, one, progress)?;
        let (disordered_per_s, disordered) = again.0;
        // It asks in which order events come.
        if query.number() != 12 {
            agree(&format!("{query} in order"), result, disordered)?;
        }
        Ok(QueryFigures {
            query: query.to_string(),
            shards,
            one_shard_per_s,
            all_shards_per_s,
            disordered_per_s,
            rows: result.results,
            hash: format!("{:016x}", result.hash()),
            ..QueryFigures::default()
        })
    }

    fn trial(
        &self,
        query: Query,
        nexmark: &Nexmark,
        events: &Arc<[Event]>,
        cpus: &[usize],
        progress: &mut Progress,
    ) -> Result<((f64, Checksum), run::Ran)> {
        let (nexmark, events) = (*nexmark, events.clone());
        let build =
            move |p: Pipeline<'_>, into: &Found| flat_out(p, query, &nexmark, &events, into);
        self.trials.engine("nexmark", cpus, progress, build)
    }
}

/// A query over events in memory, of which each shard reads its share.
fn flat_out(
    p: Pipeline<'_>,
    query: Query,
    nexmark: &Nexmark,
    events: &Arc<[Event]>,
    into: &Found,
) -> crate::error::Result<()> {
    let (events, count) = (events.clone(), events.len() as u64);
    let per_s = 1.0 / nexmark.period.as_secs_f64();
    let source = Generator::flat_out(per_s, move |place, _| events[place as usize])?;
    let source = source.start_at(nexmark.start).count(count).share(p.shard(), p.shards());
    query.run(p.source(source), nexmark, Digest(into.clone()));
    Ok(())
}
