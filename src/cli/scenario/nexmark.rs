//! `nexmark`: the queries of an auction house, one or all, flat out on one shard and on two; of one
//! query the latency in an open loop as well.
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
use crate::cli::run::{self, Timing};
use crate::cli::{interrupt, table};
use crate::config::{Config, Idle, Shards};
use crate::dataflow::{Pipeline, Plan};
use crate::io::{Arrival, Generator};
use crate::nexmark::{Event, Nexmark, Query};
use crate::runtime::Engine;
use digest::Digest;

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "nexmark",
    about: "queries 0 to 22 of an auction house, flat out: `nexmark q5`, or all",
    takes: &[Takes::Rate, Takes::Arrival],
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
    let batch_max = args.batch_max.unwrap_or(BATCH_MAX);
    let config = Config { idle: Idle::Spin, batch_max, ..args.config()? };
    let cpus = Engine::new(config.clone())?.cpus().to_vec();
    let times = args.schedule();
    let mut measured = Measured::new(SCENARIO.name);
    measured.noise(run::noise_floor(&cpus, times.noise, progress));
    let share = times.measured.as_secs_f64() / (3 * queries.len() + 1) as f64;
    let groups = ((share * EVENTS_PER_SECOND) as u64).clamp(1 << 13, EVENTS_MAX) / DISORDER;
    let bench = Bench::new(config, &cpus, groups * DISORDER, progress);
    measured.report.setup = format!(
        "{} events in memory; 1 shard and {} on CPUs {cpus:?}, at most {batch_max} a batch",
        table::count(bench.trials.records),
        cpus.len()
    );
    measured.report.pace = "flat out".to_owned();
    measured.note(bench.generated.clone());
    let started = Instant::now();
    let mut total = 0.0;
    for query in &queries {
        total += 1.0 / bench.query(*query, progress, &mut measured)?;
    }
    measured.report.records_per_s = queries.len() as f64 / total;
    if let [query] = queries[..] {
        let per_s = args.rate.unwrap_or(open_loop::RATE);
        let arrival = args.load.arrival();
        bench.open_loop(query, (per_s, arrival), share, progress, &mut measured)?;
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
             rates are those of reading events from memory, the query, and a hash of each row.",
            table::rate(per_s)
        );
        let trials = Trials { config, records: count };
        Self { trials, cpus: cpus.to_vec(), nexmark, in_order, disordered, generated }
    }

    /// Runs a query on one shard and on all; returns the rate on one.
    fn query(&self, query: Query, progress: &mut Progress, to: &mut Measured) -> Result<f64> {
        let one = &self.cpus[..1];
        let (first, ran) = self.trial(query, &self.nexmark, &self.in_order, one, progress)?;
        let (rate, result) = first;
        to.steps(ran.summary.worst_step, &ran.summary.stage_work);
        to.ratio(&format!("nexmark_{query}_m_per_s"), rate / 1e6, None);
        let mut said = format!("{query}: {} on 1 shard", table::rate(rate));
        if self.cpus.len() > 1 {
            let on_all = self.trial(query, &self.nexmark, &self.in_order, &self.cpus, progress)?;
            let (rate, all) = on_all.0;
            agree(&format!("{query} on one shard"), result, all)?;
            let shards = self.cpus.len();
            to.ratio(&format!("nexmark_{query}_{shards}_shards_m_per_s"), rate / 1e6, None);
            said += &format!(", {} on {shards}", table::rate(rate));
        }
        let mixed = Nexmark { disorder: DISORDER, ..self.nexmark };
        let again = self.trial(query, &mixed, &self.disordered, one, progress)?;
        let (rate, disordered) = again.0;
        // It asks in which order events come.
        if query.number() != 12 {
            agree(&format!("{query} in order"), result, disordered)?;
        }
        let (rows, hash) = (table::count(result.results), result.hash());
        let rate = table::rate(rate);
        to.note(format!("{said}, {rate} disordered; {rows} rows, hash {hash:016x}."));
        Ok(first.0)
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

    /// Latency at a given pace. Events are made as they are due: they must last for any time.
    fn open_loop(
        &self,
        query: Query,
        (per_s, arrival): (f64, Arrival),
        seconds: f64,
        progress: &mut Progress,
        to: &mut Measured,
    ) -> Result<()> {
        let shards = Shards::Pinned(self.cpus.clone());
        let batch_max = Config::default().batch_max;
        let config = Config { shards, batch_max, ..self.trials.config.clone() };
        let warm_up = Duration::from_secs_f64(seconds / 5.0);
        let timing = Timing { warm_up, ..Timing::default() };
        let nexmark = Nexmark { period: Duration::from_secs_f64(1.0 / per_s), ..self.nexmark };
        let (count, into) = ((per_s * seconds) as u64, Found::default());
        progress.phase("open loop", None);
        let build = move |p: Pipeline<'_>| {
            let events = Generator::at_rate(per_s, move |place, _| nexmark.arrival(place))?;
            let events = events.arrival(arrival)?.count(count).share(p.shard(), p.shards());
            query.run(p.source(events), &nexmark, Digest(into.clone()));
            Ok(())
        };
        let ran = run::engine(Engine::new(config)?, timing, progress, build)?;
        if interrupt::is_seen() {
            return Err(super::trial::interrupted());
        }
        let latencies = &ran.summary.latencies;
        if latencies.to_state.samples() > 0 {
            to.records(&latencies.to_state);
        }
        if latencies.to_sink.samples() > 0 {
            to.results(&latencies.to_sink);
        }
        to.note(format!(
            "Latencies are those of an open loop of {} on {} shards, with events made as they are \
             due; a result counts from the event that led to it.",
            table::rate(per_s),
            self.cpus.len()
        ));
        Ok(())
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
