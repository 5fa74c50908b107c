//! Finding out which record makes a pipeline fail.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::dataflow::Epoch;
use crate::error::{Error, Result, panic_message};
use crate::runtime::coordinator::{Checkpoints, Kept};
use crate::runtime::monitor::Monitor;
use crate::runtime::seat::Seat;
use crate::shard::{Lockstep, Place, Shard, Snapshot};
use crate::time::{Clock, SystemClock};

/// How many records the partitions of each stage's source have given, on each shard.
pub type Counts = Vec<Vec<Vec<u64>>>;

/// How a run with care has ended.
pub enum Ended {
    /// Past the place where the pipeline had failed, or told to stop.
    Past,
    /// It has failed; and the record whose doing that was, if it was a record's.
    Failed(Error, Option<Place>),
}

/// What the search knows from one run with care to the next.
#[derive(Default)]
pub struct Suspicion {
    /// The record that made the last run fail.
    suspect: Option<Place>,
    /// How often that was another one than in the run before.
    strays: u32,
}

/// After so many failures at ever different records none of them is taken to be to blame.
const STRAYS_MAX: u32 = 3;

impl Suspicion {
    /// A record has made a run fail. Returns whether it did so twice in a row; none if it is
    /// another one each time.
    pub fn is_confirmed(&mut self, place: &Place) -> Option<bool> {
        if self.suspect.as_ref() == Some(place) {
            *self = Self::default();
            return Some(true);
        }
        self.suspect = Some(place.clone());
        self.strays += 1;
        (self.strays <= STRAYS_MAX).then_some(false)
    }
}

/// A run of all shards on one thread, one record at a time.
pub struct WithCare {
    /// One for each shard.
    pub seats: Vec<Seat>,
    /// The run is over when all sources have given so many records.
    pub goal: Counts,
    /// The last checkpoint, and where to keep the one at the end.
    pub checkpoints: Option<(Option<Epoch>, Checkpoints)>,
    pub hash_seed: u64,
    pub monitor: Monitor,
    pub clock: SystemClock,
}

/// Without a record from any source for so long, none is waited for: those that came before cannot
/// come again.
const QUIET_MAX: Duration = Duration::from_secs(1);

/// A pause between two looks at sources that have nothing.
const PAUSE: Duration = Duration::from_micros(50);

impl WithCare {
    /// Runs until it is past the place, and keeps a checkpoint there.
    pub fn run(mut self) -> Ended {
        let (mut lockstep, mut at_work) = (None, 0);
        let result = catch_unwind(AssertUnwindSafe(|| {
            let lockstep = lockstep.insert(Lockstep::new(self.build(&mut at_work)?));
            self.go(lockstep)
        }));
        let at_work = lockstep.as_ref().map_or(at_work, Lockstep::at_work);
        let result = result.unwrap_or_else(|panic| {
            let message = panic_message(panic.as_ref());
            Err(Error::Panic { shard: at_work, message })
        });
        let place = lockstep.as_mut().and_then(Lockstep::record);
        (0..self.seats.len()).for_each(|shard| self.monitor.end(shard));
        match result {
            Ok(()) => Ended::Past,
            Err(error) => Ended::Failed(error, place),
        }
    }

    fn build(&mut self, at_work: &mut usize) -> Result<Vec<Shard>> {
        let mut shards = Vec::new();
        for seat in &self.seats {
            *at_work = shards.len();
            shards.push(seat.shard(self.monitor.shard(shards.len()))?);
        }
        Ok(shards)
    }

    fn go(&self, lockstep: &mut Lockstep) -> Result<()> {
        lockstep.begin(self.clock.now())?;
        self.settle(lockstep)?;
        let mut quiet_since = None;
        while !lockstep.is_past(&self.goal) && !lockstep.is_done() && !self.monitor.is_stopped() {
            let now = self.clock.now();
            if lockstep.give(now)? {
                quiet_since = None;
                self.settle(lockstep)?;
                lockstep.tell(self.clock.now())?;
                self.settle(lockstep)?;
            } else {
                lockstep.round(now)?;
                if now - *quiet_since.get_or_insert(now) >= QUIET_MAX {
                    break;
                }
                std::thread::sleep(PAUSE);
            }
        }
        self.checkpoint(lockstep)
    }

    /// Steps until there is nothing to do.
    fn settle(&self, lockstep: &mut Lockstep) -> Result<()> {
        while !lockstep.round(self.clock.now())?.is_none() && !self.monitor.is_stopped() {}
        Ok(())
    }

    /// Keeps a checkpoint, so that what was found out need not be found out again.
    fn checkpoint(&self, lockstep: &mut Lockstep) -> Result<()> {
        let Some((last, checkpoints)) = &self.checkpoints else { return Ok(()) };
        let epoch = Epoch(last.map_or(0, |last| last.0) + 1);
        let mut brought: Vec<Option<Snapshot>> = Vec::new();
        lockstep.begin_checkpoint(epoch);
        while !lockstep.take_checkpoint(&mut brought)? {
            if self.monitor.is_stopped() {
                return Ok(());
            }
            lockstep.round(self.clock.now())?;
        }
        let shards = brought.into_iter().flatten().collect();
        checkpoints.keep(Kept { epoch, name: None, hash_seed: self.hash_seed, shards })
    }
}
