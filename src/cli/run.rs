//! Runs an engine, watches it, and says what came of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::failure::{Failure, Result};
use super::host::Disturbance;
use super::noise::{self, Noise};
use super::progress::Progress;
use super::{interrupt, pin, shard_thread};
use crate::dataflow::Pipeline;
use crate::metrics::{Counter, Counters};
use crate::runtime::{Engine, Monitor, Summary};

/// How often a running engine is looked at. Each look takes a core from a spinning shard for some
/// microseconds: at four a second that is less than one record in ten thousand.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How often a core's floor is probed: as often as a record comes at a million a second.
const PROBES_PER_S: u64 = 1_000_000;

/// How long a run takes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timing {
    /// What happens before this is left out of every number.
    pub warm_up: Duration,
    /// How long it is measured after that; without it, until the input ends.
    pub measured: Option<Duration>,
    /// Stops the engine so long after that time; else the sources are trusted to end by themselves.
    pub stop: Option<Duration>,
}

/// What a run came to, without its warm-up.
pub struct Ran {
    /// What the engine says. Its latencies are those after the warm-up, its counters are of all.
    pub summary: Summary,
    /// What was counted after the warm-up.
    pub counters: Counters,
    /// Records taken in a second.
    pub records_per_s: f64,
    /// How long was measured.
    pub seconds: f64,
    /// Allocations on the threads of the shards, a step; none if nobody counts them, there was no
    /// warm-up, or the run was too short to look twice.
    pub allocations_per_step: Option<f64>,
    /// What took cores away.
    pub disturbance: Disturbance,
    /// Whether Ctrl-C ended it.
    pub was_interrupted: bool,
}

/// The noise floor of the cores that an engine is about to use.
pub fn noise_floor(cpus: &[usize], duration: Duration, progress: &mut Progress) -> Noise {
    progress.phase("noise floor", Some(duration));
    let mut cpus = cpus.to_vec();
    cpus.sort_unstable();
    cpus.dedup();
    let is_done = AtomicBool::new(interrupt::is_seen());
    // After Ctrl-C there is nothing to wait for.
    let duration = if interrupt::is_seen() { Duration::ZERO } else { duration };
    thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            let started = Instant::now();
            while !is_done.load(Ordering::Acquire) {
                progress.tick(started.elapsed(), None);
                thread::park_timeout(LOOK_EVERY);
            }
        });
        let noise = noise::measure(&cpus, duration, PROBES_PER_S, pin::this_thread);
        is_done.store(true, Ordering::Release);
        watcher.thread().unpark();
        noise
    })
}

/// Runs an engine to the end of its input, of its time, or until Ctrl-C.
///
/// # Errors
/// What was wrong with the pipeline, found before any thread started, or what stopped a shard.
pub fn engine(
    engine: Engine,
    timing: Timing,
    progress: &mut Progress,
    build: impl Fn(Pipeline<'_>) -> crate::error::Result<()> + Send + Sync + 'static,
) -> Result<Ran> {
    let build = shard_thread::watched(build);
    engine.plan(&build).map_err(Failure::refused)?;
    let monitor = engine.monitor();
    if interrupt::is_seen() {
        monitor.stop();
    }
    let is_done = AtomicBool::new(false);
    let watch = Watch { monitor, timing, is_done: &is_done };
    let (before, switches) = (Disturbance::read(), shard_thread::involuntary_switches());
    let (summary, seen) = thread::scope(|scope| {
        let watcher = scope.spawn(|| watch.until_done(progress));
        let summary = engine.warm_up(timing.warm_up).run(build);
        is_done.store(true, Ordering::Release);
        watcher.thread().unpark();
        (summary, watcher.join().unwrap_or_default())
    });
    let of_shards = shard_thread::involuntary_switches() - switches;
    let disturbance = Disturbance {
        steal_ticks: Disturbance::read().delta(before).steal_ticks,
        involuntary_switches: Some(of_shards),
    };
    Ok(Ran::new(summary?, seen, timing, disturbance))
}

/// One look at a running engine.
#[derive(Clone, Copy)]
struct Look {
    at: Instant,
    counters: Counters,
    allocations: Option<u64>,
}

/// The first look after the warm-up, and the last before the end.
#[derive(Clone, Copy, Default)]
struct Seen {
    first: Option<Look>,
    last: Option<Look>,
}

struct Watch<'a> {
    monitor: Monitor,
    timing: Timing,
    is_done: &'a AtomicBool,
}

impl Watch<'_> {
    fn until_done(self, progress: &mut Progress) -> Seen {
        let (started, mut seen) = (self.until_started(), Seen::default());
        let Timing { warm_up, measured, stop } = self.timing;
        if !warm_up.is_zero() {
            progress.phase("warm-up", Some(warm_up));
        }
        let mut before = self.look();
        while !self.is_done.load(Ordering::Acquire) {
            let look = self.look();
            let elapsed = look.at - started;
            if elapsed >= warm_up && seen.first.is_none() {
                progress.phase("measuring", measured);
                seen.first = Some(look);
            }
            seen.last = Some(look);
            let most = measured.zip(stop).map(|(measured, more)| warm_up + measured + more);
            let is_time = most.is_some_and(|most| elapsed >= most);
            if is_time || interrupt::is_seen() {
                self.monitor.stop();
            }
            let of_phase = elapsed.saturating_sub(seen.first.map_or(Duration::ZERO, |_| warm_up));
            progress.tick(of_phase, rate(&before, &look));
            before = look;
            let until_warm = warm_up.saturating_sub(elapsed);
            let next = if until_warm.is_zero() { LOOK_EVERY } else { until_warm.min(LOOK_EVERY) };
            thread::park_timeout(next);
        }
        seen
    }

    /// When the shards began to step.
    fn until_started(&self) -> Instant {
        while self.monitor.counters().get(Counter::Steps) == 0
            && !self.is_done.load(Ordering::Acquire)
        {
            thread::park_timeout(Duration::from_millis(1));
        }
        Instant::now()
    }

    fn look(&self) -> Look {
        let allocations = shard_thread::allocations();
        Look { at: Instant::now(), counters: self.monitor.counters(), allocations }
    }
}

/// Records a second between two looks.
fn rate(before: &Look, after: &Look) -> Option<f64> {
    let seconds = (after.at - before.at).as_secs_f64();
    let records = after.counters.since(&before.counters).get(Counter::RecordsIn);
    (seconds > 0.01).then(|| records as f64 / seconds)
}

/// Allocations a step between two looks.
fn allocations(first: &Look, last: &Look) -> Option<f64> {
    let steps = last.counters.since(&first.counters).get(Counter::Steps);
    (steps > 0).then_some((last.allocations? - first.allocations?) as f64 / steps as f64)
}

impl Ran {
    fn new(summary: Summary, seen: Seen, timing: Timing, disturbance: Disturbance) -> Self {
        // Without a warm-up, everything would count that is allocated once.
        let looks = seen.first.zip(seen.last).filter(|_| !timing.warm_up.is_zero());
        let elapsed = summary.elapsed.as_secs_f64();
        let records = summary.counters.get(Counter::RecordsIn) as f64;
        let (mut counters, mut seconds) = (summary.counters, elapsed);
        let mut records_per_s = if elapsed > 0.0 { records / elapsed } else { 0.0 };
        if let Some((first, last)) = &looks {
            counters = counters.since(&first.counters);
            seconds = (elapsed - timing.warm_up.as_secs_f64()).max(0.0);
            records_per_s = rate(first, last).unwrap_or(records_per_s);
        }
        Self {
            counters,
            records_per_s,
            seconds,
            allocations_per_step: looks.and_then(|(first, last)| allocations(&first, &last)),
            disturbance,
            was_interrupted: interrupt::is_seen(),
            summary,
        }
    }
}
