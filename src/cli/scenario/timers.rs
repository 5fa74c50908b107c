//! `timers`: the worst step while a million timers that are due at one instant fire.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::trial::{beside_stall, failed, on_core, worst_stall};
use super::{Measured, Scenario};
use crate::cli::args::BenchArgs;
use crate::cli::failure::Result;
use crate::cli::progress::Progress;
use crate::cli::report::Goal;
use crate::cli::run;
use crate::cli::table;
use crate::config::Config;
use crate::dataflow::{Pipeline, Plan};
use crate::operators::{KeyContext, Process, Timer};
use crate::runtime::Engine;
use crate::shard::{Input, Shard, StageWork, WorstStep};
use crate::time::Timestamp;

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "timers",
    about: "worst step while 1 000 000 timers due at one instant fire, beside the host's stalls",
    takes: &[],
    plan,
    run,
};

/// Timers, each of a key of its own.
const KEYS: u32 = 1_000_000;

/// When they are due.
const DUE: Timestamp = Timestamp(1_000_000_000);

fn plan(args: &BenchArgs) -> Result<Plan> {
    Ok(Engine::new(args.config()?)?.plan(|p| build(p, &Rc::default()).map(drop))?)
}

fn run(args: &BenchArgs, progress: &mut Progress) -> Result<Measured> {
    let cpu = *Engine::new(args.config()?)?.cpus().last().unwrap_or(&0);
    let mut measured = Measured::new(SCENARIO.name);
    measured.noise(run::noise_floor(&[cpu], args.schedule().noise, progress));
    let keys = u64::from(args.keys.unwrap_or(KEYS));
    progress.phase("firing", None);
    let ours = on_core(cpu, move || fire(keys))??;
    if !ours.are_in_order {
        return Err(failed("timers fired out of order, or not all of them did"));
    }
    let lasted = ours.total;
    let stall = on_core(cpu, move || worst_stall(lasted))?;
    measured.report.setup = format!("embedded, on CPU {cpu}; {} timers", table::count(keys));
    measured.report.pace = "flat out".to_owned();
    measured.report.records_per_s = keys as f64 / lasted.as_secs_f64();
    measured.report.seconds = lasted.as_secs_f64();
    let worst_ns = ours.step.as_ref().map_or(0, |step| step.ns);
    let goal = args.goal(Goal::AtMost(100.0));
    measured.ratio("timers_worst_step_us", worst_ns as f64 / 1e3, goal);
    measured.ratio("timers_worst_stall_us", stall.as_secs_f64() * 1e6, None);
    let worst = ours.step.map(|step| WorstStep { cpu: Some(cpu), ..step });
    measured.steps(worst, &ours.stages);
    measured.note(format!(
        "All fired in order within {lasted:.1?}. {}",
        beside_stall(Duration::from_nanos(worst_ns), stall, &ours.stages)
    ));
    Ok(measured)
}

/// How firing went.
struct Fired {
    total: Duration,
    step: Option<WorstStep>,
    stages: Vec<StageWork>,
    are_in_order: bool,
}

/// Sets a timer for each key, a batch a step, and lets all of them fire.
fn fire(keys: u64) -> crate::error::Result<Fired> {
    let config = Config::embedded();
    let batch = config.batch_max.min(config.embedded_capacity);
    let order = Rc::new(Order::default());
    let (mut shard, mut input) = Shard::embed(config, |p| build(p, &order))?;
    for first in (0..keys).step_by(batch) {
        for key in first..keys.min(first + batch as u64) {
            input.push(Timestamp(0), key)?;
        }
        shard.step(Timestamp(0));
    }
    shard.forget_warm_up(Timestamp(0));
    input.advance_to(DUE);
    let started = Instant::now();
    // Every step fires some, so this ends.
    loop {
        let start = Instant::now();
        let work = shard.step(DUE);
        shard.took(start.elapsed().as_nanos() as u64);
        if work.is_none() {
            break;
        }
    }
    let total = started.elapsed();
    let are_in_order = order.next.get() == keys && !order.is_broken.get();
    let (step, stages) = (shard.worst_step(), shard.stage_work());
    Ok(Fired { total, step, stages, are_in_order })
}

/// Whether timers fire in the order in which they were set.
#[derive(Default)]
struct Order {
    next: Cell<u64>,
    is_broken: Cell<bool>,
}

fn build(p: Pipeline<'_>, order: &Rc<Order>) -> crate::error::Result<Input<u64>> {
    let (input, keys) = p.input::<u64>();
    let order = order.clone();
    keys.key_by(|key| *key).process(Alarm).for_each(move |record| {
        let expected = order.next.replace(order.next.get() + 1);
        if record.value != expected {
            order.is_broken.set(true);
        }
    });
    Ok(input)
}

/// Tells its key when it is time.
struct Alarm;

impl Process for Alarm {
    type Key = u64;
    type In = u64;
    type State = ();
    type Out = u64;

    fn on_record(&mut self, _: u64, ctx: &mut KeyContext<'_, Self>) {
        ctx.set_timer(DUE);
    }

    fn on_timer(&mut self, _: Timer, ctx: &mut KeyContext<'_, Self>) {
        ctx.emit(ctx.key());
    }
}
