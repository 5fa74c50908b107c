//! Checkpoints and crashes at moments that a seed chooses.

use fastrand::Rng;

use crate::checkpoint::{Store, Taken};
use crate::config::Config;
use crate::dataflow::Epoch;
use crate::error::{CheckpointError, Result};
use crate::shard::{Shard, Snapshot};
use crate::sim::SimDisk;

/// Steps between the end of a checkpoint and the beginning of the next one, at most.
const PAUSE_MAX: u64 = 400;

/// One in so many steps is the last before a crash.
const CRASH_EVERY: u64 = 500;

/// One in so many checkpoints is being written when the host goes down.
const CUT_EVERY: u32 = 4;

/// So many operations of the disk are about what a checkpoint takes beside two for each shard.
const OPERATIONS: usize = 10;

/// One in so many checkpoints is a savepoint.
const NAMED_EVERY: u32 = 5;

/// One in so many checkpoints is whole.
const WHOLE_EVERY: u32 = 4;

/// How many checkpoints are kept at most.
const KEEP_MAX: usize = 3;

/// What survives a crash, and when the next one comes.
///
/// Checkpoints are written to a disk whose power goes with the host, and read from it again.
pub struct Crashes {
    rng: Rng,
    left: u32,
    hash_seed: u64,
    disk: SimDisk,
    store: Store<SimDisk>,
    epoch: Epoch,
    /// How many checkpoints there were to be.
    tried: u64,
    /// The name of the one that is under way, if it is a savepoint.
    name: Option<String>,
    /// Whether checkpoints may refer to those before them.
    increments: bool,
    /// The last one was a savepoint, to which none may refer.
    follows_savepoint: bool,
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
    /// So many crashes, at moments chosen by a seed; `increments` says whether checkpoints may
    /// refer to those before them.
    pub fn new(times: u32, seed: u64, hash_seed: u64, increments: bool) -> Self {
        let mut rng = Rng::with_seed(seed ^ 0xc7a5);
        let now = Doing::Nothing { steps: rng.u64(..PAUSE_MAX) };
        let disk = SimDisk::new(rng.u64(..));
        let store = Store::new(disk.clone(), rng.usize(1..=KEEP_MAX));
        Self {
            rng,
            left: times,
            hash_seed,
            disk,
            store,
            epoch: Epoch(0),
            tried: 0,
            name: None,
            increments,
            follows_savepoint: false,
            now,
            kept: None,
            completed: 0,
            is_last: false,
        }
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
    pub fn keep(&mut self, kept: Option<(Epoch, Vec<Snapshot>)>) -> Result<()> {
        let Some((epoch, snapshots)) = kept else { return Ok(()) };
        self.epoch = epoch;
        self.write(snapshots, None)
    }

    /// Writes a checkpoint, whole or as far as the power lasts.
    fn write(&mut self, snapshots: Vec<Snapshot>, name: Option<String>) -> Result<()> {
        let (epoch, hash_seed) = (self.epoch, self.hash_seed);
        let shards = snapshots.iter().cloned().map(Snapshot::into).collect();
        let complete_at = snapshots.iter().map(Snapshot::now).max().unwrap_or_default();
        self.store.keep(&Taken { epoch, name, hash_seed, complete_at, shards })?;
        self.kept = Some((epoch, snapshots));
        self.completed += 1;
        Ok(())
    }

    /// Completes what all shards have brought. Returns whether the host has gone down over it.
    fn complete(&mut self, snapshots: Vec<Snapshot>) -> Result<bool> {
        let name = self.name.take();
        let shards = snapshots.len();
        if self.left > 0 && self.rng.u32(..CUT_EVERY) == 0 {
            self.disk.fail_after(self.rng.usize(..2 * shards + OPERATIONS) as u64);
        }
        let written = self.write(snapshots, name);
        if self.disk.is_down() {
            self.left -= 1;
            return Ok(true);
        }
        self.disk.fail_after(u64::MAX);
        written?;
        self.now = Doing::Telling { told: vec![false; shards] };
        Ok(false)
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
                    if self.complete(snapshots)? {
                        return Ok(true);
                    }
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
        self.tried += 1;
        let is_named = self.rng.u32(..NAMED_EVERY) == 0 && !self.is_last;
        self.name = is_named.then(|| format!("try-{}", self.tried));
        let is_whole = is_named || !self.increments || self.rng.u32(..WHOLE_EVERY) == 0;
        let is_whole = std::mem::replace(&mut self.follows_savepoint, is_named) || is_whole;
        shards.iter_mut().for_each(|shard| match is_whole {
            true => shard.begin_checkpoint(self.epoch),
            false => shard.begin_increment(self.epoch),
        });
        self.now = Doing::Collecting(shards.iter().map(|_| None).collect());
    }

    /// Lets shards that were just built go on from the newest checkpoint that the disk has. Its
    /// commits may not have been made, so they are made again.
    pub fn restore(&mut self, shards: &mut [Shard], config: &Config) -> Result<()> {
        (self.now, self.is_last) = (Doing::Nothing { steps: self.rng.u64(..PAUSE_MAX) }, false);
        match self.rng.u32(..3) {
            // The process has gone, and the host has not.
            0 => self.disk.kill(),
            _ => self.disk.crash(),
        }
        let found = self.store.newest(|_| Ok(()))?;
        let complete = self.kept.as_ref().map(|(epoch, _)| *epoch);
        if found.as_ref().map(|(manifest, _)| manifest.epoch) < complete {
            let reason = "it was complete, and is gone".to_owned();
            let file = format!("checkpoint {}", complete.unwrap_or_default().0);
            return Err(CheckpointError::Damaged { file, reason }.into());
        }
        let Some((manifest, states)) = found else { return Ok(()) };
        self.epoch = manifest.epoch;
        let snapshots: Vec<Snapshot> = states.into_iter().map(Snapshot::from).collect();
        for (index, shard) in shards.iter_mut().enumerate() {
            shard.go_on_from(&snapshots, index, config)?;
            shard.complete_checkpoint(self.epoch);
        }
        self.kept = Some((self.epoch, snapshots));
        Ok(())
    }
}
