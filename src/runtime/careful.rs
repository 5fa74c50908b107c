//! All shards on one thread, one record at a time: slow, and it is known what does what.

use std::ops::Range;
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

/// A run that is not the real one: sinks hear nothing of it, and no checkpoint is kept. Turns of
/// sources are counted from 1, whether or not they give a record.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Records of these turns are left out.
    pub left_out: Range<u64>,
    /// It is over with this turn.
    pub until: u64,
}

impl Trial {
    /// One that leaves nothing out.
    pub fn until(turn: u64) -> Self {
        Self { left_out: 0..0, until: turn }
    }
}

/// How a run with care has ended.
pub enum Ended {
    /// Past the place where the pipeline had failed, or told to stop; the record that was given
    /// last.
    Past(Option<Place>),
    /// It has failed.
    Failed(Failure),
}

impl Ended {
    /// The record that was given last.
    pub fn into_place(self) -> Option<Place> {
        match self {
            Self::Past(place) => place,
            Self::Failed(failure) => failure.place,
        }
    }
}

/// How a run with care has failed.
pub struct Failure {
    pub error: Error,
    /// The record that was given last.
    pub place: Option<Place>,
    /// Whether it has failed with that record, and not when event time passed on with it.
    pub is_of_record: bool,
    /// How many turns of sources there were.
    pub turn: u64,
}

impl Failure {
    /// Whether it has failed when event time passed on.
    pub fn is_by_time(&self) -> bool {
        !self.is_of_record && self.error.may_be_of_a_record()
    }
}

/// A run of all shards on one thread, one record at a time.
pub struct WithCare {
    /// One for each shard.
    pub seats: Vec<Seat>,
    /// The run is over when all sources have given so many records.
    pub goal: Counts,
    pub trial: Option<Trial>,
    /// The last checkpoint, and where to keep the one at the end.
    pub checkpoints: Option<(Option<Epoch>, Checkpoints)>,
    pub hash_seed: u64,
    pub monitor: Monitor,
    pub clock: SystemClock,
    /// How many turns of sources there were.
    pub turn: u64,
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
            let shards = Lockstep::new(self.build(&mut at_work)?);
            self.go(lockstep.insert(shards.muted(self.trial.is_some())))
        }));
        let at_work = lockstep.as_ref().map_or(at_work, Lockstep::at_work);
        let result = result.unwrap_or_else(|panic| {
            let message = panic_message(panic.as_ref());
            Err(Error::Panic { shard: at_work, message })
        });
        let place = lockstep.as_mut().and_then(Lockstep::record);
        let is_of_record = lockstep.is_some_and(|it| it.is_of_record());
        (0..self.seats.len()).for_each(|shard| self.monitor.end(shard));
        match result {
            Ok(()) => Ended::Past(place),
            Err(error) => Ended::Failed(Failure { error, place, is_of_record, turn: self.turn }),
        }
    }

    fn build(&self, at_work: &mut usize) -> Result<Vec<Shard>> {
        let mut shards = Vec::new();
        for seat in &self.seats {
            *at_work = shards.len();
            shards.push(seat.shard(self.monitor.shard(shards.len()))?);
        }
        Ok(shards)
    }

    fn go(&mut self, lockstep: &mut Lockstep) -> Result<()> {
        lockstep.begin(self.clock.now())?;
        self.settle(lockstep)?;
        let mut quiet_since = None;
        while !self.is_over(lockstep) {
            let now = self.clock.now();
            let left_out = self.trial.as_ref().map_or(0..0, |trial| trial.left_out.clone());
            lockstep.leave_out(left_out.contains(&(self.turn + 1)));
            if lockstep.give(now)? {
                (self.turn, quiet_since) = (self.turn + 1, None);
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

    fn is_over(&self, lockstep: &mut Lockstep) -> bool {
        let is_far_enough = match &self.trial {
            Some(trial) => self.turn >= trial.until,
            None => lockstep.is_past(&self.goal),
        };
        is_far_enough || lockstep.is_done() || self.monitor.is_stopped()
    }

    /// Steps until there is nothing to do.
    fn settle(&self, lockstep: &mut Lockstep) -> Result<()> {
        while !lockstep.round(self.clock.now())?.is_none() && !self.monitor.is_stopped() {}
        Ok(())
    }

    /// Keeps a checkpoint, so that what was found out need not be found out again.
    fn checkpoint(&self, lockstep: &mut Lockstep) -> Result<()> {
        let Some((last, checkpoints)) = self.checkpoints.as_ref().filter(|_| self.trial.is_none())
        else {
            return Ok(());
        };
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
