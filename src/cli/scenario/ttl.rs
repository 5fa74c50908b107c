//! `ttl`: the worst step while half of ten million keys expire and records go on.

use std::time::{Duration, Instant};

use super::trial::{beside_stall, failed, on_core, worst_stall};
use super::{Measured, Scenario};
use crate::cli::args::BenchArgs;
use crate::cli::failure::Result;
use crate::cli::progress::Progress;
use crate::cli::report::Goal;
use crate::cli::run;
use crate::cli::table;
use crate::cli::workload::mix;
use crate::config::Config;
use crate::dataflow::{Pipeline, Plan};
use crate::runtime::Engine;
use crate::shard::{Input, Shard, StageWork, WorstStep};
use crate::state::Ttl;
use crate::time::{Timestamp, ns};

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "ttl",
    about: "worst step while half of 10 000 000 keys expire, beside the host's stalls",
    takes: &[],
    plan,
    run,
};

/// Keys at first.
const KEYS: u32 = 10_000_000;

/// Event time between two records.
const PERIOD_NS: u64 = 100;

fn plan(args: &BenchArgs) -> Result<Plan> {
    Ok(Engine::new(args.config()?)?.plan(|p| build(p, KEYS.into()).map(drop))?)
}

fn run(args: &BenchArgs, progress: &mut Progress) -> Result<Measured> {
    let cpu = *Engine::new(args.config()?)?.cpus().last().unwrap_or(&0);
    let mut measured = Measured::new(SCENARIO.name);
    measured.noise(run::noise_floor(&[cpu], args.schedule().noise, progress));
    let keys = u64::from(args.keys.unwrap_or(KEYS)).next_multiple_of(2);
    progress.phase("expiring", None);
    let ours = on_core(cpu, move || expire(keys))??;
    if ours.left != keys / 2 {
        let left = ours.left;
        return Err(failed(&format!("of {keys} keys half were to expire, and {left} are left")));
    }
    let lasted = ours.total;
    let stall = on_core(cpu, move || worst_stall(lasted))?;
    measured.report.setup = format!("embedded, on CPU {cpu}; {} keys", table::count(keys));
    measured.report.pace = "flat out".to_owned();
    measured.report.records_per_s = keys as f64 / lasted.as_secs_f64();
    measured.report.seconds = lasted.as_secs_f64();
    let worst_ns = ours.step.as_ref().map_or(0, |step| step.ns);
    let goal = args.goal(Goal::AtMost(100.0));
    measured.ratio("ttl_worst_step_us", worst_ns as f64 / 1e3, goal);
    measured.ratio("ttl_worst_stall_us", stall.as_secs_f64() * 1e6, None);
    let worst = ours.step.map(|step| WorstStep { cpu: Some(cpu), ..step });
    measured.steps(worst, &ours.stages);
    measured.note(format!(
        "Half of the keys expired within {lasted:.2?}. {}",
        beside_stall(Duration::from_nanos(worst_ns), stall, &ours.stages)
    ));
    Ok(measured)
}

/// How expiring went.
struct Expired {
    total: Duration,
    step: Option<WorstStep>,
    stages: Vec<StageWork>,
    left: u64,
}

/// Gives each key a record, a batch a step; then the second half of them go on, once more each for
/// every one of all keys, and the first half expire one by one.
fn expire(keys: u64) -> crate::error::Result<Expired> {
    let config = Config::embedded();
    let batch = config.batch_max.min(config.embedded_capacity) as u64;
    let (mut shard, mut input) = Shard::embed(config, |p| build(p, keys))?;
    let mut step_by_step = |shard: &mut Shard, from: u64, to: u64| {
        for first in (from..to).step_by(batch as usize) {
            let last = to.min(first + batch) - 1;
            for index in first..=last {
                let key = if index < keys { index } else { keys / 2 + index % (keys / 2) };
                input.push(at(index), mix(key))?;
            }
            let start = Instant::now();
            shard.step(at(last));
            shard.took(start.elapsed().as_nanos() as u64);
        }
        Ok::<_, crate::error::Error>(())
    };
    step_by_step(&mut shard, 0, keys)?;
    shard.forget_warm_up(at(keys));
    let started = Instant::now();
    step_by_step(&mut shard, keys, 2 * keys)?;
    let total = started.elapsed();
    let (step, stages) = (shard.worst_step(), shard.stage_work());
    let mut left = 0;
    shard.inspect(&mut |_| left += 1);
    Ok(Expired { total, step, stages, left })
}

fn at(index: u64) -> Timestamp {
    Timestamp((index * PERIOD_NS) as i64)
}

/// Keys live for as long as it takes to give each a record.
fn build(p: Pipeline<'_>, keys: u64) -> crate::error::Result<Input<u64>> {
    let (input, records) = p.input::<u64>();
    records
        .key_by(|key| *key)
        .ttl(Ttl::of(ns(keys * PERIOD_NS)))
        .reduce(|known, key| *known = key)
        .for_each(drop);
    Ok(input)
}
