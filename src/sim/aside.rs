//! Records that make a simulated pipeline fail, found and set aside.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;
use crate::dataflow::{Epoch, Fabric, build};
use crate::error::{Error, Result, panic_message};
use crate::shard::{
    Care, Counts, Ended, Place, Search, Shard, Snapshot, Trial, Verdict, beyond, run_with_care,
};
use crate::sim::world::BuildPipeline;
use crate::time::{ManualClock, Timestamp};

/// The last checkpoint, of all shards.
type Kept = Option<(Epoch, Vec<Snapshot>)>;

/// A step of virtual time in a run with care.
const STEP: Duration = Duration::from_micros(1);

/// After so many times without a record none is waited for.
const WAITS_MAX: u32 = 1_000;

/// What is known of records to leave out.
#[derive(Default)]
pub struct Aside {
    /// They go nowhere.
    pub places: Vec<Place>,
    search: Search,
}

/// Steps a shard; a panic is an error.
pub fn step(index: usize, shard: &mut Shard, now: Timestamp) -> Result<()> {
    catch_unwind(AssertUnwindSafe(|| shard.step(now))).map_err(|panic| {
        let message = panic_message(panic.as_ref());
        Error::Panic { shard: index, message }
    })?;
    shard.take_failure().map_or(Ok(()), Err)
}

/// A pipeline that has failed, to be run with care from its last checkpoint.
pub struct Scene<'a> {
    pub config: &'a Config,
    pub clock: &'a ManualClock,
    pub now: Timestamp,
    pub kept: Kept,
    /// The number of the next checkpoint.
    pub epoch: Epoch,
    pub build: BuildPipeline<'a>,
}

impl Aside {
    /// Finds the records that made the shards fail, which had given so many. Returns the checkpoint
    /// that stands behind them.
    ///
    /// # Errors
    /// The failure, if no record is to blame.
    pub fn find(&mut self, error: Error, counts: Counts, scene: &mut Scene<'_>) -> Result<Kept> {
        if !error.may_be_of_a_record() {
            return Err(error);
        }
        let goal = beyond(counts, scene.config.batch_max);
        let before = self.places.len();
        self.search.begin();
        loop {
            let (ended, kept) = scene.run(&self.places, &goal, None);
            let failure = match ended {
                Ended::Past(_) if self.places.len() > before => return Ok(kept),
                Ended::Past(_) => return Err(error),
                Ended::Failed(failure) => failure,
            };
            let run = |without: &[Place], trial| Ok(scene.run(without, &goal, Some(&trial)).0);
            match self.search.judge(&failure, &self.places, run)? {
                Verdict::Guilty(records) => self.places.extend(records),
                Verdict::Unsure => {}
                Verdict::Nobody => return Err(failure.error),
            }
        }
    }
}

impl Scene<'_> {
    fn run(&mut self, without: &[Place], goal: &Counts, trial: Option<&Trial>) -> (Ended, Kept) {
        let config = Arc::new(self.config.clone());
        let fabric = Arc::new(Fabric::new(config.shards.count()));
        let mut run = WithCare { scene: self, config, fabric, without, taken: None };
        let ended = run_with_care(&mut run, goal, trial);
        (ended, run.taken)
    }
}

struct WithCare<'a, 'b> {
    scene: &'a mut Scene<'b>,
    config: Arc<Config>,
    fabric: Arc<Fabric>,
    without: &'a [Place],
    taken: Kept,
}

impl Care for WithCare<'_, '_> {
    fn shards(&self) -> usize {
        self.fabric.shards()
    }

    fn build(&mut self, index: usize) -> Result<Shard> {
        let (built, ()) = build(index, &self.config, &self.fabric, self.scene.build)?;
        let mut shard = Shard::simulated(built, Rc::new(self.scene.clock.clone()));
        if let Some((epoch, snapshots)) = &self.scene.kept {
            shard.restore(&snapshots[index])?;
            shard.complete_checkpoint(*epoch);
        }
        shard.pass_over(index, self.without);
        Ok(shard)
    }

    fn now(&mut self) -> Timestamp {
        self.scene.now = self.scene.now + STEP;
        self.scene.clock.set(self.scene.now);
        self.scene.now
    }

    fn is_stopped(&self) -> bool {
        false
    }

    fn waits(&mut self, times: u32) -> bool {
        times < WAITS_MAX
    }

    fn epoch(&self) -> Option<Epoch> {
        Some(self.scene.epoch)
    }

    fn keep(&mut self, epoch: Epoch, shards: Vec<Snapshot>) -> Result<()> {
        self.taken = Some((epoch, shards));
        Ok(())
    }
}
