//! N shards in one thread. The seed chooses who steps next and how virtual time moves.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;

use crate::config::Config;
use crate::dataflow::{Fabric, Pipeline, Plan, build};
use crate::error::{ConfigError, Result};
use crate::metrics::Counters;
use crate::shard::{Latencies, Shard};
use crate::sim::crashes::Crashes;
use crate::time::{ManualClock, Timestamp};

/// A run of a pipeline on simulated shards: the same operators, rings and windows as anywhere,
/// under virtual time.
///
/// The same seed, config and input give the same interleaving, and so the same output bytes.
///
/// ```
/// use millstream::{io::IterSource, Record, Simulation, Timestamp};
/// # fn main() -> millstream::Result<()> {
/// let outcome = Simulation::new(3, 42).ring_capacity(1).run(|p| {
///     p.source(IterSource::new((0..100u32).map(|n| Record::new(Timestamp(n.into()), n))))
///         .key_by(|n| *n)
///         .reduce(|_, _| ())
///         .for_each(drop);
///     Ok(())
/// });
/// # let _ = outcome;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Simulation {
    config: Config,
    seed: u64,
    steps_max: u64,
    /// Crashes, if there are checkpoints to go on from.
    crashes: Option<u32>,
}

/// What a simulated run came to.
pub struct Outcome {
    /// Counters summed over the shards.
    pub counters: Counters,
    /// Latencies in virtual time.
    pub latencies: Latencies,
    /// The drawing of the pipeline.
    pub plan: Plan,
    /// How many steps all shards took together.
    pub steps: u64,
    /// How many checkpoints were completed.
    pub checkpoints: u64,
}

impl Simulation {
    /// So many shards under this seed.
    pub fn new(shards: usize, seed: u64) -> Self {
        Self::with_config(Config::simulation(shards), seed)
    }

    /// A run with this config under this seed.
    pub fn with_config(config: Config, seed: u64) -> Self {
        Self { config, seed, steps_max: 50_000_000, crashes: None }
    }

    /// Sets the capacity of every ring: 1 reaches corners that nothing else does.
    pub fn ring_capacity(mut self, slots: usize) -> Self {
        self.config.ring_capacity = slots;
        self
    }

    /// Sets how many records a batch holds at most.
    pub fn batch_max(mut self, records: usize) -> Self {
        self.config.batch_max = records;
        self
    }

    /// Sets how many keys a window fires at most a step.
    pub fn fire_max(mut self, keys: usize) -> Self {
        self.config.fire_max = keys;
        self
    }

    /// Sets after how many steps, of all shards together, the run counts as stuck.
    pub fn steps_max(mut self, steps: u64) -> Self {
        self.steps_max = steps;
        self
    }

    /// Takes checkpoints at random moments, and so many times lets all shards crash between two
    /// steps: what they hold is gone, they are built anew and go on from the last checkpoint that
    /// was complete. Pipelines, sources and sinks must be such as can be restored.
    pub fn crashing(mut self, times: u32) -> Self {
        self.crashes = Some(times);
        self
    }

    /// Builds the pipeline on every shard and steps them until all are done.
    ///
    /// # Errors
    /// What building returned, what stopped a shard, or that the shards got stuck, with the seed.
    pub fn run(&self, build_pipeline: impl Fn(Pipeline<'_>) -> Result<()>) -> Result<Outcome> {
        self.config.check()?;
        let clock = ManualClock::default();
        let mut shards = shards(&self.config, &clock, &build_pipeline)?;
        let mut crashes = self.crashes.map(|times| Crashes::new(times, self.seed));
        let steps = self.drive(&mut shards, &clock, &mut crashes, &build_pipeline)?;
        let checkpoints = crashes.map_or(0, |crashes| crashes.completed());
        Ok(outcome(&shards, steps, checkpoints))
    }

    /// Steps a random shard at a random pace, with bursts in which one shard is left out, as a
    /// stalled core would be.
    fn drive(
        &self,
        shards: &mut Vec<Shard>,
        clock: &ManualClock,
        crashes: &mut Option<Crashes>,
        build_pipeline: &impl Fn(Pipeline<'_>) -> Result<()>,
    ) -> Result<u64> {
        let mut rng = Rng::with_seed(self.seed);
        let mut now = Timestamp::from_millis(1_000_000);
        let mut steps = 0;
        while !is_over(shards, crashes) {
            let stalled = rng.usize(..shards.len() * 4);
            for _ in 0..rng.u32(1..40) {
                let index = rng.usize(..shards.len());
                if index == stalled {
                    continue;
                }
                now = now + Duration::from_nanos(rng.u64(50..5_000));
                clock.set(now);
                shards[index].step(now);
                if let Some(error) = shards[index].take_failure() {
                    return Err(error);
                }
                steps += 1;
                if let Some(crashes) = crashes
                    && crashes.after_step(index, shards)?
                {
                    *shards = self::shards(&self.config, clock, build_pipeline)?;
                    crashes.restore(shards)?;
                }
            }
            if steps > self.steps_max {
                return Err(self.stuck(steps).into());
            }
        }
        Ok(steps)
    }

    fn stuck(&self, steps: u64) -> ConfigError {
        let seed = self.seed;
        ConfigError::Pipeline(format!("stuck after {steps} simulated steps under seed {seed}"))
    }
}

/// All shards of a pipeline, whose latencies are measured by `clock`.
pub(super) fn shards(
    config: &Config,
    clock: &ManualClock,
    build_pipeline: &impl Fn(Pipeline<'_>) -> Result<()>,
) -> Result<Vec<Shard>> {
    let config = Arc::new(config.clone());
    let fabric = Arc::new(Fabric::new(config.shards.count()));
    let mut shards = Vec::new();
    for index in 0..fabric.shards() {
        let (built, ()) = build(index, &config, &fabric, build_pipeline)?;
        shards.push(Shard::new(built, Rc::new(clock.clone())));
    }
    fabric.check()?;
    Ok(shards)
}

/// Whether all shards are done, and what they have done is complete.
fn is_over(shards: &[Shard], crashes: &mut Option<Crashes>) -> bool {
    let is_done = shards.iter().all(Shard::is_done);
    is_done && crashes.as_mut().is_none_or(Crashes::is_over)
}

fn outcome(shards: &[Shard], steps: u64, checkpoints: u64) -> Outcome {
    let mut counters = Counters::default();
    let mut latencies = Latencies::default();
    for shard in shards {
        counters += shard.counters().snapshot();
        latencies.merge(&shard.latencies());
    }
    Outcome { counters, latencies, plan: shards[0].plan().clone(), steps, checkpoints }
}
