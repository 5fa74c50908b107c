//! `growth`: the worst step while keyed state grows from nothing to ten million keys.

use std::thread;
use std::time::{Duration, Instant};

use hashbrown::HashMap;

use super::{Measured, Scenario};
use crate::cli::args::BenchArgs;
use crate::cli::failure::{Failure, Result};
use crate::cli::pin;
use crate::cli::progress::Progress;
use crate::cli::report::Goal;
use crate::cli::run;
use crate::cli::workload::mix;
use crate::config::Config;
use crate::dataflow::{Pipeline, Plan};
use crate::runtime::Engine;
use crate::shard::{Input, Shard, StageWork, WorstStep};
use crate::time::Timestamp;

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "growth",
    about: "worst step of a keyed table that grows to 10 000 000 keys, beside hashbrown's worst",
    takes: &[],
    plan,
    run,
};

/// Keys at the end.
const KEYS: u64 = 10_000_000;

fn plan(args: &BenchArgs) -> Result<Plan> {
    Ok(Engine::new(args.config()?)?.plan(|p| build(p).map(drop))?)
}

fn run(args: &BenchArgs, progress: &mut Progress) -> Result<Measured> {
    let cpu = *Engine::new(args.config()?)?.cpus().last().unwrap_or(&0);
    let mut measured = Measured::new(SCENARIO.name);
    measured.noise(run::noise_floor(&[cpu], args.schedule().noise, progress));
    progress.phase("growing", None);
    let grown = |program: fn() -> crate::error::Result<Growth>| {
        let thread = thread::spawn(move || {
            pin::this_thread(cpu);
            program()
        });
        let panicked = |_| Failure { message: "growing panicked".into(), code: Failure::RAN };
        Ok::<_, Failure>(thread.join().map_err(panicked)??)
    };
    let (ours, theirs) = (grown(engine)?, grown(hashbrown)?);
    measured.report.setup = format!("embedded, on CPU {cpu}; {KEYS} keys");
    measured.report.pace = "flat out".to_owned();
    measured.report.records_per_s = KEYS as f64 / ours.total.as_secs_f64();
    measured.report.seconds = ours.total.as_secs_f64();
    let ratio = ours.worst.as_secs_f64() / theirs.worst.as_secs_f64();
    measured.ratio("growth_vs_hashbrown", ratio, Some(Goal::AtMost(0.01)));
    let worst = ours.step.map(|step| WorstStep { cpu: Some(cpu), ..step });
    measured.steps(worst, &ours.stages);
    measured.note(format!(
        "Worst step (256 new keys): engine {:?}; worst single insertion: hashbrown {:?}. In all: \
         {:.2?} and {:.2?}.",
        ours.worst, theirs.worst, ours.total, theirs.total
    ));
    Ok(measured)
}

/// How long growing took.
struct Growth {
    worst: Duration,
    total: Duration,
    /// The worst step and the most work of each stage, of a shard.
    step: Option<WorstStep>,
    stages: Vec<StageWork>,
}

fn build(p: Pipeline<'_>) -> crate::error::Result<Input<u64>> {
    let (input, keys) = p.input::<u64>();
    keys.key_by(|key| *key).reduce(|known, key| *known = key).for_each(drop);
    Ok(input)
}

/// A shard that is given different keys only, a batch a step.
fn engine() -> crate::error::Result<Growth> {
    let config = Config::embedded();
    let batch = config.batch_max.min(config.embedded_capacity) as u64;
    let (mut shard, mut input) = Shard::embed(config, build)?;
    let (started, mut worst) = (Instant::now(), Duration::ZERO);
    for first in (0..KEYS).step_by(batch as usize) {
        for index in first..first + batch {
            input.push(Timestamp(0), mix(index))?;
        }
        let start = Instant::now();
        shard.step(Timestamp(0));
        let took = start.elapsed();
        shard.took(took.as_nanos() as u64);
        worst = worst.max(took);
    }
    let (total, step, stages) = (started.elapsed(), shard.worst_step(), shard.stage_work());
    Ok(Growth { worst, total, step, stages })
}

/// A table that is given the same keys, one by one.
fn hashbrown() -> crate::error::Result<Growth> {
    let mut table: HashMap<u64, u64> = HashMap::new();
    let (started, mut worst) = (Instant::now(), Duration::ZERO);
    for index in 0..KEYS {
        let start = Instant::now();
        table.insert(mix(index), index);
        worst = worst.max(start.elapsed());
    }
    Ok(Growth { worst, total: started.elapsed(), step: None, stages: Vec::new() })
}
