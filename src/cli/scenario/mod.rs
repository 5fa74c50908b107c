//! What can be measured.
//!
//! A scenario is one file here and one line in [`ALL`]. It has a name, a line that says what it is
//! about, a function that draws its pipeline without running it, and a function that runs it once:
//!
//! ```ignore
//! pub const SCENARIO: Scenario = Scenario {
//!     name: "hop",
//!     about: "one record from shard to shard and back, beside a raw ring",
//!     takes_trades: false,
//!     plan,
//!     run,
//! };
//!
//! fn run(args: &BenchArgs, progress: &mut Progress) -> Result<Measured> {
//!     let mut measured = Measured::new(SCENARIO.name);
//!     let engine = Engine::new(args.config()?)?;
//!     let times = args.schedule();
//!     measured.noise(run::noise_floor(engine.cpus(), times.noise, progress));
//!     let timing = Timing { warm_up: times.warm_up, measured: Some(times.measured), stop: true };
//!     let ran = run::engine(engine, timing, progress, |pipeline| ..)?;
//!     measured.ran(&ran);                        // rate, counters, latencies, allocations
//!     measured.ratio("hop_vs_rtrb", ratio, Some(Goal::AtMost(1.5)));
//!     measured.note("what a reader must know beside the numbers");
//!     Ok(measured)
//! }
//! ```
//!
//! Whatever else it runs (a hand-written loop, a raw ring) it pins with [`pin`](super::pin), shows
//! by `progress.phase(..)`, and cuts short when [`interrupt`](super::interrupt) has been seen.
//! Repeats, medians, text, JSON and HTML are made from what it returns.
//!
//! One whose load can be chosen (arrivals, an objective to search for, a sweep of rates) has a line
//! in [`OPEN_LOOPS`] too, with a function that measures one rate of it.

#[cfg(feature = "net")]
mod abuse;
mod asof;
pub(super) mod bars;
mod checkpoint;
#[cfg(feature = "net")]
mod client;
mod closing;
mod codecs;
mod feed;
mod fifo;
mod gate;
mod growth;
mod hop;
mod hotkey;
#[cfg(feature = "net")]
mod ingest;
mod join;
mod journal;
mod measured;
mod nexmark;
mod noise;
mod open_loop;
mod process;
mod sessions;
#[cfg(feature = "net")]
pub(super) mod shared;
mod sliding;
mod stall;
mod tablejoin;
mod timers;
mod trial;
mod ttl;
mod window;
#[cfg(feature = "net")]
mod wire;
mod yahoo;

use super::args::BenchArgs;
use super::failure::Result;
use super::progress::Progress;
use crate::dataflow::Plan;
use crate::error::ConfigError;

pub use measured::Measured;
pub use open_loop::{OPEN_LOOPS, find_rate, go_through};

/// All scenarios, the default one first.
pub const ALL: &[Scenario] = &[
    bars::SCENARIO,
    hop::SCENARIO,
    stall::SCENARIO,
    window::SCENARIO,
    closing::SCENARIO,
    growth::SCENARIO,
    sliding::SCENARIO,
    sessions::SCENARIO,
    join::SCENARIO,
    asof::SCENARIO,
    tablejoin::SCENARIO,
    process::SCENARIO,
    timers::SCENARIO,
    ttl::SCENARIO,
    fifo::SCENARIO,
    hotkey::SCENARIO,
    journal::SCENARIO,
    checkpoint::SCENARIO,
    nexmark::SCENARIO,
    yahoo::SCENARIO,
    codecs::SCENARIO,
    noise::SCENARIO,
    #[cfg(feature = "net")]
    wire::SCENARIO,
    #[cfg(feature = "net")]
    ingest::SCENARIO,
    #[cfg(feature = "net")]
    abuse::SCENARIO,
    #[cfg(feature = "net")]
    shared::SCENARIO,
];

/// Something that can be measured.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// What it is called on the command line.
    pub name: &'static str,
    /// What it measures, in a line.
    pub about: &'static str,
    /// Whether it can replay trades and write bars.
    pub takes_trades: bool,
    /// Draws the pipeline; nothing runs.
    pub plan: fn(&BenchArgs) -> Result<Plan>,
    /// Runs it once.
    pub run: fn(&BenchArgs, &mut Progress) -> Result<Measured>,
}

/// The scenario of this name, if it fits the flags.
///
/// # Errors
/// An unknown name, or a flag that the scenario cannot do anything with.
pub fn find(args: &BenchArgs) -> Result<&'static Scenario> {
    let name = args.scenario.as_str();
    let Some(scenario) = ALL.iter().find(|scenario| scenario.name == name) else {
        let names: Vec<&str> = ALL.iter().map(|scenario| scenario.name).collect();
        let reason = format!("no such scenario; there are: {}", names.join(", "));
        return Err(ConfigError::setting("scenario", name, reason).into());
    };
    let refused = |reason: String| Err(ConfigError::setting("scenario", name, reason).into());
    if let Some(query) = args.query.as_deref().filter(|_| name != nexmark::SCENARIO.name) {
        return refused(format!("has no query {query}"));
    }
    if let Some(flag) = args.bars_only().filter(|_| !scenario.takes_trades) {
        return refused(format!("makes its own records and takes no {flag}"));
    }
    match (args.load.given(), open_loop::find(name)) {
        (Some(flag), None) => {
            let names: Vec<&str> = OPEN_LOOPS.iter().map(|it| it.name).collect();
            let names = names.join(", ");
            return refused(format!("has a load of its own and takes no {flag}; {names} do"));
        }
        (Some(flag), Some(it)) if !it.is_run && !args.load.is_probed() => {
            return refused(format!(
                "is an open loop with --slo or --sweep only: {flag} needs one"
            ));
        }
        _ => (),
    }
    let (input, speed, rate) = (args.input.is_some(), args.speed.is_some(), args.rate.is_some());
    args.load.check(input, speed, rate)?;
    Ok(scenario)
}

/// The list of scenarios, a line each.
pub fn list() -> String {
    let width = ALL.iter().map(|scenario| scenario.name.len()).max().unwrap_or(0);
    let line = |scenario: &Scenario| format!("{:<width$}  {}\n", scenario.name, scenario.about);
    ALL.iter().map(line).collect()
}
