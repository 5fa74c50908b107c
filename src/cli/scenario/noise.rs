//! `noise`: the noise floor alone, for as long as a run whose tail it is to stand beside.

use super::trial::no_engine;
use super::{Measured, Scenario};
use crate::cli::args::BenchArgs;
use crate::cli::failure::Result;
use crate::cli::progress::Progress;
use crate::cli::{run, table};
use crate::runtime::Engine;

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "noise",
    about: "what an empty loop measures on the cores of the shards; no result can be better",
    takes: &[],
    plan: no_engine,
    run,
};

fn run(args: &BenchArgs, progress: &mut Progress) -> Result<Measured> {
    let engine = Engine::new(args.config()?)?;
    let times = args.schedule();
    let whole = times.noise + times.warm_up + times.measured;
    let noise = run::noise_floor(engine.cpus(), whole, progress);
    let mut measured = Measured::new(SCENARIO.name);
    let cpus: Vec<String> = engine.cpus().iter().map(usize::to_string).collect();
    measured.report.setup = format!("an empty loop on each of the CPUs {}", cpus.join(", "));
    measured.report.seconds = whole.as_secs_f64();
    measured.lasted = whole;
    for core in &noise.cores {
        let stall = table::nanos(core.percentiles.max);
        measured.note(format!("CPU {} was away for up to {stall} at a time.", core.cpu));
    }
    measured.noise(noise);
    Ok(measured)
}
