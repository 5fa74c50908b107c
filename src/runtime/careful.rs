//! A run with care of an engine's shards, all of them on one core.

use std::time::Duration;

use crate::dataflow::Epoch;
use crate::error::Result;
use crate::runtime::coordinator::{Checkpoints, Kept};
use crate::runtime::monitor::Monitor;
use crate::runtime::seat::Seat;
use crate::shard::{Care, Counts, Ended, Failure, Shard, Snapshot, Trial, run_with_care};
use crate::time::{Clock, SystemClock, Timestamp};

/// What such a run is given.
pub struct WithCare {
    /// One for each shard.
    pub seats: Vec<Seat>,
    /// The last checkpoint, and where to keep the one at the end.
    pub checkpoints: Option<(Option<Epoch>, Checkpoints)>,
    pub hash_seed: u64,
    pub monitor: Monitor,
    pub clock: SystemClock,
    /// The checkpoint at the end.
    pub taken: Option<Kept>,
}

/// A pause between two looks at sources that have nothing, and after how many of them without a
/// record none is waited for.
const PAUSE: Duration = Duration::from_micros(50);
const PAUSES_MAX: u32 = 10_000;

impl WithCare {
    /// Runs it, on this thread.
    pub fn run(mut self, goal: &Counts, trial: Option<&Trial>) -> Ended {
        let ended = run_with_care(&mut self, goal, trial);
        (0..self.seats.len()).for_each(|shard| self.monitor.end(shard));
        // Nobody waits for a step any more, so this may take its time.
        match self.taken.take().map_or(Ok(()), |kept| self.keep_taken(kept)) {
            Ok(()) => ended,
            Err(error) => {
                Ended::Failed(Failure { error, place: None, is_of_record: false, turn: 0 })
            }
        }
    }

    fn keep_taken(&self, kept: Kept) -> Result<()> {
        self.checkpoints.as_ref().map_or(Ok(()), |(_, checkpoints)| checkpoints.keep(kept))
    }
}

impl Care for WithCare {
    fn shards(&self) -> usize {
        self.seats.len()
    }

    fn build(&mut self, shard: usize) -> Result<Shard> {
        self.seats[shard].shard(self.monitor.shard(shard))
    }

    fn now(&mut self) -> Timestamp {
        self.clock.now()
    }

    fn is_stopped(&self) -> bool {
        self.monitor.is_stopped()
    }

    fn waits(&mut self, times: u32) -> bool {
        std::thread::sleep(PAUSE);
        times < PAUSES_MAX
    }

    fn epoch(&self) -> Option<Epoch> {
        let (last, _) = self.checkpoints.as_ref()?;
        Some(Epoch(last.map_or(0, |last| last.0) + 1))
    }

    fn keep(&mut self, epoch: Epoch, shards: Vec<Snapshot>) -> Result<()> {
        self.taken = Some(Kept { epoch, name: None, hash_seed: self.hash_seed, shards });
        Ok(())
    }
}
