//! A snapshot taken in passing: stage by stage, as a barrier comes through, and what is large a
//! slice at a time behind it.

use crate::dataflow::{Checkpoint, Context, Epoch, Known, Saved, Work};
use crate::error::Result;
use crate::shard::step::Stage;
use crate::shard::{Shard, Snapshot};
use crate::state::Spare;

/// Keys that a step copies, or fewer if windows may not fire as many. A sub-table of a table or a
/// page of a list is copied as a whole, so that it is one of those, which takes a microsecond.
const SLICE: usize = 64;
/// Copies of as many checkpoints may be referred to.
const COMPLETED_MAX: usize = 64;

/// A checkpoint that is being taken of one shard.
pub(super) struct Taking {
    epoch: Epoch,
    /// Checkpoints that are complete, and whose copies may be referred to.
    known: Vec<Epoch>,
    /// What each stage holds, once the barrier has passed it.
    stages: Vec<Option<Saved>>,
    /// Memory for what is copied.
    spare: Spare,
}

impl Taking {
    /// Lets the barrier pass a stage if it has come in on all its inputs. Returns whether the stage
    /// has to wait: a source gives nothing more before its barrier.
    #[cold]
    pub fn holds_back(&mut self, stage: &mut Stage, cx: &mut Context) -> bool {
        let Some(place) = self.stages.get_mut(stage.index).filter(|place| place.is_none()) else {
            return false;
        };
        if !stage.runnable.is_at(self.epoch) {
            return stage.is_source;
        }
        let mut saved = Saved::new();
        let known = Known { epochs: &self.known, spare: &self.spare };
        stage.runnable.bulk(&mut |bulk| saved.freeze(bulk, self.epoch, known));
        stage.runnable.save(&mut saved);
        stage.runnable.on_checkpoint(Checkpoint::Barrier(self.epoch), cx);
        *place = Some(saved);
        false
    }

    /// Copies a slice of what was frozen: so many keys. Returns how much was done.
    #[cold]
    fn copy_slice(&mut self, stages: &mut [Stage], keys: usize) -> Work {
        let mut budget = keys;
        for (stage, saved) in stages.iter_mut().zip(&mut self.stages) {
            let Some(saved) = saved.as_mut().filter(|saved| !saved.is_copied()) else { continue };
            stage.runnable.bulk(&mut |bulk| saved.copy(bulk, &mut budget, &self.spare));
            if budget == 0 {
                break;
            }
            saved.has_met_all();
        }
        Work((keys - budget) as u64)
    }

    fn is_done(&self) -> bool {
        self.stages.iter().all(|saved| saved.as_ref().is_some_and(Saved::is_copied))
    }
}

impl Shard {
    /// Begins a checkpoint: from the next step on, each source puts a barrier behind what it has
    /// given, and each stage saves what it holds when the barrier has come in on all its inputs.
    /// Records go on behind it. [`take_checkpoint`](Self::take_checkpoint) has what came of it.
    ///
    /// Where there are several shards all of them have to be asked, for the same epoch: a barrier
    /// waits for those of the other shards. One checkpoint at a time; a greater epoch each time.
    ///
    /// ```
    /// use millstream::dataflow::Epoch;
    /// use millstream::{io::MemorySource, Config, Record, Shard, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// let build = || {
    ///     Shard::embed(Config::embedded(), |p| {
    ///         let numbers = (1..=100).map(|n| Record::new(Timestamp(n), n));
    ///         let numbers = p.source(MemorySource::new(numbers.collect::<Vec<_>>()));
    ///         Ok(numbers.key_by(|_| 0u8).reduce(|sum, n| *sum += n).output())
    ///     })
    /// };
    /// let (mut shard, mut sums) = build()?;
    /// shard.begin_checkpoint(Epoch(1));
    /// let snapshot = loop {
    ///     shard.step(Timestamp(0));
    ///     if let Some((Epoch(1), snapshot)) = shard.take_checkpoint() {
    ///         break snapshot?;
    ///     }
    /// };
    /// drop((shard, sums)); // a crash
    ///
    /// let (mut shard, mut sums) = build()?;
    /// shard.restore(&snapshot)?;
    /// let mut last = None;
    /// while !shard.is_done() {
    ///     shard.step(Timestamp(0));
    ///     last = std::iter::from_fn(|| sums.pop()).last().or(last);
    /// }
    /// assert_eq!(last.map(|sum| sum.value), Some((0, 5050)));
    /// # Ok(())
    /// # }
    /// ```
    pub fn begin_checkpoint(&mut self, epoch: Epoch) {
        self.begin(epoch, Vec::new());
    }

    /// The same, only that what has not changed since one of the checkpoints before, which has to
    /// be [complete](Self::complete_checkpoint), is not copied again: tables of windows that get no
    /// more records, and what else lies still. What comes of it refers to the copies that were
    /// made of those, and can only be restored by way of a
    /// [`Store`](crate::checkpoint::Store) that has kept all since the last one that was whole.
    pub fn begin_increment(&mut self, epoch: Epoch) {
        self.begin(epoch, self.completed.clone());
    }

    fn begin(&mut self, epoch: Epoch, known: Vec<Epoch>) {
        let stages = self.stages.iter().map(|_| None).collect();
        self.taking = Some(Taking { epoch, known, stages, spare: self.spare.clone() });
    }

    /// What a checkpoint has brought, once, when its barrier has passed all stages of this shard.
    ///
    /// # Errors
    /// Something of which there can be no snapshot.
    pub fn take_checkpoint(&mut self) -> Option<(Epoch, Result<Snapshot>)> {
        let Taking { epoch, stages, .. } = self.taking.take_if(|taking| taking.is_done())?;
        let stages = stages.into_iter().flatten().map(Saved::checked).collect::<Result<_, _>>();
        let snapshot = stages.map(|stages| self.snapshot_of(stages));
        Some((epoch, snapshot.map_err(Into::into)))
    }

    /// Goes on with a checkpoint that is being taken: one slice of what was frozen.
    #[inline(always)]
    pub(super) fn copy_slice(&mut self) -> Work {
        let Self { taking, stages, fire_max, .. } = self;
        let keys = SLICE.min(*fire_max);
        taking.as_mut().map_or(Work::NONE, |taking| taking.copy_slice(stages, keys))
    }

    /// A checkpoint is complete: what all shards have brought of it is kept where it will be found
    /// after a crash. Sinks that waited for that show what came before its barrier.
    pub fn complete_checkpoint(&mut self, epoch: Epoch) {
        if self.completed.len() == COMPLETED_MAX {
            self.completed.remove(0);
        }
        self.completed.push(epoch);
        for stage in &mut self.stages {
            stage.runnable.on_checkpoint(Checkpoint::Complete(epoch), &mut self.cx);
        }
    }
}
