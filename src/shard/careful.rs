//! A run with care: all shards on one thread, one record at a time, so that it is known what does
//! what. For whoever has seen the pipeline fail at full speed.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::dataflow::{Epoch, Gave};
use crate::error::{Error, Result, panic_message};
use crate::shard::{Lockstep, Place, Shard, Snapshot};
use crate::time::Timestamp;

/// How many records the partitions of each stage's source have given, on each shard.
pub type Counts = Vec<Vec<Vec<u64>>>;

/// The driver of a run with care.
pub trait Care {
    /// How many shards there are.
    fn shards(&self) -> usize;

    /// Builds a shard as it was at the last checkpoint.
    fn build(&mut self, shard: usize) -> Result<Shard>;

    /// The time of the next step.
    fn now(&mut self) -> Timestamp;

    /// Somebody has asked for the run to end.
    fn is_stopped(&self) -> bool;

    /// No source has had a record, so many times in a row. Returns whether to ask again: those that
    /// came before may not come again.
    fn waits(&mut self, times: u32) -> bool;

    /// The number of the checkpoint that is taken when the run is past the place; none if there are
    /// no checkpoints.
    fn epoch(&self) -> Option<Epoch>;

    /// Keeps that checkpoint.
    fn keep(&mut self, epoch: Epoch, shards: Vec<Snapshot>) -> Result<()>;
}

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
    /// With what.
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

/// Where records stand that a pipeline fails before, at the latest, which had given so many when it
/// failed: the last batch is not counted when something in it fails.
pub fn beyond(counts: Counts, batch_max: usize) -> Counts {
    let beyond = |count: u64| count + batch_max as u64 + 1;
    let of_stage = |stage: Vec<u64>| stage.into_iter().map(beyond).collect();
    let of_shard = |stages: Vec<Vec<u64>>| stages.into_iter().map(of_stage).collect();
    counts.into_iter().map(of_shard).collect()
}

/// Runs until all sources have given as many records as the goal says, and keeps a checkpoint
/// there; or as long as a trial lasts.
pub fn run_with_care(care: &mut impl Care, goal: &Counts, trial: Option<&Trial>) -> Ended {
    let mut run = Run { lockstep: None, goal, trial, turn: 0, at_work: 0 };
    let result = catch_unwind(AssertUnwindSafe(|| run.go(care)));
    let Run { mut lockstep, turn, at_work, .. } = run;
    let shard = lockstep.as_ref().map_or(at_work, Lockstep::at_work);
    let result = result.unwrap_or_else(|panic| {
        Err(Error::Panic { shard, message: panic_message(panic.as_ref()) })
    });
    let place = lockstep.as_mut().and_then(Lockstep::record);
    if let Some(lockstep) = &mut lockstep {
        let _ = catch_unwind(AssertUnwindSafe(|| put_to_rest(care, lockstep)));
    }
    let is_of_record = lockstep.is_some_and(|it| it.is_of_record());
    match result {
        Ok(()) => Ended::Past(place),
        Err(error) => Ended::Failed(Failure { error, place, is_of_record, turn }),
    }
}

struct Run<'a> {
    lockstep: Option<Lockstep>,
    goal: &'a Counts,
    trial: Option<&'a Trial>,
    /// How many turns of sources there were.
    turn: u64,
    /// The shard that is being built.
    at_work: usize,
}

impl Run<'_> {
    fn go(&mut self, care: &mut impl Care) -> Result<()> {
        let mut shards = Vec::new();
        for shard in 0..care.shards() {
            self.at_work = shard;
            shards.push(care.build(shard)?);
        }
        let lockstep = Lockstep::new(shards).muted(self.trial.is_some());
        let lockstep = self.lockstep.insert(lockstep);
        lockstep.begin(care.now())?;
        settle(care, lockstep)?;
        let mut waited = 0;
        let left_out = self.trial.map_or(0..0, |trial| trial.left_out.clone());
        while !care.is_stopped() && !lockstep.is_done() {
            let is_over = match self.trial {
                Some(trial) => self.turn >= trial.until,
                None => lockstep.is_past(self.goal),
            };
            if is_over {
                break;
            }
            lockstep.leave_out(left_out.contains(&(self.turn + 1)));
            if lockstep.give(care.now())? == Gave::Something {
                (self.turn, waited) = (self.turn + 1, 0);
                settle(care, lockstep)?;
                lockstep.tell(care.now())?;
                settle(care, lockstep)?;
            } else {
                waited += 1;
                lockstep.round(care.now())?;
                if !care.waits(waited) {
                    break;
                }
            }
        }
        match care.epoch().filter(|_| self.trial.is_none()) {
            Some(epoch) => keep(care, lockstep, epoch),
            None => Ok(()),
        }
    }
}

/// Steps until there is nothing to do.
fn settle(care: &mut impl Care, lockstep: &mut Lockstep) -> Result<()> {
    while !lockstep.round(care.now())?.is_none() && !care.is_stopped() {}
    Ok(())
}

/// Lets sources make durable what they took from the world.
fn put_to_rest(care: &mut impl Care, lockstep: &mut Lockstep) {
    let mut times = 0;
    while !lockstep.put_to_rest(care.now()) {
        times += 1;
        if !care.waits(times) {
            return;
        }
    }
}

/// Takes a checkpoint, so that what was found out need not be found out again.
fn keep(care: &mut impl Care, lockstep: &mut Lockstep, epoch: Epoch) -> Result<()> {
    let mut brought = Vec::new();
    lockstep.begin_checkpoint(epoch);
    while !lockstep.take_checkpoint(&mut brought)? {
        if care.is_stopped() {
            return Ok(());
        }
        lockstep.round(care.now())?;
    }
    care.keep(epoch, brought.into_iter().flatten().collect())
}
