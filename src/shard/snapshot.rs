//! All that a shard holds, between two steps: taken of one, given to another like it.

use std::fmt;

use crate::checkpoint::ShardState;
use crate::config::Config;
use crate::dataflow::{Plan, Saved};
use crate::error::{Result, SnapshotError};
use crate::shard::Shard;
use crate::state::Rescale;
use crate::time::Timestamp;

/// All that the steps of a shard hold between two records, in memory, to go on from.
///
/// State, timers, watermarks and the positions of sources are in it. Counters and latencies are
/// not, they begin anew; what has left by a sink is out in the world. A shard that was restored and
/// is given what the first one was given since gives the same results, to the byte and in the same
/// order.
///
/// Clones share what they hold. The settings of operators and their limits are no part of it: the
/// closure that builds the pipeline and its [`Config`] bring them along.
#[derive(Clone)]
pub struct Snapshot {
    plan: Plan,
    now: Timestamp,
    /// What each stage holds, upstream first.
    stages: Vec<Saved>,
}

impl Snapshot {
    /// The time of the last step before it.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The steps that have something of their own which is not in it: closures that have captured
    /// something, process functions with fields and no [`save`](crate::Process::save). If that is
    /// more than settings, what comes after a restore is not what would have come.
    pub fn unseen_steps(&self) -> impl Iterator<Item = &str> {
        self.stages.iter().flat_map(Saved::unseen_steps)
    }
}

impl From<Snapshot> for ShardState {
    fn from(Snapshot { plan, now, stages }: Snapshot) -> Self {
        Self { plan, now, stages }
    }
}

impl From<ShardState> for Snapshot {
    fn from(ShardState { plan, now, stages }: ShardState) -> Self {
        Self { plan, now, stages }
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("now", &self.now).finish_non_exhaustive()
    }
}

impl Shard {
    /// Copies all that its steps hold. It takes as long as there is state: not a part of any step.
    ///
    /// ```
    /// use millstream::{Config, Shard, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// let build = || {
    ///     Shard::embed(Config::embedded(), |p| {
    ///         let (input, numbers) = p.input::<u64>();
    ///         let sums = numbers.key_by(|n| n % 2).reduce(|sum, n| *sum += n);
    ///         Ok((input, sums.output()))
    ///     })
    /// };
    /// let (mut shard, (mut numbers, _sums)) = build()?;
    /// numbers.push(Timestamp(1), 40)?;
    /// while !shard.step(Timestamp(1)).is_none() {}
    /// let snapshot = shard.snapshot()?;
    ///
    /// let (mut other, (mut numbers, mut sums)) = build()?;
    /// other.restore(&snapshot)?;
    /// numbers.push(Timestamp(2), 2)?;
    /// while !other.step(Timestamp(2)).is_none() {}
    /// assert_eq!(sums.pop().map(|sum| sum.value), Some((0, 42)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What stopped it; something that is in flight, with the name of where it is: step on until a
    /// step finds nothing to do; a step of which there can be no snapshot.
    pub fn snapshot(&self) -> Result<Snapshot> {
        if let Some(error) = self.failure() {
            return Err(SnapshotError::Stopped(error.to_string()).into());
        }
        if self.taking.is_some() {
            // What a barrier holds back is in no stage.
            let (operator, what) = ("shard", "is in the middle of a checkpoint");
            return Err(SnapshotError::InFlight { operator, what }.into());
        }
        let saved = self.stages.iter().map(|stage| {
            let mut saved = Saved::new();
            stage.runnable.save(&mut saved);
            saved.checked()
        });
        let stages = saved.collect::<Result<_, _>>()?;
        Ok(self.snapshot_of(stages))
    }

    pub(super) fn snapshot_of(&self, stages: Vec<Saved>) -> Snapshot {
        Snapshot { plan: self.plan().clone(), now: self.now(), stages }
    }

    /// Puts what a snapshot holds in the place of what this shard holds, which was built by the
    /// same closure and has not been stepped.
    ///
    /// # Errors
    /// That the snapshot is of another pipeline, as far as plans and types tell. The shard is of no
    /// use then, and stops.
    pub fn restore(&mut self, snapshot: &Snapshot) -> Result<()> {
        if let Some(difference) = self.plan().difference(&snapshot.plan) {
            return Err(SnapshotError::OtherPipeline(difference).into());
        }
        self.load(snapshot.stages.iter().cloned())
    }

    /// Takes its share of what the snapshots of another number of shards hold, which are those of
    /// one checkpoint, in the order of the shards. It was built as one of as many as there are now,
    /// and has not been stepped.
    ///
    /// Keys go to the shards that own them now, with their state, windows, rows and timers. A
    /// partition of a source goes on where it was if it is known by its number, as those of
    /// [`Partitioned`](crate::io::Partitioned) are; a shared
    /// [`Generator`](crate::io::Generator) gives the rest. What one shard had alone, such as
    /// [`ordered`](crate::Stream::ordered), stays there. What waits and is of no key (records whose
    /// lookup is under way, a batch that is half full, results behind a gate) goes as a whole from
    /// each shard that there was to one of those there are, in its order: to shard `n % shards`
    /// from shard `n`. Answers of lookups are not taken along, nor which keys are hot.
    ///
    /// Some things cannot move, and are refused by their names:
    ///
    /// - state behind [`partitioned_by`](crate::Stream::partitioned_by) and
    ///   [`partition_custom`](crate::Stream::partition_custom), since only the pipeline knows to
    ///   which shard a key belongs there. Of that kind are
    ///   [`until_closed`](crate::Stream::until_closed),
    ///   [`complete`](crate::operators::BatchStream::complete) batches, and
    ///   [`suppress`](crate::Changes::suppress) behind [`top_n`](crate::table::Grouped::top_n):
    ///   their keys stay where their records are made;
    /// - state other than that of windows behind
    ///   [`partial_key_by`](crate::Stream::partial_key_by): several shards have some of the same
    ///   key, and nobody knows how to put it together;
    /// - a process function that keeps something of its own and does not say whose it is: see
    ///   [`Process::load`](crate::Process::load);
    /// - [`AtOnce`](crate::io::AtOnce) on several shards, whose tokens say which shard has shown a
    ///   result;
    /// - a source that only some shards have: a [`Partitioned`](crate::io::Partitioned) of one
    ///   partition is what goes on;
    /// - the copy of a table that a [`view`](crate::Changes::view) keeps.
    ///
    /// ```
    /// use millstream::io::{MemoryCommits, AtCheckpoint, MemorySource, Partitioned};
    /// use millstream::{Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// // Crashes, and after each of them another number of shards goes on.
    /// let shown = MemoryCommits::new();
    /// Simulation::new(2, 7).crashing(3).rescaling(4).run(|p| {
    ///     let source = Partitioned::new(4, p.shard(), p.shards(), |partition| {
    ///         let numbers = (0..50).map(|n| Record::new(Timestamp(n), (partition, n)));
    ///         Ok::<_, millstream::Error>(MemorySource::new(numbers.collect::<Vec<_>>()))
    ///     })?;
    ///     p.source(source)
    ///         .key_by(|(_, n)| n % 10)
    ///         .reduce(|sum, next| sum.1 += next.1)
    ///         .sink(AtCheckpoint::new(shown.of(p.shard()), 1_000));
    ///     Ok(())
    /// })?;
    /// assert_eq!(shown.records().len(), 200, "none lost, none twice");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// That they are of another pipeline, or the name of an operator that cannot go on from another
    /// number of shards, and why. The shard is of no use then, and stops.
    pub fn restore_rescaled(&mut self, snapshots: &[Snapshot], to: Rescale) -> Result<()> {
        for snapshot in snapshots {
            if let Some(difference) = self.plan().difference_of_steps(&snapshot.plan) {
                return Err(SnapshotError::OtherPipeline(difference).into());
            }
        }
        let stages = 0..self.stages.len();
        let of_all = |stage: usize| snapshots.iter().map(|it| it.stages[stage].clone()).collect();
        let stages: Vec<Saved> = stages.map(|it| Saved::rescaling(of_all(it), to)).collect();
        self.load(stages.into_iter())
    }

    /// Goes on from the snapshots of a checkpoint, as the shard `index` of so many.
    pub(crate) fn go_on_from(
        &mut self,
        snapshots: &[Snapshot],
        index: usize,
        config: &Config,
    ) -> Result<()> {
        let (shards, before) = (config.shards.count(), snapshots.len());
        match snapshots.get(index).filter(|_| shards == before) {
            Some(snapshot) => self.restore(snapshot),
            None => {
                let hash_seed = config.hash_seed;
                self.restore_rescaled(
                    snapshots,
                    Rescale { shard: index, shards, before, hash_seed },
                )
            }
        }
    }

    fn load(&mut self, stages: impl Iterator<Item = Saved>) -> Result<()> {
        for (stage, mut saved) in self.stages.iter_mut().zip(stages) {
            stage.runnable.load(&mut saved);
            stage.runnable.bulk(&mut |bulk| saved.fill(bulk));
            if let Err(error) = saved.finish() {
                self.cx.fail(error.clone());
                return Err(error.into());
            }
        }
        Ok(())
    }
}
