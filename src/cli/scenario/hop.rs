//! `hop`: one record from shard to shard and back, beside a raw ring between two threads; with
//! `--slo` and `--sweep` records at any rate, each of which counts from when it was due.

use std::cell::Cell;
use std::rc::Rc;

use super::feed::Feed;
use super::open_loop::{self, OpenLoop, Sample, Times};
use super::{Measured, Scenario, Takes};
use crate::cli::args::BenchArgs;
use crate::cli::baseline::ping_pong;
use crate::cli::failure::Result;
use crate::cli::progress::Progress;
use crate::cli::report::Goal;
use crate::cli::run::{self, Timing};
use crate::config::{Config, Idle};
use crate::dataflow::{Pipeline, Plan, Record};
use crate::error::IoError;
use crate::exchange::{To, exchange};
use crate::io::{Polled, Source};
use crate::runtime::Engine;
use crate::time::{Clock, SystemClock, Timestamp};

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "hop",
    about: "one record from shard to shard and back, beside a raw ring between two threads",
    takes: &[Takes::Breakdown],
    plan,
    run,
};

/// Records that are served when they are due, whether or not the one before is back.
pub const OPEN_LOOP: OpenLoop =
    OpenLoop { name: SCENARIO.name, rate: 100_000.0, generator: alone, sample };

/// Round trips for each second of the time given; about a tenth of what a quiet host does.
const ROUNDS_PER_SECOND: f64 = 100_000.0;

fn plan(args: &BenchArgs) -> Result<Plan> {
    let engine = Engine::new(config(args)?)?;
    Ok(engine.plan(|p| build(p, 1))?)
}

fn config(args: &BenchArgs) -> Result<Config> {
    let config = Config { idle: Idle::Spin, ..args.config()? };
    match config.shards.count() {
        2 => Ok(config),
        _ => Err(args.refuse_shards("a hop is between two shards, on two cores").into()),
    }
}

fn run(args: &BenchArgs, progress: &mut Progress) -> Result<Measured> {
    let engine = Engine::new(config(args)?)?;
    let (cpus, times) = (engine.cpus().to_vec(), args.schedule());
    let mut measured = Measured::new(SCENARIO.name);
    measured.report.setup = format!("two shards on CPUs {cpus:?}, one record in flight");
    measured.report.pace = "closed loop".to_owned();
    measured.noise(run::noise_floor(&cpus, times.noise, progress));
    let rounds = (times.measured.as_secs_f64() * ROUNDS_PER_SECOND) as u64 + 10;
    progress.phase("raw ring", None);
    let raw = ping_pong::between_threads([cpus[0], cpus[1]], rounds)?;
    let ran = run::engine(engine, Timing::default(), progress, move |p| build(p, rounds))?;
    let hop = &ran.summary.latencies.to_sink;
    measured.rates(&ran);
    measured.beside("raw ring", &raw);
    measured.results(hop);
    let (ours, floor) = (hop.at(0.5) as f64, raw.at(0.5).max(1) as f64);
    measured.ratio("hop_vs_rtrb", ours / floor, Some(Goal::AtMost(1.5)));
    measured.note(format!(
        "Latency is that of a round trip of two hops, and a closed loop. One hop, p50: engine {} \
         ns, raw ring of as many bytes {} ns (p99 {} and {}).",
        hop.at(0.5) / 2,
        raw.at(0.5) / 2,
        hop.at(0.99) / 2,
        raw.at(0.99) / 2
    ));
    Ok(measured)
}

/// What crosses: as much as a slot of a ring holds.
type Ball = [u64; 2];

/// Serves the next ball when the last one has come back.
struct Serve {
    back: Rc<Cell<bool>>,
    clock: SystemClock,
    left: u64,
}

impl Source for Serve {
    type Out = Ball;

    fn partitions(&self) -> usize {
        usize::from(self.left > 0)
    }

    fn poll(
        &mut self,
        _partition: usize,
        now: Timestamp,
        _budget: usize,
        emit: &mut impl FnMut(Record<Ball>),
    ) -> std::result::Result<Polled, IoError> {
        if !self.back.replace(false) {
            return Ok(Polled::open());
        }
        if self.left == 0 {
            return Ok(Polled::ended());
        }
        self.left -= 1;
        let ingress = Some(self.clock.now());
        emit(Record::new(now, [self.left; 2]));
        Ok(Polled { ingress, ..Polled::open() })
    }
}

/// From shard 0 to shard 1 and back, `rounds` times.
fn build(p: Pipeline<'_>, rounds: u64) -> crate::error::Result<()> {
    let back = Rc::new(Cell::new(true));
    let left = if p.shard() == 0 { rounds } else { 0 };
    let serve = Serve { back: back.clone(), clock: SystemClock::new(), left };
    let there = exchange(p.source(serve), "to shard 1", To(1));
    exchange(there, "to shard 0", To(0)).for_each(move |_| back.set(true));
    Ok(())
}

/// The ball that is served at this place.
fn ball(place: u64, _due: Timestamp) -> Ball {
    [place; 2]
}

/// One rate, for so long.
fn sample(args: &BenchArgs, rate: f64, span: Times, progress: &mut Progress) -> Result<Sample> {
    let engine = Engine::new(config(args)?)?;
    let setup = format!("two shards on CPUs {:?}, there and back", engine.cpus());
    let feed = Feed::due(args, rate, span);
    open_loop::sample(engine, setup, span, progress, move |p| {
        let balls = feed.share((0, 1), ball)?;
        let served = if p.shard() == 0 { balls } else { balls.count(0) };
        let there = exchange(p.source(served), "to shard 1", To(1));
        exchange(there, "to shard 0", To(0)).for_each(|_| ());
        Ok(())
    })
}

/// Balls a second that shard 0 serves where nobody takes them.
fn alone(args: &BenchArgs, span: Times) -> Result<f64> {
    let cpu = Engine::new(config(args)?)?.cpus().first().copied().unwrap_or(0);
    let feed = Feed::fastest(args);
    open_loop::alone(cpu, span.measured, move || Ok(feed.share((0, 1), ball)?))
}
