//! Records held in memory: a source that deals them, a sink that keeps them, a sink that calls you.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::dataflow::{Record, Saved};
use crate::error::IoError;
use crate::io::{Polled, Sink, Source};
use crate::time::Timestamp;

/// A source that deals the records it was given, oldest first, and then ends.
///
/// It reads on the shard that it is built for and knows nothing of other shards: give the records
/// to one of them and [`MemorySource::empty`] to the rest, or a part to each. It makes no promise
/// about timestamps, so say by `event_time` how disordered they are.
///
/// ```
/// use millstream::io::{MemorySource, Source};
/// use millstream::{Record, Timestamp};
///
/// let records = vec![Record::new(Timestamp(1), 'a'), Record::new(Timestamp(2), 'b')];
/// let mut source = MemorySource::new(records);
/// let mut seen = Vec::new();
/// let polled = source.poll(0, Timestamp(0), 64, &mut |r| seen.push(r.value))?;
/// assert_eq!(seen, ['a', 'b']);
/// assert!(polled.ended);
/// # Ok::<(), millstream::error::IoError>(())
/// ```
#[derive(Clone, Debug)]
pub struct MemorySource<T> {
    records: Option<Arc<[Record<T>]>>,
    next: usize,
}

impl<T> MemorySource<T> {
    /// From a `Vec`, or from an `Arc<[Record<T>]>` that other shards and tests may share.
    pub fn new(records: impl Into<Arc<[Record<T>]>>) -> Self {
        Self { records: Some(records.into()), next: 0 }
    }

    /// A source without partitions: this shard reads nothing.
    pub const fn empty() -> Self {
        Self { records: None, next: 0 }
    }
}

impl<T: Clone + 'static> Source for MemorySource<T> {
    type Out = T;

    fn partitions(&self) -> usize {
        usize::from(self.records.is_some())
    }

    #[inline]
    fn poll(
        &mut self,
        _partition: usize,
        _now: Timestamp,
        budget: usize,
        emit: &mut impl FnMut(Record<T>),
    ) -> Result<Polled, IoError> {
        let rest = self.records.as_deref().and_then(|all| all.get(self.next..)).unwrap_or(&[]);
        let batch = &rest[..budget.min(rest.len())];
        batch.iter().for_each(|record| emit(record.clone()));
        self.next += batch.len();
        Ok(if batch.len() == rest.len() { Polled::ended() } else { Polled::open() })
    }

    fn position(&self, _partition: usize) -> Option<u64> {
        Some(self.next as u64)
    }

    /// Its position is how many records it has dealt.
    fn save(&self, out: &mut Saved) {
        out.put("memory source", &self.next);
    }

    fn load(&mut self, from: &mut Saved) {
        from.take("memory source", &mut self.next);
    }
}

/// A sink that keeps what it gets; its clones share one collection.
///
/// Clone it into the pipeline, on as many shards as there are, and read the collection from
/// outside. Records become visible at the end of their batch, under one lock for all of them; those
/// of one shard keep their order. The collection grows without limit unless [`take`](Self::take)
/// empties it now and then: it is made for tests and small results.
///
/// ```
/// use millstream::io::{MemorySink, Sink};
/// use millstream::{Record, Timestamp};
///
/// let sink = MemorySink::new();
/// let mut on_a_shard = sink.clone();
/// on_a_shard.accept(Record::new(Timestamp(7), "seven"))?;
/// assert!(sink.is_empty());
/// on_a_shard.end_of_batch()?;
/// assert_eq!(sink.take(), [Record::new(Timestamp(7), "seven")]);
/// # Ok::<(), millstream::error::IoError>(())
/// ```
#[derive(Debug)]
pub struct MemorySink<T> {
    /// This clone's records of the batch under way.
    batch: Vec<Record<T>>,
    kept: Arc<Mutex<Vec<Record<T>>>>,
}

impl<T> MemorySink<T> {
    /// A sink with an empty collection.
    pub fn new() -> Self {
        Self::with_capacity(0)
    }

    /// A sink whose collection takes `records` records before it has to grow.
    pub fn with_capacity(records: usize) -> Self {
        let kept = Arc::new(Mutex::new(Vec::with_capacity(records)));
        Self { batch: Vec::new(), kept }
    }

    /// How many records have been kept and not taken.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether nothing is kept.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A copy of all that is kept.
    pub fn records(&self) -> Vec<Record<T>>
    where
        T: Clone,
    {
        self.lock().clone()
    }

    /// Takes all that is kept and leaves nothing.
    pub fn take(&self) -> Vec<Record<T>> {
        std::mem::take(&mut *self.lock())
    }

    /// Nothing of ours panics under the lock, so a poisoned collection is still whole.
    fn lock(&self) -> MutexGuard<'_, Vec<Record<T>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&mut self) {
        if !self.batch.is_empty() {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept.append(&mut self.batch);
        }
    }
}

impl<T> Default for MemorySink<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for MemorySink<T> {
    /// Another handle of the same collection. What is not yet published stays with the original.
    fn clone(&self) -> Self {
        Self { batch: Vec::new(), kept: Arc::clone(&self.kept) }
    }
}

impl<T: 'static> Sink<T> for MemorySink<T> {
    #[inline]
    fn accept(&mut self, record: Record<T>) -> Result<(), IoError> {
        self.batch.push(record);
        Ok(())
    }

    fn end_of_batch(&mut self) -> Result<(), IoError> {
        self.publish();
        Ok(())
    }

    fn end_of_stream(&mut self) -> Result<(), IoError> {
        self.publish();
        Ok(())
    }
}

/// A sink that calls a closure with every record; made by [`callback`].
#[derive(Clone, Debug)]
pub struct Callback<F>(F);

/// A sink that calls `on_record` with every record, on the shard's own thread.
///
/// The closure is part of the step: it must not block. It cannot fail; a sink that can is an
/// `impl Sink` of its own.
///
/// ```
/// use millstream::io::{Sink, callback};
/// use millstream::{Record, Timestamp};
///
/// let mut sink = callback(|record: Record<u32>| assert_eq!(record.value, 5));
/// sink.accept(Record::new(Timestamp(0), 5))?;
/// # Ok::<(), millstream::error::IoError>(())
/// ```
pub fn callback<T, F: FnMut(Record<T>) + 'static>(on_record: F) -> Callback<F> {
    Callback(on_record)
}

impl<T, F: FnMut(Record<T>) + 'static> Sink<T> for Callback<F> {
    #[inline]
    fn accept(&mut self, record: Record<T>) -> Result<(), IoError> {
        (self.0)(record);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(n: i64) -> Vec<Record<i64>> {
        (0..n).map(|i| Record::new(Timestamp(i), i * 10)).collect()
    }

    #[test]
    fn deals_by_budget_and_ends_with_the_last_record() {
        let mut source = MemorySource::new(records(5));
        let mut seen = Vec::new();
        for (budget, ended, so_far) in [(2, false, 2), (0, false, 2), (3, true, 5), (9, true, 5)] {
            let polled = source.poll(0, Timestamp(0), budget, &mut |r| seen.push(r)).unwrap();
            assert_eq!((polled.ended, seen.len()), (ended, so_far));
        }
        assert_eq!(seen, records(5));
    }

    #[test]
    fn empty_has_no_partition_and_an_empty_list_ends_at_once() {
        assert_eq!(MemorySource::<u8>::empty().partitions(), 0);
        let mut source = MemorySource::<u8>::new(Vec::new());
        assert_eq!(source.partitions(), 1);
        assert_eq!(source.poll(0, Timestamp(0), 0, &mut |_| ()).unwrap(), Polled::ended());
    }

    #[test]
    fn clones_share_what_they_publish() {
        let sink = MemorySink::with_capacity(8);
        let (mut a, mut b) = (sink.clone(), sink.clone());
        a.accept(Record::new(Timestamp(1), 1)).unwrap();
        b.accept(Record::new(Timestamp(2), 2)).unwrap();
        assert!(sink.is_empty(), "a batch shows when it is over");
        b.end_of_batch().unwrap();
        a.end_of_stream().unwrap();
        assert_eq!(sink.records().iter().map(|r| r.value).collect::<Vec<_>>(), [2, 1]);
        assert_eq!(sink.take().len(), 2);
        assert!(sink.is_empty());
    }
}
