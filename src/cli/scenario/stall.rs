//! `stall`: a stall planted in the pipeline, as an open loop and as a closed one see it.

use std::time::Duration;

use super::open_loop::patience;
use super::{Measured, Scenario, Takes};
use crate::cli::args::BenchArgs;
use crate::cli::failure::Result;
use crate::cli::progress::Progress;
use crate::cli::report::Goal;
use crate::cli::run::{self, Ran, Timing};
use crate::cli::table;
use crate::config::{Config, Idle, Shards};
use crate::dataflow::{Pipeline, Plan};
use crate::io::Generator;
use crate::runtime::Engine;
use crate::time::{Clock, SystemClock, Timestamp, ms, secs};
use crate::window::Tumbling;
use crate::window::aggregates::count;

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "stall",
    about: "a planted stall of 50 ms a second, as an open and as a closed loop see it",
    takes: &[Takes::Rate, Takes::Breakdown],
    plan,
    run,
};

/// Records a second unless the command line says so.
const RATE: f64 = 100_000.0;
/// Keys of the window.
const KEYS: u64 = 100;
/// A stall begins so often; in a short run as often as lets each loop see four.
const EVERY: Duration = secs(1);
/// The part of that time that the pipeline stands still: 50 ms a second.
const PART: u32 = 20;
/// From now until the first record is due.
const LEAD: Duration = ms(50);

fn plan(args: &BenchArgs) -> Result<Plan> {
    let stalls = Stalls { every: EVERY, next: Timestamp(0) };
    let course = Course { rate: RATE, start: Timestamp(0), span: EVERY, is_closed: false, stalls };
    Ok(Engine::new(args.config()?)?.plan(|p| course.build(p))?)
}

fn run(args: &BenchArgs, progress: &mut Progress) -> Result<Measured> {
    let cpu = *Engine::new(args.config()?)?.cpus().last().unwrap_or(&0);
    let config = Config { shards: Shards::Pinned(vec![cpu]), idle: Idle::Spin, ..args.config()? };
    let (times, rate) = (args.schedule(), args.rate.unwrap_or(RATE));
    let mut measured = Measured::new(SCENARIO.name);
    measured.noise(run::noise_floor(&[cpu], times.noise, progress));
    let span = times.measured / 2;
    let every = EVERY.min(span / 4);
    let one = |is_closed, progress: &mut Progress| {
        trial(&config, (rate, span, every), (times.warm_up / 2, is_closed), progress)
    };
    let (closed, open) = (one(true, progress)?, one(false, progress)?);
    let stall = every / PART;
    measured.report.setup = format!(
        "1 shard on CPU {cpu}, spinning; {KEYS} keys; it stands still for {stall:.1?} every \
         {every:.1?}"
    );
    measured.report.pace =
        format!("open loop, beside a closed loop of at most {}", table::rate(rate));
    measured.report.offered_per_s = Some(rate);
    measured.rates(&open);
    report(&mut measured, &open, &closed, stall);
    Ok(measured)
}

fn report(measured: &mut Measured, open: &Ran, closed: &Ran, stall: Duration) {
    let (open, closed) = (&open.summary.latencies.to_state, &closed.summary.latencies.to_state);
    measured.two_loops(open, closed);
    let ratio = |at| open.at(at) as f64 / closed.at(at).max(1) as f64;
    measured.ratio("stall_open_vs_closed_p99", ratio(0.99), Some(Goal::AtLeast(10.0)));
    measured.ratio("stall_open_vs_closed_p50", ratio(0.5), None);
    // A twentieth of the records come in a stall and wait for what is left of it, evenly from all
    // of it to nothing: a fifth of them, which is one in a hundred, for more than four fifths.
    let expected = stall.as_nanos() as f64 * 0.8;
    measured.ratio("stall_p99_vs_expected", open.at(0.99) as f64 / expected, None);
    let count = |of: &crate::metrics::Latency| {
        let late = stall.as_nanos() as u64 / 10;
        let points = of.curve().take_while(|(_, ns)| *ns <= late);
        let share = 1.0 - points.last().map_or(0.0, |(quantile, _)| quantile);
        format!("{:.3} %", share * 100.0)
    };
    measured.note(format!(
        "The same pipeline, the same stalls. The open loop sends on, and charges each record that \
         came in a stall for what was left of it: {} of its records waited for over a tenth of a \
         stall. The closed loop waits for the stall to end before it sends the next one, so it has \
         one slow record a stall: {}. That is coordinated omission, and why percentiles of a \
         closed loop say nothing about what a user sees.",
        count(open),
        count(closed)
    ));
    measured.note(
        "stall_p99_vs_expected is the p99 of the open loop over four fifths of a stall, which is \
         what arithmetic says: a twentieth of the records come in a stall, and wait for what is \
         left of it.",
    );
}

fn trial(
    config: &Config,
    (rate, span, every): (f64, Duration, Duration),
    (warm_up, is_closed): (Duration, bool),
    progress: &mut Progress,
) -> Result<Ran> {
    let start = SystemClock::new().now() + LEAD;
    // The first of them begins half its distance into what is measured.
    let stalls = Stalls { every, next: start + warm_up + every / 2 };
    let course = Course { rate, start, span: warm_up + span, is_closed, stalls };
    let stop = Some(patience(span));
    let timing = Timing { warm_up: LEAD + warm_up, measured: Some(span), stop };
    run::engine(Engine::new(config.clone())?, timing, progress, move |p| course.build(p))
}

/// What a shard builds.
#[derive(Clone, Copy)]
struct Course {
    rate: f64,
    start: Timestamp,
    span: Duration,
    is_closed: bool,
    stalls: Stalls,
}

impl Course {
    fn build(&self, p: Pipeline<'_>) -> crate::error::Result<()> {
        let records = Generator::at_rate(self.rate, |index, _due| index % KEYS)?;
        let records = records.start_at(self.start).duration(self.span);
        let records = if self.is_closed { records.closed_loop() } else { records };
        let (mut stalls, clock) = (self.stalls, SystemClock::new());
        p.source(records.share(p.shard(), p.shards()))
            .inspect(move |_| stalls.pass(&clock))
            .key_by(|key| *key)
            .window(Tumbling::of(ms(10)))
            .aggregate(count())
            .for_each(drop);
        Ok(())
    }
}

/// What makes the pipeline stand still now and then.
#[derive(Clone, Copy)]
struct Stalls {
    every: Duration,
    next: Timestamp,
}

impl Stalls {
    /// Returns at once, or after a stall that was due.
    fn pass(&mut self, clock: &SystemClock) {
        if clock.now() < self.next {
            return;
        }
        let until = self.next + self.every / PART;
        while clock.now() < until {
            std::hint::spin_loop();
        }
        self.next = self.next + self.every;
    }
}
