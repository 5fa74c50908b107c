//! `shared`: one record from process to process by shared memory and back, beside a raw ring
//! between two threads.

use std::process::{Child, Command, Stdio};
use std::thread;

use clap::Args;

use super::trial::{failed, interrupted};
use super::wire::on_two_cores;
use super::{Measured, Scenario};
use crate::cli::args::BenchArgs;
use crate::cli::baseline::ping_pong;
use crate::cli::failure::Result;
use crate::cli::progress::Progress;
use crate::cli::report::Goal;
use crate::cli::run;
use crate::cli::{interrupt, pin};
use crate::config::Config;
use crate::dataflow::{Plan, Record};
use crate::error::IoError;
use crate::io::{Driven, MemorySource, Sink, Source};
use crate::metrics::Latency;
use crate::net::{SharedListener, SharedSink, SharedSource, Sharing, Taking};
use crate::runtime::Engine;
use crate::shard::Shard;
use crate::time::{Clock, SystemClock, Timestamp};

/// See the module.
pub const SCENARIO: Scenario = Scenario {
    name: "shared",
    about: "one record to another process by shared memory and back, beside a raw ring of threads",
    takes: &[],
    plan,
    run,
};

/// Round trips for each second of the time given; about a tenth of what a quiet host does.
const ROUNDS_PER_SECOND: f64 = 100_000.0;

/// How often the two take turns: a host has its moods, and they change in seconds.
const TURNS: usize = 5;

/// Times that nothing came before the clock is read.
const SPINS: u32 = 256;

/// What crosses: with its timestamp as much as a slot of the raw ring holds.
type Ball = [u64; 3];

/// Where the other process is told to be; the flags of a command that only this one gives.
#[derive(Args, Clone, Debug)]
pub struct PeerArgs {
    /// The name that it listens at.
    there: String,
    /// The name that it sends back to.
    back: String,
    /// The core that it is bound to.
    cpu: usize,
}

fn plan(args: &BenchArgs) -> Result<Plan> {
    let (config, _) = on_two_cores(args)?;
    let [there, back] = names("plan");
    let listener = SharedListener::at(&there)?;
    Ok(Engine::new(config)?.plan(move |p| {
        let source = SharedSource::<Ball>::new(p, &listener, Taking::default())?;
        p.source(source).sink(SharedSink::new(p, &back, Sharing::default())?);
        Ok(())
    })?)
}

fn names(what: &str) -> [String; 2] {
    ["there", "back"].map(|way| format!("bench-{what}-{way}-{}", std::process::id()))
}

fn run(args: &BenchArgs, progress: &mut Progress) -> Result<Measured> {
    let (_, cpus) = on_two_cores(args)?;
    let times = args.schedule();
    let mut measured = Measured::new(SCENARIO.name);
    measured.noise(run::noise_floor(&cpus, times.noise, progress));
    let seconds = times.measured.as_secs_f64() / TURNS as f64;
    let rounds = (seconds * ROUNDS_PER_SECOND) as u64 + 10;
    let (mut raw, mut ours, mut ratios) = (Latency::new(), Latency::new(), Vec::new());
    for turn in 0..TURNS {
        progress.phase("raw ring", None);
        let threads = ping_pong::between_threads(cpus, rounds)?;
        progress.phase("shared ring", None);
        let processes = processes(&names(&turn.to_string()), cpus, rounds)?;
        if interrupt::is_seen() {
            return Err(interrupted());
        }
        ratios.push(processes.at(0.5) as f64 / threads.at(0.5).max(1) as f64);
        raw.merge(&threads);
        ours.merge(&processes);
    }
    ratios.sort_by(f64::total_cmp);
    measured.report.setup =
        format!("two processes, one on CPU {}, one on CPU {}", cpus[0], cpus[1]);
    measured.report.pace = "closed loop".to_owned();
    measured.results(&ours);
    measured.ratio("shared_vs_rtrb", ratios[TURNS / 2], Some(Goal::AtMost(1.3)));
    measured.note(format!(
        "Latency is that of a round trip of two ways, and a closed loop. One way, p50: shared \
         memory between two processes {} ns, raw ring of as many bytes between two threads {} ns \
         (p99 {} and {}). The ratio is the median of {TURNS} turns.",
        ours.at(0.5) / 2,
        raw.at(0.5) / 2,
        ours.at(0.99) / 2,
        raw.at(0.99) / 2
    ));
    Ok(measured)
}

/// Round trips over two shared rings between this process and one more.
fn processes([there, back]: &[String; 2], cpus: [usize; 2], rounds: u64) -> Result<Latency> {
    let listener = SharedListener::at(back)?;
    let failed_to = |cause| IoError::new("run", "this program again", cause);
    let program = std::env::current_exe().map_err(failed_to)?;
    let words = [there, back, &cpus[1].to_string()];
    let child = Command::new(program).arg("shared-peer").args(words).stdin(Stdio::null()).spawn();
    // Gone with this: a game that breaks off leaves nobody spinning.
    let _other = Ended(child.map_err(failed_to)?);
    let name = there.clone();
    let thread = thread::spawn(move || {
        pin::this_thread(cpus[0]);
        Side::new(&listener, &name)?.serve(rounds)
    });
    thread.join().map_err(|_| failed("the shared ring panicked"))?
}

/// A process that is ended with this.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The other process: gives back what comes, until no more does.
///
/// # Errors
/// What the system said.
pub fn peer(args: &PeerArgs) -> Result<()> {
    pin::this_thread(args.cpu);
    Side::new(&SharedListener::at(&args.there)?, &args.back)?.give_back()
}

/// One side of the game: a source and a sink, which no shard steps.
struct Side {
    to: SharedSink<Ball>,
    driven: Option<Box<dyn Driven>>,
    from: SharedSource<Ball>,
    clock: SystemClock,
    is_over: bool,
}

impl Side {
    fn new(from: &SharedListener, to: &str) -> Result<Self> {
        let (_, (mut to, from)) = Shard::embed(Config::embedded(), |p| {
            // A pipeline is asked for its limits, and this one has nothing else to do.
            p.source(MemorySource::new(Vec::<Record<()>>::new())).for_each(drop);
            let from = SharedSource::new(p, from, Taking::default())?;
            Ok((SharedSink::new(p, to, Sharing::default())?, from))
        })?;
        let driven = to.driven();
        Ok(Self { to, driven, from, clock: SystemClock::new(), is_over: false })
    }

    /// What a shard does in every step.
    fn drive(&mut self) -> Result<Timestamp> {
        let now = self.clock.now();
        self.from.drive(now)?;
        if let Some(driven) = &mut self.driven {
            driven.drive(now)?;
        }
        Ok(now)
    }

    fn send(&mut self, ball: Record<Ball>) -> Result<()> {
        while !self.to.is_open() {
            self.drive()?;
        }
        self.to.accept(ball)?;
        Ok(self.to.end_of_batch()?)
    }

    /// The next ball; none if no more will come.
    fn receive(&mut self) -> Result<Option<Record<Ball>>> {
        let mut ball = None;
        while !self.is_over {
            for _ in 0..SPINS {
                let polled =
                    self.from.poll(0, Timestamp::MIN, 1, &mut |record| ball = Some(record))?;
                self.is_over = polled.ended;
                if ball.is_some() || self.is_over {
                    return Ok(ball);
                }
            }
            self.drive()?;
            if interrupt::is_seen() {
                return Err(interrupted());
            }
        }
        Ok(None)
    }

    /// Serves `rounds` times and measures each round trip. The first tenth is warm-up.
    fn serve(mut self, rounds: u64) -> Result<Latency> {
        let mut latency = Latency::new();
        for round in 0..rounds {
            let start = self.drive()?;
            self.send(Record::new(start, [round; 3]))?;
            let Some(ball) = self.receive()? else { return Err(failed("the other is gone")) };
            let now = self.clock.now();
            if ball != Record::new(start, [round; 3]) {
                return Err(failed("another record came back"));
            }
            if round >= rounds / 10 {
                latency.record(now, now.since(start), 1);
            }
        }
        self.to.end_of_stream()?;
        Ok(latency)
    }

    fn give_back(mut self) -> Result<()> {
        self.drive()?;
        while let Some(ball) = self.receive()? {
            self.send(ball)?;
        }
        Ok(())
    }
}
