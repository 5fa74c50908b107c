//! `checkpoint`: what checkpoints of over a gigabyte of state cost those who go on meanwhile, and
//! how long it takes to go on from one.
//!
//! `checkpoint/pause.rs` looks at the steps of one shard, `checkpoint/restore.rs` at reading back
//! what it has brought, `checkpoint/live.rs` at an engine that takes a checkpoint every second,
//! which leaves a core to the thread that writes them: where all cores spin, that takes one from a
//! shard for milliseconds at a time.

mod live;
mod pause;
mod restore;

use crate::cli::args::BenchArgs;
use crate::cli::failure::Result;
use crate::cli::folder::Folder;
use crate::cli::progress::Progress;
use crate::cli::report::Goal;
use crate::cli::{interrupt, run, table};
use crate::config::{Config, Shards};
use crate::dataflow::{Pipeline, Plan, Stage, Stream};
use crate::metrics::Latency;
use crate::runtime::Engine;

use super::open_loop::OpenLoop;
use super::trial::{interrupted, on_core};
use super::{Measured, Scenario, Takes};
use pause::Pauses;

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "checkpoint",
    about: "checkpoints of 26 000 000 keys: pause, throughput, p99.9, and the restore",
    takes: &[Takes::Rate, Takes::Breakdown],
    plan,
    run,
};

/// Amounts at any rate while checkpoints are taken.
pub const OPEN_LOOP: OpenLoop = OpenLoop::beside(SCENARIO.name, live::alone, live::sample);

/// Accounts whose sums take over a gigabyte of memory, and 700 MB of a disk.
const KEYS: u32 = 26_000_000;
/// How many times fewer the small state has.
const FEWER: u32 = 100;

fn plan(args: &BenchArgs) -> Result<Plan> {
    let build = |p: Pipeline<'_>| {
        let (input, amounts) = p.input();
        sums(amounts).for_each(drop);
        drop(input);
        Ok(())
    };
    Ok(Engine::new(args.config()?)?.plan(build)?)
}

/// An amount for an account.
type Amount = (u64, u64);

/// The sum of each account so far, after each amount.
fn sums<'p>(
    amounts: Stream<'p, impl Stage<Out = Amount>>,
) -> Stream<'p, impl Stage<Out = (u64, Amount)>> {
    amounts.key_by(|(account, _)| *account).reduce(|sum, (_, amount)| sum.1 += amount)
}

fn run(args: &BenchArgs, progress: &mut Progress) -> Result<Measured> {
    let cpu = *Engine::new(args.config()?)?.cpus().last().unwrap_or(&0);
    let times = args.schedule();
    let keys = args.keys.unwrap_or(KEYS);
    let mut measured = Measured::new(SCENARIO.name);
    measured.noise(run::noise_floor(&[cpu], times.noise, progress));
    progress.phase("pauses of a small state", None);
    let (small, _) = on_core(cpu, move || pause::of((keys / FEWER).max(1)))??;
    progress.phase("pauses of a large state", None);
    let (large, state) = on_core(cpu, move || pause::of(keys))??;
    report_pauses(&mut measured, &small, &large);
    let folder = Folder::create("checkpoint")?;
    progress.phase("restore", None);
    let restored = on_core(cpu, {
        let path = folder.path().to_owned();
        move || restore::measure(&path, state)
    })??;
    restored.report(&mut measured);
    let live =
        live::Live { config: beside_a_core(args)?, keys, filled: large.filled, times, folder };
    live.measure(args, &mut measured, progress)?;
    if interrupt::is_seen() {
        return Err(interrupted());
    }
    measured.report.setup = format!("{} accounts, on CPU {cpu}", table::count(keys.into()));
    if args.keys.is_some() {
        measured.report.goals.clear();
    }
    Ok(measured)
}

/// Shards that leave a core to the thread that writes checkpoints, unless they are set.
fn beside_a_core(args: &BenchArgs) -> Result<Config> {
    let mut config = args.config()?;
    if args.cpus.is_empty() && args.shards.is_none() {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        config.shards = Shards::Count(config.shards.count().min(cores - 1).max(1));
    }
    Ok(config)
}

/// A step is as long as the host makes it: what is compared is the step that one in a thousand is
/// longer than.
fn report_pauses(measured: &mut Measured, small: &Pauses, large: &Pauses) {
    let us = |latency: &Latency, quantile| latency.at(quantile) as f64 / 1e3;
    let p99_9 = |pauses: &Pauses| us(&pauses.during, 0.999).max(pauses.barrier_us);
    measured.ratio("checkpoint_barrier_us", large.barrier_us, None);
    measured.ratio("checkpoint_pause_us", p99_9(large), None);
    let ratio = p99_9(large) / p99_9(small);
    measured.ratio("checkpoint_pause_vs_small", ratio, Some(Goal::AtMost(2.0)));
    let line = |pauses: &Pauses| {
        format!(
            "{:.1} MB copied within {:.1} ms; the step of the barrier {:.0} us, the others p50 \
             {:.1} us, p99 {:.0} us, p99.9 {:.0} us, worst {:.0} us (without a checkpoint {:.1}, \
             {:.0}, {:.0}, {:.0} us)",
            pauses.bytes as f64 / 1e6,
            pauses.lasted.as_secs_f64() * 1e3,
            pauses.barrier_us,
            us(&pauses.during, 0.5),
            us(&pauses.during, 0.99),
            us(&pauses.during, 0.999),
            us(&pauses.during, 1.0),
            us(&pauses.without, 0.5),
            us(&pauses.without, 0.99),
            us(&pauses.without, 0.999),
            us(&pauses.without, 1.0),
        )
    };
    measured.note(format!(
        "Steps that take in {} records of accounts at random, during checkpoints behind the \
         first, whose memory they use again. Large: {}. \
         Small: {}.",
        pause::BATCH,
        line(large),
        line(small)
    ));
}
