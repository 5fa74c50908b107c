//! What can be measured.
//!
//! A scenario is one file here and one line in [`ALL`]. It has a name, a line that says what it is
//! about, a function that draws its pipeline without running it, and a function that runs it once:
//!
//! ```ignore
//! pub const SCENARIO: Scenario = Scenario {
//!     name: "hop",
//!     about: "one record from shard to shard and back, beside a raw ring",
//!     takes: &[],
//!     plan,
//!     run,
//! };
//!
//! fn run(args: &BenchArgs, progress: &mut Progress) -> Result<Measured> {
//!     let mut measured = Measured::new(SCENARIO.name);
//!     let engine = Engine::new(args.config()?)?;
//!     let times = args.schedule();
//!     measured.noise(run::noise_floor(engine.cpus(), times.noise, progress));
//!     let timing = Timing { measured: Some(times.measured), ..Timing::default() };
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
//! in [`OPEN_LOOPS`] too, with a function that measures one rate of it. What else it can do that
//! not all can is in [`Scenario::takes`]: a flag that a run does not read is refused.

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
    /// What a run of it can do that not all can.
    pub takes: &'static [Takes],
    /// Draws the pipeline; nothing runs.
    pub plan: fn(&BenchArgs) -> Result<Plan>,
    /// Runs it once.
    pub run: fn(&BenchArgs, &mut Progress) -> Result<Measured>,
}

/// What a run of a scenario may be able to do, beside what `--slo` and `--sweep` do with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Takes {
    /// Replaying trades and writing bars.
    Trades,
    /// Records at the rate of `--rate`.
    Rate,
    /// An open loop with the arrivals of `--arrival`.
    Arrival,
    /// The loop of `--closed-loop`.
    ClosedLoop,
    /// Where the time went, for `--breakdown`.
    Breakdown,
}

impl Takes {
    /// The names of the scenarios that can.
    fn names(self) -> String {
        let all = ALL.iter().filter(|scenario| scenario.takes.contains(&self));
        all.map(|scenario| scenario.name).collect::<Vec<_>>().join(", ")
    }
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
    if let Some(flag) = args.bars_only().filter(|_| !scenario.takes.contains(&Takes::Trades)) {
        return refused(format!("makes its own records and takes no {flag}"));
    }
    if let Some(reason) = refused_load(scenario, args).or(refused_breakdown(scenario, args)) {
        return refused(reason);
    }
    let (input, speed, rate) = (args.input.is_some(), args.speed.is_some(), args.rate.is_some());
    args.load.check(input, speed, rate)?;
    Ok(scenario)
}

/// What is wrong with the flags about the load, if anything is: a flag that nobody reads must not
/// look as if it had been obeyed.
fn refused_load(scenario: &Scenario, args: &BenchArgs) -> Option<String> {
    let load = &args.load;
    let given = [
        (Takes::ClosedLoop, "--closed-loop", load.closed_loop),
        (Takes::Arrival, "--arrival", load.arrival.is_some()),
        (Takes::Rate, "--rate", args.rate.is_some()),
    ];
    let unread = |(takes, _, is_given): &(Takes, _, bool)| {
        *is_given && !scenario.takes.contains(takes) && !load.is_probed()
    };
    let probed = OPEN_LOOPS.iter().map(|it| it.name).collect::<Vec<_>>().join(", ");
    if open_loop::find(scenario.name).is_none() && load.is_probed() {
        let flag = if load.slo.is_some() { "--slo" } else { "--sweep" };
        return Some(format!("has a load of its own and takes no {flag}; {probed} do"));
    }
    let (takes, flag, _) = given.into_iter().find(unread)?;
    let others = takes.names();
    if open_loop::find(scenario.name).is_none() {
        return Some(format!("has a load of its own and takes no {flag}; runs of {others} do"));
    }
    let how = match takes {
        Takes::Rate => "takes --rate with --slo only, which begins there, and rates by --sweep",
        Takes::Arrival => "takes --arrival with --slo or --sweep only",
        _ => "has an open loop with --slo or --sweep, and no --closed-loop",
    };
    Some(format!("{how}; runs of {others} take {flag} as they are"))
}

/// What is wrong with asking where the time went, if anything is.
fn refused_breakdown(scenario: &Scenario, args: &BenchArgs) -> Option<String> {
    if !args.breakdown || scenario.takes.contains(&Takes::Breakdown) || args.load.is_probed() {
        return None;
    }
    let others = Takes::Breakdown.names();
    let how = match open_loop::find(scenario.name) {
        Some(_) => "takes --breakdown with --slo or --sweep only",
        None => "takes no --breakdown",
    };
    Some(format!("{how}; runs of {others} show where the time went"))
}

/// The list of scenarios, a line each.
pub fn list() -> String {
    let width = ALL.iter().map(|scenario| scenario.name.len()).max().unwrap_or(0);
    let line = |scenario: &Scenario| format!("{:<width$}  {}\n", scenario.name, scenario.about);
    ALL.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::args::{Cli, Command};

    /// Why a command line is refused; empty if it is not.
    fn refusal(words: &str) -> String {
        let cli = Cli::try_parse_from(["millstream", "bench"].into_iter().chain(words.split(' ')));
        match cli.unwrap().command {
            Command::Bench(args) => find(&args).err().map_or(String::new(), |it| it.message),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_a_scenario_does_not_read_is_refused_by_name() {
        let flags = [
            (Takes::Rate, "--rate", "--rate 5"),
            (Takes::Arrival, "--arrival", "--arrival poisson"),
            (Takes::ClosedLoop, "--closed-loop", "--closed-loop"),
            (Takes::Breakdown, "--breakdown", "--breakdown"),
        ];
        for scenario in ALL {
            let name = scenario.name;
            for (takes, flag, words) in flags {
                let said = refusal(&format!("{name} {words}"));
                let is_taken = scenario.takes.contains(&takes);
                assert_eq!(said.is_empty(), is_taken, "{name} {words}: {said}");
                let helps = [name, flag, "bars"].iter().all(|word| said.contains(word));
                assert!(is_taken || helps, "{name} {words}: {said}");
            }
            // Where rates are tried, all that can be tried at one begin and come as they are told.
            let said =
                refusal(&format!("{name} --slo p99<1ms --rate 5 --arrival poisson --breakdown"));
            assert_eq!(said.is_empty(), open_loop::find(name).is_some(), "{name}: {said}");
        }
        let said = refusal("window --rate 5");
        assert!(said.contains("--slo") && said.contains("--sweep"), "{said}");
    }
}
