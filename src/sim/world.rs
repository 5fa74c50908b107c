//! N shards in one thread. The seed chooses who steps next and how virtual time moves.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;

use crate::config::{Config, Shards};
use crate::dataflow::{Fabric, Pipeline, Plan, build};
use crate::error::{ConfigError, Error, Result};
use crate::metrics::Counters;
use crate::shard::{Latencies, Place, Shard};
use crate::sim::aside::{self, Aside, Scene};
use crate::sim::crashes::Crashes;
use crate::sim::jumps::Jumps;
use crate::time::{ManualClock, Timestamp};

/// Builds a pipeline on one of several shards.
pub(super) type BuildPipeline<'a> = &'a dyn Fn(Pipeline<'_>) -> Result<()>;

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
    /// After each crash there are so many shards at most, instead of as many as before.
    rescales: Option<usize>,
    sets_aside: bool,
    jumps: bool,
}

/// What a simulated run came to.
pub struct Outcome {
    /// Counters summed over the shards.
    pub counters: Counters,
    /// Latencies in virtual time, within 10 %.
    pub latencies: Latencies,
    /// The drawing of the pipeline.
    pub plan: Plan,
    /// How many steps all shards took together.
    pub steps: u64,
    /// How many checkpoints were completed.
    pub checkpoints: u64,
    /// Records that made the pipeline fail each time.
    pub set_aside: Vec<Place>,
}

impl Simulation {
    /// So many shards under this seed.
    pub fn new(shards: usize, seed: u64) -> Self {
        Self::with_config(Config::simulation(shards), seed)
    }

    /// A run with this config under this seed.
    pub fn with_config(config: Config, seed: u64) -> Self {
        let (steps_max, crashes, rescales) = (50_000_000, None, None);
        Self { config, seed, steps_max, crashes, rescales, sets_aside: false, jumps: false }
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
    /// steps, or while a checkpoint is being written: what they hold is gone, they are built anew
    /// and go on from the newest checkpoint that is there. Those are files of a
    /// [`SimDisk`](crate::sim::SimDisk), and most of the crashes are power cuts, which may take
    /// from it whatever was not made durable. Pipelines, sources and sinks must be such as can be
    /// restored.
    pub fn crashing(mut self, times: u32) -> Self {
        self.crashes = Some(times);
        self
    }

    /// Where [`crashing`](Self::crashing), goes on after each crash on another number of shards,
    /// from one to `shards_max`, as it is to come from the seed.
    pub fn rescaling(mut self, shards_max: usize) -> Self {
        self.rescales = Some(shards_max.max(1));
        self
    }

    /// Where [`crashing`](Self::crashing), finds out which records make the pipeline fail, as an
    /// engine does that has a policy for them, and goes on without.
    pub fn setting_aside(mut self) -> Self {
        self.sets_aside = true;
        self
    }

    /// Lets the clock of each shard jump: far forwards, as after a host was suspended, and a little
    /// back, as one that is set right. Nothing but what is timed by the step's `now` may notice.
    pub fn jumping(mut self) -> Self {
        self.jumps = true;
        self
    }

    /// Builds the pipeline on every shard and steps them until all are done.
    ///
    /// # Errors
    /// What building returned, what stopped a shard, or that the shards got stuck, with the seed.
    pub fn run(&self, build_pipeline: impl Fn(Pipeline<'_>) -> Result<()>) -> Result<Outcome> {
        self.run_beside(|_| {}, build_pipeline)
    }

    /// The same, and calls `outside` before every step with the time, which never jumps: there the
    /// network goes on, and whoever the pipeline talks to.
    ///
    /// # Errors
    /// Those of [`run`](Self::run).
    pub fn run_beside(
        &self,
        mut outside: impl FnMut(Timestamp),
        build_pipeline: impl Fn(Pipeline<'_>) -> Result<()>,
    ) -> Result<Outcome> {
        self.simulate(&mut outside, &build_pipeline)
    }

    /// What is run is compiled once, whatever pipelines there are.
    fn simulate(
        &self,
        outside: &mut dyn FnMut(Timestamp),
        build_pipeline: BuildPipeline<'_>,
    ) -> Result<Outcome> {
        self.config.check()?;
        let clock = ManualClock::default();
        let mut shards = shards(&self.config, &clock, build_pipeline)?;
        let hash_seed = self.config.hash_seed;
        let crashes = self.crashes.map(|times| {
            // What was kept is looked at without a disk where records are set aside.
            Crashes::new(times, self.seed, hash_seed, !self.sets_aside)
        });
        let jumps = self.jumps.then(|| Jumps::new(self.seed));
        let mut fate = Fate { crashes, aside: Aside::default(), jumps };
        let steps = self.drive(&mut shards, &clock, &mut fate, outside, build_pipeline)?;
        let Fate { crashes, aside, .. } = fate;
        let checkpoints = crashes.map_or(0, |crashes| crashes.completed());
        Ok(outcome(&shards, steps, checkpoints, aside.places))
    }

    /// Steps a random shard at a random pace, with bursts in which one shard is left out, as a
    /// stalled core would be.
    fn drive(
        &self,
        shards: &mut Vec<Shard>,
        clock: &ManualClock,
        fate: &mut Fate,
        outside: &mut dyn FnMut(Timestamp),
        build_pipeline: BuildPipeline<'_>,
    ) -> Result<u64> {
        let mut rng = Rng::with_seed(self.seed);
        let mut now = Timestamp::from_millis(1_000_000);
        let (mut steps, mut config) = (0, self.config.clone());
        while !fate.is_over(shards) {
            let stalled = rng.usize(..shards.len() * 4);
            for _ in 0..rng.u32(1..40) {
                let index = rng.usize(..shards.len());
                if index == stalled {
                    continue;
                }
                now = now + Duration::from_nanos(rng.u64(50..5_000));
                outside(now);
                let shown = fate.jumps.as_mut().map_or(now, |jumps| jumps.shown(index, now));
                clock.set(shown);
                steps += 1;
                let crashes = match self.step(index, shards, shown) {
                    Ok(()) => fate.after_step(index, shards)?,
                    Err(error) => {
                        now = self.set_aside(
                            error,
                            shards,
                            fate,
                            (&config, clock, now),
                            build_pipeline,
                        )?;
                        true
                    }
                };
                if crashes {
                    if let Some(most) = self.rescales {
                        config.shards = Shards::Count(rng.usize(1..=most));
                    }
                    // What they held goes first: addresses are free again.
                    shards.clear();
                    *shards = self::shards(&config, clock, build_pipeline)?;
                    fate.restore(shards, &config)?;
                }
            }
            if steps > self.steps_max {
                return Err(self.stuck(steps).into());
            }
        }
        Ok(steps)
    }

    fn step(&self, index: usize, shards: &mut [Shard], now: Timestamp) -> Result<()> {
        if self.sets_aside {
            return aside::step(index, &mut shards[index], now);
        }
        shards[index].step(now);
        shards[index].take_failure().map_or(Ok(()), Err)
    }

    /// Finds the records that made the shards fail. Returns what time it is then.
    fn set_aside(
        &self,
        error: Error,
        shards: &mut [Shard],
        fate: &mut Fate,
        (config, clock, now): (&Config, &ManualClock, Timestamp),
        build: BuildPipeline<'_>,
    ) -> Result<Timestamp> {
        let Some(crashes) = fate.crashes.as_mut().filter(|_| self.sets_aside) else {
            return Err(error);
        };
        let counts = shards.iter_mut().map(Shard::counts).collect();
        let (kept, epoch) = (crashes.kept().clone(), crashes.next());
        let mut scene = Scene { config, clock, now, kept, epoch, build };
        let kept = fate.aside.find(error, counts, &mut scene)?;
        crashes.keep(kept)?;
        Ok(scene.now)
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
    build_pipeline: BuildPipeline<'_>,
) -> Result<Vec<Shard>> {
    let config = Arc::new(config.clone());
    let fabric = Arc::new(Fabric::new(config.shards.count()));
    let mut shards = Vec::new();
    for index in 0..fabric.shards() {
        let (built, ()) = build(index, &config, &fabric, build_pipeline)?;
        shards.push(Shard::simulated(built, Rc::new(clock.clone())));
    }
    fabric.check()?;
    Ok(shards)
}

/// What a seed has in store, and what has come of it.
struct Fate {
    crashes: Option<Crashes>,
    aside: Aside,
    jumps: Option<Jumps>,
}

impl Fate {
    /// Whether all shards are done, and what they have done is complete.
    fn is_over(&mut self, shards: &[Shard]) -> bool {
        let is_done = shards.iter().all(Shard::is_done);
        is_done && self.crashes.as_mut().is_none_or(Crashes::is_over)
    }

    /// Whether all shards crash now.
    fn after_step(&mut self, stepped: usize, shards: &mut [Shard]) -> Result<bool> {
        self.crashes.as_mut().map_or(Ok(false), |it| it.after_step(stepped, shards))
    }

    fn restore(&mut self, shards: &mut [Shard], config: &Config) -> Result<()> {
        if let Some(crashes) = &mut self.crashes {
            crashes.restore(shards, config)?;
        }
        let all = shards.iter_mut().enumerate();
        all.for_each(|(index, shard)| shard.pass_over(index, &self.aside.places));
        Ok(())
    }
}

fn outcome(shards: &[Shard], steps: u64, checkpoints: u64, set_aside: Vec<Place>) -> Outcome {
    let mut counters = Counters::default();
    let mut latencies = Latencies::coarse();
    for shard in shards {
        counters += shard.counters().snapshot();
        latencies.merge(&shard.latencies());
    }
    let plan = shards[0].plan().clone();
    Outcome { counters, latencies, plan, steps, checkpoints, set_aside }
}
