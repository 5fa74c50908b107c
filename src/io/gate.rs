//! Output that is shown when a checkpoint is complete: each record once, whatever crashes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::dataflow::{Epoch, Record, Saved};
use crate::error::IoError;
use crate::io::Sink;
use crate::state::Stored;

/// A place that takes the records of an epoch all at once, and knows which epochs it has.
///
/// The second half of a two-phase commit; the first is the checkpoint, which holds the records. So
/// nothing is written anywhere before it counts, and there is nothing to roll back.
///
/// A commit that has to wait for a disk or a server begins in [`commit`](Self::commit) and goes on
/// elsewhere until [`poll`](Self::poll) says that it is done.
pub trait Commit<T>: 'static {
    /// Shows these records, which are all that came in between the barrier before and that of
    /// `epoch`, in order. After a crash it is called again with the same epoch and records, and
    /// must do nothing if it has them: whatever shows them must remember their epoch with them.
    fn commit(&mut self, epoch: Epoch, records: Vec<Record<T>>) -> Result<(), IoError>;

    /// The same for the records of another shard, which the pipeline has gone on without since it
    /// runs on another number of them.
    ///
    /// # Errors
    /// That it cannot, unless it says how.
    fn commit_of(
        &mut self,
        shard: usize,
        _epoch: Epoch,
        _records: Vec<Record<T>>,
    ) -> Result<(), IoError> {
        let reason = format!("the results of shard {shard} can only be shown by that shard");
        Err(IoError::new("commit", "an epoch", std::io::Error::other(reason)))
    }

    /// Whether something is still under way.
    fn poll(&mut self) -> Result<bool, IoError> {
        Ok(false)
    }
}

/// A sink that holds records back until the checkpoint they belong to is complete, and then hands
/// them to a [`Commit`].
///
/// Results are seen as late as checkpoints are apart, and the memory of the shard and the
/// checkpoint hold what came in between.
///
/// ```
/// use millstream::io::{AtCheckpoint, MemoryCommits, MemorySource};
/// use millstream::{Record, Simulation, Timestamp};
/// # fn main() -> millstream::Result<()> {
/// let shown = MemoryCommits::new();
/// let commits = shown.clone();
/// let outcome = Simulation::new(2, 7).crashing(3).run(move |p| {
///     let numbers = (0..100).map(|n| Record::new(Timestamp(n), n));
///     let here = numbers.filter(|n| n.value as usize % p.shards() == p.shard());
///     p.source(MemorySource::new(here.collect::<Vec<_>>()))
///         .key_by(|n| n % 10)
///         .reduce(|sum, n| *sum += n)
///         .sink(AtCheckpoint::new(commits.of(p.shard()), 1_000));
///     Ok(())
/// })?;
/// assert_eq!(shown.records().len(), 100, "none lost, none twice");
/// # Ok(())
/// # }
/// ```
pub struct AtCheckpoint<T, C> {
    commit: C,
    records_max: usize,
    /// What came since the last barrier.
    open: Vec<Record<T>>,
    /// What came before it, until its checkpoint is complete.
    waiting: Vec<Record<T>>,
    /// The same, of shards that there were and whose place this one has taken.
    of_others: Vec<(usize, Vec<Record<T>>)>,
}

impl<T, C: Commit<T>> AtCheckpoint<T, C> {
    /// Holds at most `records_max` records back; more between two checkpoints are an error, since
    /// whoever waited for room would keep the checkpoint from coming. Memory for them is taken as
    /// they come, and goes with each checkpoint to whoever commits it.
    pub fn new(commit: C, records_max: usize) -> Self {
        let (open, waiting, of_others) = (Vec::new(), Vec::new(), Vec::new());
        Self { commit, records_max, open, waiting, of_others }
    }
}

impl<T: Clone + Stored, C: Commit<T>> Sink<T> for AtCheckpoint<T, C> {
    fn accept(&mut self, record: Record<T>) -> Result<(), IoError> {
        if self.open.len() + self.waiting.len() >= self.records_max {
            let reason = format!("more than {} records between checkpoints", self.records_max);
            return Err(IoError::new("hold back", "a sink", std::io::Error::other(reason)));
        }
        self.open.push(record);
        Ok(())
    }

    /// What a checkpoint that was given up would have shown is left to this one.
    fn on_barrier(&mut self, _epoch: Epoch) -> Result<(), IoError> {
        self.waiting.append(&mut self.open);
        Ok(())
    }

    fn on_complete(&mut self, epoch: Epoch) -> Result<(), IoError> {
        for (shard, records) in self.of_others.drain(..) {
            self.commit.commit_of(shard, epoch, records)?;
        }
        self.commit.commit(epoch, std::mem::take(&mut self.waiting))
    }

    fn poll(&mut self) -> Result<bool, IoError> {
        self.commit.poll()
    }

    fn save(&self, out: &mut Saved) {
        let is_at_rest = self.of_others.is_empty();
        out.at_rest("at checkpoint", is_at_rest, "has not shown what it was restored with");
        out.put("at checkpoint", &self.waiting);
        out.put("at checkpoint", &self.open);
    }

    /// All of it belongs to the checkpoint that it is read from, which is complete. From another
    /// number of shards, each of those that there were has its results shown under its own name.
    fn load(&mut self, from: &mut Saved) {
        let mut all: Vec<Vec<Record<T>>> = from.take_all("at checkpoint");
        let open: Vec<Vec<Record<T>>> = from.take_all("at checkpoint");
        all.iter_mut().zip(open).for_each(|(waiting, mut open)| waiting.append(&mut open));
        let Some(to) = from.to() else {
            self.waiting = all.pop().unwrap_or_default();
            return;
        };
        let of_it = all.into_iter().enumerate().filter(|(shard, _)| to.follows(*shard));
        for (shard, records) in of_it {
            match shard == to.shard {
                true => self.waiting = records,
                false => self.of_others.push((shard, records)),
            }
        }
    }
}

/// Records by epoch and shard.
type Epochs<T> = BTreeMap<(Epoch, usize), Vec<Record<T>>>;

/// Committed records in memory, for tests and as a recipe.
///
/// ```
/// use millstream::dataflow::Epoch;
/// use millstream::io::{Commit, MemoryCommits};
/// use millstream::{Record, Timestamp};
///
/// let shown = MemoryCommits::new();
/// let mut of_shard_0 = shown.of(0);
/// let seven = vec![Record::new(Timestamp(7), 7)];
/// of_shard_0.commit(Epoch(1), seven.clone())?;
/// of_shard_0.commit(Epoch(1), seven)?; // again, after a crash
/// assert_eq!(shown.records().len(), 1);
/// # Ok::<(), millstream::error::IoError>(())
/// ```
#[derive(Debug)]
pub struct MemoryCommits<T> {
    shard: usize,
    epochs: Arc<Mutex<Epochs<T>>>,
}

impl<T> MemoryCommits<T> {
    /// None yet.
    pub fn new() -> Self {
        Self { shard: 0, epochs: Arc::default() }
    }

    /// The same, for another shard to commit to.
    pub fn of(&self, shard: usize) -> Self {
        Self { shard, epochs: self.epochs.clone() }
    }

    /// All that is shown: by epoch, then by shard.
    pub fn records(&self) -> Vec<Record<T>>
    where
        T: Clone,
    {
        let epochs = self.epochs.lock().unwrap_or_else(PoisonError::into_inner);
        epochs.values().flatten().cloned().collect()
    }
}

impl<T> Clone for MemoryCommits<T> {
    fn clone(&self) -> Self {
        self.of(self.shard)
    }
}

impl<T> Default for MemoryCommits<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: 'static> Commit<T> for MemoryCommits<T> {
    fn commit(&mut self, epoch: Epoch, records: Vec<Record<T>>) -> Result<(), IoError> {
        self.commit_of(self.shard, epoch, records)
    }

    fn commit_of(
        &mut self,
        shard: usize,
        epoch: Epoch,
        records: Vec<Record<T>>,
    ) -> Result<(), IoError> {
        let mut epochs = self.epochs.lock().unwrap_or_else(PoisonError::into_inner);
        epochs.entry((epoch, shard)).or_insert(records);
        Ok(())
    }
}
