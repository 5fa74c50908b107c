//! Checkpoints and crashes at moments that a seed chooses.

use fastrand::Rng;

use crate::dataflow::Epoch;
use crate::error::Result;
use crate::shard::{Shard, Snapshot};

/// Steps between the end of a checkpoint and the beginning of the next one, at most.
const PAUSE_MAX: u64 = 400;

/// One in so many steps is the last before a crash.
const CRASH_EVERY: u64 = 500;

/// What survives a crash, and when the next one comes.
pub struct Crashes {
    rng: Rng,
    left: u32,
    epoch: Epoch,
    now: Doing,
    /// The last checkpoint that was complete.
    kept: Option<(Epoch, Vec<Snapshot>)>,
    completed: u64,
    /// All shards were done when the checkpoint that is under way began.
    is_last: bool,
}

enum Doing {
    /// No checkpoint for so many steps.
    Nothing { steps: u64 },
    /// What the shards have brought so far.
    Collecting(Vec<Option<Snapshot>>),
    /// It is complete, and some shards do not know it yet.
    Telling { told: Vec<bool> },
    /// The last one is complete, and all know it.
    Over,
}

impl Crashes {
    /// So many crashes, at moments chosen by a seed.
    pub fn new(times: u32, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed ^ 0xc7a5);
        let now = Doing::Nothing { steps: rng.u64(..PAUSE_MAX) };
        Self { rng, left: times, epoch: Epoch(0), now, kept: None, completed: 0, is_last: false }
    }

    /// How many checkpoints were completed.
    pub fn completed(&self) -> u64 {
        self.completed
    }

    /// The last checkpoint that was complete.
    pub fn kept(&self) -> &Option<(Epoch, Vec<Snapshot>)> {
        &self.kept
    }

    /// Goes on from this checkpoint, which somebody else has taken and completed.
    pub fn keep(&mut self, kept: Option<(Epoch, Vec<Snapshot>)>) {
        if let Some((epoch, _)) = &kept {
            self.epoch = *epoch;
            self.completed += 1;
            self.kept = kept;
        }
    }

    /// The number of the next checkpoint.
    pub fn next(&self) -> Epoch {
        Epoch(self.epoch.0 + 1)
    }

    /// Whether all that was done is complete.
    pub fn is_over(&mut self) -> bool {
        matches!(self.now, Doing::Over)
    }

    /// A shard has stepped. Returns whether all of them crash now.
    pub fn after_step(&mut self, stepped: usize, shards: &mut [Shard]) -> Result<bool> {
        match &mut self.now {
            Doing::Nothing { steps: 0 } => self.begin(shards),
            Doing::Nothing { steps } => *steps -= 1,
            Doing::Collecting(brought) => {
                if let Some((_, snapshot)) = shards[stepped].take_checkpoint() {
                    brought[stepped] = Some(snapshot?);
                }
                if brought.iter().all(Option::is_some) {
                    let snapshots = brought.drain(..).flatten().collect();
                    self.kept = Some((self.epoch, snapshots));
                    self.completed += 1;
                    self.now = Doing::Telling { told: vec![false; shards.len()] };
                }
            }
            Doing::Telling { told } => {
                if !std::mem::replace(&mut told[stepped], true) {
                    shards[stepped].complete_checkpoint(self.epoch);
                }
                if told.iter().all(|told| *told) {
                    let steps = self.rng.u64(..PAUSE_MAX);
                    self.now = if self.is_last { Doing::Over } else { Doing::Nothing { steps } };
                }
            }
            Doing::Over => {}
        }
        let crashes = self.left > 0 && self.rng.u64(..CRASH_EVERY) == 0;
        self.left -= u32::from(crashes);
        Ok(crashes)
    }

    fn begin(&mut self, shards: &mut [Shard]) {
        self.epoch = Epoch(self.epoch.0 + 1);
        self.is_last = shards.iter().all(Shard::is_done);
        shards.iter_mut().for_each(|shard| shard.begin_checkpoint(self.epoch));
        self.now = Doing::Collecting(shards.iter().map(|_| None).collect());
    }

    /// Lets shards that were just built go on from the last checkpoint. Its commits may not have
    /// been made, so they are made again.
    pub fn restore(&mut self, shards: &mut [Shard]) -> Result<()> {
        (self.now, self.is_last) = (Doing::Nothing { steps: self.rng.u64(..PAUSE_MAX) }, false);
        let Some((epoch, snapshots)) = &self.kept else { return Ok(()) };
        for (shard, snapshot) in shards.iter_mut().zip(snapshots) {
            shard.restore(snapshot)?;
            shard.complete_checkpoint(*epoch);
        }
        Ok(())
    }
}
