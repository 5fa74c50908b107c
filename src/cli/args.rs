//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::checkpoint::CheckpointCommand;
use super::compare::CompareArgs;
use super::journal::JournalCommand;
use super::load::LoadArgs;
use super::replay::ReplayArgs;
use super::report::Goal;
use super::values::{self, TradeColumns};
use crate::config::{Config, Idle, Shards};
use crate::error::ConfigError;
use crate::io::csv::TimeUnit;
use crate::time::us;

/// Stream processing for people who count microseconds.
#[derive(Parser, Clone, Debug)]
#[command(name = "millstream", version, about, arg_required_else_help = true)]
#[command(after_help = include_str!("help/exit_codes.txt"))]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the command can do.
#[derive(Subcommand, Clone, Debug)]
pub enum Command {
    /// Measure this host: latency, throughput, and how they compare with what else it could do.
    #[command(long_about = include_str!("help/bench_about.txt"))]
    #[command(after_long_help = include_str!("help/bench_after.txt"))]
    #[command(
        after_help = "`millstream bench --help` has examples and says what the numbers mean."
    )]
    Bench(Box<BenchArgs>),
    /// Say whether two reports of `bench` differ by more than chance.
    ///
    /// Both are of one scenario, run several times (--repeat 10). For each percentile, rate and
    /// ratio it says between which values the median of B over that of A lies (bootstrap over the
    /// runs), and whether B is better, worse, or no difference is seen (rank test). Of two reports
    /// of the same thing, anything is said to differ once in 500 times.
    #[command(after_help = include_str!("help/compare_after.txt"))]
    Compare(CompareArgs),
    /// Look into a journal: whether it is whole, what is in it.
    #[command(subcommand)]
    Journal(JournalCommand),
    /// Look into checkpoints: which there are, what they hold, whether they are whole.
    #[command(subcommand)]
    Checkpoint(CheckpointCommand),
    /// Run a journal of trades again through the pipeline of `bars`, or compare two such runs.
    ///
    /// The same journal gives the same log, to the byte, however often and by whatever build it is
    /// replayed, unless that is another program: then --compare names the first result that
    /// differs, and the records behind it.
    #[command(after_help = include_str!("help/replay_after.txt"))]
    Replay(Box<ReplayArgs>),
    /// The other process of `bench shared`, which starts it.
    #[cfg(feature = "net")]
    #[command(hide = true)]
    SharedPeer(super::scenario::shared::PeerArgs),
}

/// What a shard does when there is nothing to do.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdleArg {
    /// Steps again at once: the shortest reaction, and a core at 100 %.
    Spin,
    /// Spins 50 us after the last work, then sleeps until something comes.
    Adaptive,
    /// Sleeps at once.
    Park,
}

/// The flags of `millstream bench`.
#[derive(Args, Clone, Debug)]
pub struct BenchArgs {
    /// What to measure; see --list.
    #[arg(default_value = "bars")]
    pub scenario: String,
    /// Of `nexmark`: which query, q0 to q22 [default: all].
    pub query: Option<String>,
    /// Print the scenarios and exit.
    #[arg(long)]
    pub list: bool,

    /// Replay recorded trades from this CSV file instead of generating some.
    #[arg(long, value_name = "FILE", help_heading = "Recorded input")]
    #[arg(requires_all = ["columns", "time_unit"])]
    pub input: Option<PathBuf>,
    /// Where a trade is in a line: names from the header, or positions from 0.
    ///
    /// ts and price must be there, and key unless --key-const is given; without qty each record
    /// counts 1. Several columns make one key by `+`: key=origin+carrier. A negative qty is taken
    /// as the correction of an earlier trade; a price or qty that is not a finite number, and a key
    /// longer than 23 bytes, make the line a dead letter.
    #[arg(long, value_name = "ts=A,key=B,price=C,qty=D", help_heading = "Recorded input")]
    #[arg(requires = "input")]
    pub columns: Option<TradeColumns>,
    /// The unit of the ts column: s, ms, us or ns since the epoch, with decimals if it has them.
    #[arg(long, value_name = "UNIT", help_heading = "Recorded input", requires = "input")]
    #[arg(value_parser = ["s", "ms", "us", "ns"])]
    pub time_unit: Option<String>,
    /// The key of all records, for a file of one symbol.
    #[arg(long, value_name = "KEY", help_heading = "Recorded input", requires = "input")]
    pub key_const: Option<String>,
    /// What prices are multiplied by: 1e-4 makes 585.33 of 5853300.
    #[arg(long, value_name = "FACTOR", help_heading = "Recorded input", requires = "input")]
    #[arg(value_parser = values::positive)]
    pub price_scale: Option<f64>,
    /// How far a record may lie behind the latest one before it; what is further behind is late
    /// [default: 0s].
    #[arg(long, value_name = "SPAN", help_heading = "Recorded input", requires = "input")]
    #[arg(value_parser = values::span)]
    pub disorder: Option<Duration>,

    /// The length of a window [default: 10ms, with --input 1s].
    #[arg(long, value_name = "SPAN", help_heading = "Windows", value_parser = values::length)]
    pub window: Option<Duration>,
    /// A window begins every so often [default: the length of a window].
    #[arg(long, value_name = "SPAN", help_heading = "Windows", value_parser = values::length)]
    pub slide: Option<Duration>,

    /// Records a second over all shards, open loop [default: 1M, with --input flat out; less for
    /// runs of `stall`, `checkpoint`, `nexmark`, `wire` and `abuse`]. Where --slo begins, for all
    /// that take it; others run flat out and refuse it.
    #[arg(long, value_name = "PER_S", help_heading = "Load", value_parser = values::rate)]
    #[arg(conflicts_with_all = ["speed", "flat_out"])]
    pub rate: Option<f64>,
    /// Replay so many times as fast as recorded.
    #[arg(long, value_name = "FACTOR", help_heading = "Load", value_parser = values::positive)]
    #[arg(requires = "input", conflicts_with = "flat_out")]
    pub speed: Option<f64>,
    /// As fast as it goes. Latency then counts from when a record was read, and is no open loop.
    #[arg(long, help_heading = "Load")]
    pub flat_out: bool,
    /// How they arrive, and which rates are tried.
    #[command(flatten)]
    pub load: LoadArgs,
    /// Keys that there are records for [default: 1000 for `bars` and where rates are tried; else
    /// what --list says for `sliding`, `sessions`, `join`, `asof`, `tablejoin`, `process`,
    /// `timers`, `ttl`, `hotkey`, `checkpoint` and `yahoo`; others are of fixed keys].
    #[arg(long, value_name = "N", help_heading = "Load", conflicts_with = "input")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    pub keys: Option<u32>,
    /// How long a run takes, noise floor and warm-up included [default: 20, with --input to the
    /// end of the file].
    #[arg(long, value_name = "S", help_heading = "Load", value_parser = values::seconds)]
    pub seconds: Option<Duration>,
    /// Run so many times and report medians.
    #[arg(long, value_name = "N", help_heading = "Load", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub repeat: u32,

    /// How many shards, each on a core of its own [default: 2, or 1 on a single core].
    #[arg(long, value_name = "N", help_heading = "Shards", conflicts_with = "cpus")]
    pub shards: Option<usize>,
    /// One shard on each of these CPUs.
    #[arg(long, value_name = "LIST", help_heading = "Shards", value_delimiter = ',')]
    pub cpus: Vec<usize>,
    /// What a shard does when there is nothing to do [default: spin if there is a core for each].
    #[arg(long, value_enum, value_name = "HOW", help_heading = "Shards")]
    pub idle: Option<IdleArg>,
    /// Slots of each ring between two shards.
    #[arg(long, value_name = "N", help_heading = "Shards")]
    #[arg(default_value_t = Config::default().ring_capacity)]
    pub ring_capacity: usize,
    /// Records that a source gives at most in one step [default: 256, where `bench` asks for
    /// throughput 1024].
    #[arg(long, value_name = "N", help_heading = "Shards")]
    pub batch_max: Option<usize>,
    /// Allow more spinning shards than cores.
    #[arg(long, help_heading = "Shards")]
    pub oversubscribe: bool,

    /// Show where the time went: from the intended time to the source, over the edge, into the
    /// state, out of it, and through the sink. Measures each batch, and costs some of what it
    /// measures. With --slo and --sweep of the highest rate that held, or was kept up with.
    #[arg(long, help_heading = "Output")]
    pub breakdown: bool,
    /// Write the results to this CSV file, ordered by window end and key; `-` is standard output.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub output: Option<PathBuf>,
    /// Write late records to this CSV file, in the order of the input.
    #[arg(long, value_name = "FILE", help_heading = "Output", requires = "input")]
    pub late: Option<PathBuf>,
    /// Write malformed lines to this CSV file: file, line, reason, text.
    #[arg(long, value_name = "FILE", help_heading = "Output", requires = "input")]
    pub dead_letters: Option<PathBuf>,
    /// Where index.html, report.json and latency.hlog go [default: report, with --json nowhere].
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub report: Option<PathBuf>,
    /// Print one JSON object to standard output and nothing else.
    #[arg(long, help_heading = "Output")]
    pub json: bool,
    /// No progress bar.
    #[arg(long, help_heading = "Output")]
    pub quiet: bool,
    /// Print the steps of the pipeline and exit.
    #[arg(long, help_heading = "Output", conflicts_with_all = ["plan_dot", "json"])]
    pub plan: bool,
    /// Print the pipeline in the language of Graphviz and exit.
    #[arg(long, help_heading = "Output", conflicts_with = "json")]
    pub plan_dot: bool,
}

/// What a run's time is spent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// Measuring the noise floor.
    pub noise: Duration,
    /// Running without measuring.
    pub warm_up: Duration,
    /// Running and measuring.
    pub measured: Duration,
}

impl Schedule {
    /// Divides a total: at most 3 s for the noise floor, at most 2 s for the warm-up.
    pub fn of(total: Duration) -> Self {
        let noise = (total * 3 / 20).min(Duration::from_secs(3));
        let warm_up = (total / 10).min(Duration::from_secs(2));
        Self { noise, warm_up, measured: total - noise - warm_up }
    }
}

/// How long a run takes unless `--seconds` says so.
const TOTAL: Duration = Duration::from_secs(20);

impl BenchArgs {
    /// What the time of a run is spent on.
    pub fn schedule(&self) -> Schedule {
        Schedule::of(self.seconds.unwrap_or(TOTAL))
    }

    /// The engine's configuration: two spinning shards where there are two cores.
    ///
    /// # Errors
    /// A setting that cannot be.
    pub fn config(&self) -> Result<Config, ConfigError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let shards = match (&self.cpus[..], self.shards) {
            ([], count) => Shards::Count(count.unwrap_or(cores.min(2))),
            (cpus, _) => Shards::Pinned(cpus.to_vec()),
        };
        let idle = match self.idle {
            Some(IdleArg::Spin) => Idle::Spin,
            Some(IdleArg::Adaptive) => Idle::SpinThenPark(us(50)),
            Some(IdleArg::Park) => Idle::Park,
            None if shards.count() <= cores => Idle::Spin,
            None => Idle::SpinThenPark(us(50)),
        };
        let config = Config {
            shards,
            idle,
            ring_capacity: self.ring_capacity,
            batch_max: self.batch_max.unwrap_or(Config::default().batch_max),
            breakdown: self.breakdown,
            oversubscribe: self.oversubscribe,
            ..Config::default()
        };
        config.check()?;
        Ok(config)
    }

    /// Why there cannot be so many shards as there would be: by the flag that asks for them, or by
    /// the scenario where none does, since then it is the host that has too few cores.
    pub fn refuse_shards(&self, reason: &str) -> ConfigError {
        if !self.cpus.is_empty() {
            let cpus: Vec<String> = self.cpus.iter().map(usize::to_string).collect();
            return ConfigError::setting("--cpus", cpus.join(","), reason);
        }
        if let Some(count) = self.shards {
            return ConfigError::setting("shards", count, reason);
        }
        let reason = format!("needs two cores, and has one here: {reason}");
        ConfigError::setting("scenario", &self.scenario, reason)
    }

    /// A goal, which is set for as many keys as a scenario has unless `--keys` says otherwise.
    pub fn goal(&self, goal: Goal) -> Option<Goal> {
        self.keys.is_none().then_some(goal)
    }

    /// The unit of recorded times.
    ///
    /// # Errors
    /// None that the command line lets through.
    pub fn unit(&self) -> Result<TimeUnit, ConfigError> {
        self.time_unit.as_deref().unwrap_or("ns").parse()
    }

    /// The first flag given that is only about recorded trades, windows or their output.
    pub fn bars_only(&self) -> Option<&'static str> {
        let given = [
            ("--input", self.input.is_some()),
            ("--window", self.window.is_some()),
            ("--slide", self.slide.is_some()),
            ("--output", self.output.is_some()),
        ];
        given.into_iter().find_map(|(flag, is_given)| is_given.then_some(flag))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_schedule_adds_up() {
        for ms in [1, 700, 20_000, 3_600_000] {
            let total = Duration::from_millis(ms);
            let schedule = Schedule::of(total);
            assert_eq!(schedule.noise + schedule.warm_up + schedule.measured, total);
        }
        assert_eq!(Schedule::of(TOTAL).measured, Duration::from_secs(15));
    }
}
