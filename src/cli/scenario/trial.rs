//! Running the engine and a hand-written program over the same records, one after the other.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::cli::args::BenchArgs;
use crate::cli::baseline::Checksum;
use crate::cli::failure::{Failure, Result};
use crate::cli::progress::Progress;
use crate::cli::run::{self, Ran, Timing};
use crate::cli::{interrupt, pin};
use crate::config::{Config, Shards};
use crate::dataflow::{Pipeline, Plan, Record};
use crate::error::IoError;
use crate::io::{MemorySource, Sink};
use crate::runtime::Engine;
use crate::shard::StageWork;
use crate::window::Windowed;

/// Steps before this are left out of the worst ones: memory is touched for the first time in them.
/// Records are counted from the start.
const WARM_UP: Duration = Duration::from_millis(100);

/// The plan of a scenario that measures no engine: nothing goes in, and nothing comes out.
///
/// # Errors
/// A setting that cannot be.
pub fn no_engine(args: &BenchArgs) -> Result<Plan> {
    let build = |p: Pipeline<'_>| {
        p.source(MemorySource::<u64>::new(Vec::new())).for_each(drop);
        Ok(())
    };
    Ok(Engine::new(args.config()?)?.plan(build)?)
}

/// One run of a program over the same records: records a second, and what came out.
pub type Trial = (f64, Checksum);

/// Where the sinks of all shards add up what they found.
pub type Found = Arc<Mutex<Checksum>>;

/// What all trials of the engine have in common.
pub struct Trials {
    /// But for the shards, which each trial has of its own.
    pub config: Config,
    /// How many records go in.
    pub records: u64,
}

impl Trials {
    /// Runs the engine once over all records.
    ///
    /// # Errors
    /// What was wrong with the pipeline, what stopped a shard, or Ctrl-C.
    pub fn engine(
        &self,
        phase: &'static str,
        cpus: &[usize],
        progress: &mut Progress,
        build: impl Fn(Pipeline<'_>, &Found) -> crate::error::Result<()> + Send + Sync + 'static,
    ) -> Result<(Trial, Ran)> {
        let found = Found::default();
        let into = found.clone();
        let config = Config { shards: Shards::Pinned(cpus.to_vec()), ..self.config.clone() };
        progress.phase(phase, None);
        let build = move |p: Pipeline<'_>| build(p, &into);
        let timing = Timing { warm_up: WARM_UP, ..Timing::default() };
        let ran = run::engine(Engine::new(config)?, timing, progress, build)?;
        if interrupt::is_seen() {
            return Err(interrupted());
        }
        let found = *found.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(((self.records as f64 / ran.summary.elapsed.as_secs_f64(), found), ran))
    }
}

/// Sums up what comes out, and hands the sum over at the end.
pub struct Tally<F> {
    found: Checksum,
    into: Found,
    add: F,
}

impl<F> Tally<F> {
    /// Adds a result up by `add`.
    pub fn new(into: &Found, add: F) -> Self {
        Self { found: Checksum::default(), into: into.clone(), add }
    }
}

impl<T, F: FnMut(&mut Checksum, T) + 'static> Sink<T> for Tally<F> {
    #[inline]
    fn accept(&mut self, record: Record<T>) -> std::result::Result<(), IoError> {
        (self.add)(&mut self.found, record.value);
        Ok(())
    }

    fn end_of_stream(&mut self) -> std::result::Result<(), IoError> {
        self.into.lock().unwrap_or_else(PoisonError::into_inner).merge(self.found);
        Ok(())
    }
}

/// Adds up a window's count and sum.
#[inline]
pub fn count_and_sum(found: &mut Checksum, result: Windowed<u64, (u64, u64)>) {
    let Windowed { key, span, value: (count, sum), .. } = result;
    found.add(key, span.end.as_nanos(), count, sum);
}

/// Runs a hand-written program on a thread of its own that is bound to a core.
///
/// # Errors
/// It panicked, or Ctrl-C was seen.
pub fn pinned(
    cpu: usize,
    program: impl FnOnce() -> Checksum + Send + 'static,
    records: u64,
) -> Result<Trial> {
    let trial = on_core(cpu, move || {
        let started = Instant::now();
        let found = program();
        (records as f64 / started.elapsed().as_secs_f64(), found)
    })?;
    if interrupt::is_seen() { Err(interrupted()) } else { Ok(trial) }
}

/// Runs something on a thread of its own that is bound to a core.
///
/// # Errors
/// It panicked.
pub fn on_core<T: Send + 'static>(
    cpu: usize,
    program: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    let thread = thread::spawn(move || {
        pin::this_thread(cpu);
        program()
    });
    thread.join().map_err(|_| failed("a program beside the engine panicked"))
}

/// The longest time between two looks at the clock of a loop that does nothing else for so long: a
/// step that takes no longer may have taken none of it itself.
pub fn worst_stall(duration: Duration) -> Duration {
    let (started, mut worst) = (Instant::now(), Duration::ZERO);
    let mut last = started;
    while last - started < duration {
        let now = Instant::now();
        worst = worst.max(now - last);
        last = now;
    }
    worst
}

/// The worst step in words, beside the stall of a loop that did nothing for as long.
pub fn beside_stall(worst: Duration, stall: Duration, stages: &[StageWork]) -> String {
    let units = stages.iter().map(|of| of.most.0).max().unwrap_or(0);
    let whose = match worst > stall * 3 / 2 {
        true => "That loop saw no stall as long.",
        false => "A step as long may be the host's doing.",
    };
    format!(
        "Worst step {worst:.1?}; a loop that only read the clock for as long as all steps took was \
         away for {stall:.1?}. {whose} The bound without the host: {units} units of work in one \
         call."
    )
}

/// A comparison of programs that find different things is none.
///
/// # Errors
/// They differ.
pub fn agree(name: &str, one: Checksum, other: Checksum) -> Result<()> {
    if one == other {
        return Ok(());
    }
    Err(failed(&format!("the {name} found {one:?}, the engine {other:?}")))
}

/// A run that went wrong.
pub fn failed(message: &str) -> Failure {
    Failure { message: message.to_owned(), code: Failure::RAN }
}

/// A run that was cut short.
pub fn interrupted() -> Failure {
    failed("stopped by Ctrl-C before the comparison was complete")
}
