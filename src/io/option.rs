//! A source that only some shards have.

use crate::dataflow::{Epoch, Record, Saved};
use crate::error::IoError;
use crate::io::{Polled, Source};
use crate::time::Timestamp;

/// `None` is a source without partitions: this shard reads nothing of it. For an input that one
/// shard reads for all.
///
/// ```
/// use millstream::io::{IterSource, Source};
/// use millstream::{Record, Simulation, Timestamp};
/// # fn main() -> millstream::Result<()> {
/// Simulation::new(3, 7).run(|p| {
///     let numbers = (0..100).map(|n| Record::new(Timestamp(n), n));
///     let on_first = (p.shard() == 0).then(|| IterSource::new(numbers));
///     assert_eq!(on_first.partitions(), usize::from(p.shard() == 0));
///     p.source(on_first).rebalance().for_each(drop);
///     Ok(())
/// })?;
/// # Ok(())
/// # }
/// ```
impl<S: Source> Source for Option<S> {
    type Out = S::Out;

    fn partitions(&self) -> usize {
        self.as_ref().map_or(0, Source::partitions)
    }

    #[inline]
    fn poll(
        &mut self,
        partition: usize,
        now: Timestamp,
        budget: usize,
        emit: &mut impl FnMut(Record<S::Out>),
    ) -> Result<Polled, IoError> {
        match self {
            Some(source) => source.poll(partition, now, budget, emit),
            None => Ok(Polled::ended()),
        }
    }

    fn drive(&mut self, now: Timestamp) -> Result<(), IoError> {
        self.as_mut().map_or(Ok(()), |source| source.drive(now))
    }

    fn is_at_rest(&self) -> bool {
        self.as_ref().is_none_or(Source::is_at_rest)
    }

    fn on_complete(&mut self, epoch: Epoch) {
        self.iter_mut().for_each(|source| source.on_complete(epoch));
    }

    fn position(&self, partition: usize) -> Option<u64> {
        self.as_ref()?.position(partition)
    }

    fn write_down(&mut self, value: &S::Out, into: &mut Vec<u8>) {
        self.iter_mut().for_each(|source| source.write_down(value, into));
    }

    fn number(&self, partition: usize) -> Option<u32> {
        self.as_ref()?.number(partition)
    }

    fn save(&self, out: &mut Saved) {
        self.iter().for_each(|source| source.save(out));
    }

    /// On another number of shards nobody knows whose it is: a [`Partitioned`] of one would.
    ///
    /// [`Partitioned`]: crate::io::Partitioned
    fn load(&mut self, from: &mut Saved) {
        match from.is_rescaled() {
            true => from.not_rescaled("source", "only some shards have it; use `Partitioned`"),
            false => self.iter_mut().for_each(|source| source.load(from)),
        }
    }
}
