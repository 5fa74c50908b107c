//! `bars`: trades become bars of open, high, low, close, volume and average price.
//!
//! Trades are generated (`bars/market.rs`) or replayed from a file (`bars/recorded.rs`); the
//! pipeline is the same, and written as any user would write it.

mod columns;
mod letters;
mod market;
mod recorded;
pub(in crate::cli) mod trade;

use std::time::Duration;

pub(in crate::cli) use columns::Symbol;

use super::open_loop::OpenLoop;
use super::{Measured, Scenario, Takes};
use crate::cli::args::BenchArgs;
use crate::cli::failure::Result;
use crate::cli::html::NOISE_FLOOR;
use crate::cli::progress::Progress;
use crate::cli::report::{Goal, LatencyNs};
use crate::cli::run::Ran;
use crate::config::{Config, Idle};
use crate::dataflow::Plan;
use crate::window::Sliding;

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "bars",
    about: "trades, generated or replayed, into bars per symbol: latency at a given load",
    takes: &[Takes::Trades, Takes::Rate, Takes::Arrival, Takes::ClosedLoop, Takes::Breakdown],
    plan,
    run,
};

/// Generated trades at any rate.
pub const OPEN_LOOP: OpenLoop = OpenLoop {
    name: SCENARIO.name,
    rate: market::RATE,
    generator: market::alone,
    sample: market::sample,
};

/// Windows of generated trades: short, so that a run has results enough for its p99.99.
const GENERATED_WINDOW: Duration = Duration::from_millis(10);
/// Windows of recorded trades.
const RECORDED_WINDOW: Duration = Duration::from_secs(1);

fn plan(args: &BenchArgs) -> Result<Plan> {
    if args.input.is_some() { recorded::plan(args) } else { market::plan(args) }
}

fn run(args: &BenchArgs, progress: &mut Progress) -> Result<Measured> {
    if args.input.is_some() { recorded::run(args, progress) } else { market::run(args, progress) }
}

/// The windows asked for.
fn window(args: &BenchArgs) -> Sliding {
    let usual = if args.input.is_some() { RECORDED_WINDOW } else { GENERATED_WINDOW };
    let size = args.window.unwrap_or(usual);
    Sliding::of(size).every(args.slide.unwrap_or(size))
}

/// What runs where, in words.
fn setup(args: &BenchArgs, config: &Config, cpus: &[usize], trades: &str) -> String {
    let idle = match config.idle {
        Idle::Spin => "spinning",
        Idle::SpinThenPark(_) => "spinning 50 us, then asleep",
        Idle::Park => "asleep when idle",
    };
    let shards = match cpus {
        [cpu] => format!("1 shard on CPU {cpu}"),
        cpus => {
            let list: Vec<String> = cpus.iter().map(usize::to_string).collect();
            format!("{} shards on CPUs {}", cpus.len(), list.join(", "))
        }
    };
    let usual = if args.input.is_some() { RECORDED_WINDOW } else { GENERATED_WINDOW };
    let size = args.window.unwrap_or(usual);
    let slide = args.slide.filter(|slide| *slide != size);
    let slide = slide.map_or(String::new(), |slide| format!(" every {slide:?}"));
    format!("{shards}, {idle}; {trades}; windows of {size:?}{slide}")
}

/// The ratios of an open loop: results beside the noise floor, and absolutely.
fn compare(measured: &mut Measured, ran: &Ran, with_goals: bool) {
    let results: LatencyNs = ran.summary.latencies.to_sink.percentiles().into();
    let Some(floor) = measured.report.noise_floor.filter(|_| results.samples > 0) else { return };
    let goal = |most: f64| with_goals.then_some(Goal::AtMost(most));
    let floor_ns = floor.p99_9.max(1) as f64;
    // 200 us are good enough where the host is so quiet that three times its floor is less.
    let most = f64::max(3.0, 200_000.0 / floor_ns);
    measured.ratio("bars_p999_vs_noise", results.p99_9 as f64 / floor_ns, goal(most));
    measured.ratio("bars_p50_us", results.p50 as f64 / 1e3, goal(5.0));
    measured.ratio("bars_p99_us", results.p99 as f64 / 1e3, goal(25.0));
    measured.ratio("bars_p999_us", results.p99_9 as f64 / 1e3, None);
    if with_goals {
        measured.note(format!(
            "bars_p999_vs_noise is the p99.9 of results over that of the {NOISE_FLOOR}; its goal \
             is 3, or what 200 us are beside this floor if that is more."
        ));
    }
}

/// What is said beside latencies of a closed loop.
pub const CLOSED: &str = "Closed loop: a record is made when the one before is through, and \
                                 its latency counts from then. While the pipeline stalls no record \
                                 is due, so a stall counts once however long it is (coordinated \
                                 omission). It says how long a record takes, not what a user would \
                                 see.";

/// What is said beside latencies that are not those of an open loop.
const FLAT_OUT: &str = "Flat out: the input has no times of its own, so latency counts from when \
                        a record was read. It says how long a batch takes, not what a user would \
                        see.";
