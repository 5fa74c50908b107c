//! `closing`: what the other records feel while a window of a million keys closes.

use std::time::Duration;

use super::{Measured, Scenario, Takes};
use crate::cli::args::BenchArgs;
use crate::cli::failure::Result;
use crate::cli::progress::Progress;
use crate::cli::report::Goal;
use crate::cli::run::{self, Ran, Timing};
use crate::config::{Config, Idle, Shards};
use crate::dataflow::{Pipeline, Plan};
use crate::io::Generator;
use crate::runtime::Engine;
use crate::time::secs;
use crate::window::Tumbling;
use crate::window::aggregates::count;

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "closing",
    about: "latency of records while a window of 1 000 000 keys closes, beside the same without",
    takes: &[Takes::Breakdown],
    plan,
    run,
};

/// Keys of a window; as many records a second make each of them once a window.
const KEYS: u64 = 1_000_000;

/// The first windows make room for their keys, which is not what is asked here.
const WARM_UP: Duration = secs(3);

/// Windows of a second close again and again.
const CLOSING: Duration = secs(1);

/// A window that outlasts the run holds as many keys and does not close.
const STEADY: Duration = secs(1_000_000);

fn plan(args: &BenchArgs) -> Result<Plan> {
    Ok(Engine::new(args.config()?)?.plan(|p| build(p, CLOSING, secs(1)))?)
}

fn run(args: &BenchArgs, progress: &mut Progress) -> Result<Measured> {
    let cpu = *Engine::new(args.config()?)?.cpus().last().unwrap_or(&0);
    let config = Config { shards: Shards::Pinned(vec![cpu]), idle: Idle::Spin, ..args.config()? };
    let times = args.schedule();
    let mut measured = Measured::new(SCENARIO.name);
    measured.noise(run::noise_floor(&[cpu], times.noise, progress));
    let each = times.measured / 2;
    let steady = trial(&config, STEADY, each, progress)?;
    let closing = trial(&config, CLOSING, each, progress)?;
    measured.report.setup = format!("1 shard on CPU {cpu}, spinning; 1 000 000 keys");
    measured.report.pace = "open loop".to_owned();
    measured.report.offered_per_s = Some(KEYS as f64);
    measured.rates(&closing);
    let (of_steady, of_closing) =
        (&steady.summary.latencies.to_state, &closing.summary.latencies.to_state);
    measured.beside("steady", of_steady);
    measured.results(of_closing);
    let ratio = of_closing.at(0.999) as f64 / of_steady.at(0.999).max(1) as f64;
    measured.ratio("closing_vs_steady", ratio, Some(Goal::AtMost(2.0)));
    measured.note(format!(
        "Latency is that of records, from intended time to the update of their key. p99.9: {} ns \
         while windows close, {} ns while none does.",
        of_closing.at(0.999),
        of_steady.at(0.999)
    ));
    Ok(measured)
}

fn trial(
    config: &Config,
    window: Duration,
    span: Duration,
    progress: &mut Progress,
) -> Result<Ran> {
    let timing = Timing { warm_up: WARM_UP, measured: Some(span), stop: Some(Duration::ZERO) };
    let build = move |p: Pipeline<'_>| build(p, window, WARM_UP + span + secs(1));
    run::engine(Engine::new(config.clone())?, timing, progress, build)
}

fn build(p: Pipeline<'_>, window: Duration, span: Duration) -> crate::error::Result<()> {
    let keys = Generator::at_rate(KEYS as f64, |index, _due| index % KEYS)?;
    p.source(keys.share(p.shard(), p.shards()).duration(span))
        .key_by(|key| *key)
        .window(Tumbling::of(window))
        .aggregate(count())
        .for_each(drop);
    Ok(())
}
