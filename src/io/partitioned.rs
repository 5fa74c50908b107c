//! A source of numbered partitions, which are dealt to however many shards there are.

use crate::dataflow::{Epoch, Record, Saved};
use crate::error::IoError;
use crate::io::{Polled, Source};
use crate::time::Timestamp;

/// The partitions of an input that one shard reads: files, journals, topics with partitions. They
/// are numbered, and dealt to the shards in turn.
///
/// A partition is the same whichever shard reads it. So a pipeline that was checkpointed on one
/// number of shards goes on with another: each partition goes on where it was.
///
/// ```
/// use millstream::io::{MemorySource, Partitioned};
/// use millstream::{Record, Simulation, Timestamp};
/// # fn main() -> millstream::Result<()> {
/// // Four partitions on three shards: the first one reads two.
/// Simulation::new(3, 7).run(|p| {
///     let source = Partitioned::new(4, p.shard(), p.shards(), |partition| {
///         let numbers = (0..10).map(|n| Record::new(Timestamp(n), (partition, n)));
///         Ok::<_, millstream::Error>(MemorySource::new(numbers.collect::<Vec<_>>()))
///     })?;
///     p.source(source).key_by(|(partition, _)| *partition).reduce(|_, _| ()).for_each(drop);
///     Ok(())
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Partitioned<S> {
    sources: Vec<(u32, S)>,
    /// How many there are on all shards.
    partitions: u32,
}

impl<S: Source> Partitioned<S> {
    /// Those of `partitions` partitions that fall to this shard, made by `source` of their numbers.
    /// Each has a source of its own, which has one partition.
    ///
    /// # Errors
    /// That of a source that cannot be made.
    ///
    /// # Panics
    /// If there is no such shard, or a source has another number of partitions than one.
    pub fn new<E>(
        partitions: u32,
        shard: usize,
        shards: usize,
        source: impl FnMut(u32) -> Result<S, E>,
    ) -> Result<Self, E> {
        assert!(shard < shards, "shard {shard} of {shards}: they are counted from 0");
        let mine = (0..partitions).filter(|number| *number as usize % shards == shard);
        let mut source = source;
        let sources = mine.map(|number| Ok((number, source(number)?)));
        let sources = sources.collect::<Result<Vec<_>, E>>()?;
        let of_one = sources.iter().all(|(_, source): &(u32, S)| source.partitions() == 1);
        assert!(of_one, "a partition is a source with one partition");
        Ok(Self { sources, partitions })
    }
}

impl<S: Source> Source for Partitioned<S> {
    type Out = S::Out;

    fn partitions(&self) -> usize {
        self.sources.len()
    }

    #[inline]
    fn poll(
        &mut self,
        partition: usize,
        now: Timestamp,
        budget: usize,
        emit: &mut impl FnMut(Record<S::Out>),
    ) -> Result<Polled, IoError> {
        self.sources[partition].1.poll(0, now, budget, emit)
    }

    fn drive(&mut self, now: Timestamp) -> Result<(), IoError> {
        self.sources.iter_mut().try_for_each(|(_, source)| source.drive(now))
    }

    fn is_at_rest(&self) -> bool {
        self.sources.iter().all(|(_, source)| source.is_at_rest())
    }

    fn on_complete(&mut self, epoch: Epoch) {
        self.sources.iter_mut().for_each(|(_, source)| source.on_complete(epoch));
    }

    fn position(&self, partition: usize) -> Option<u64> {
        self.sources.get(partition)?.1.position(0)
    }

    fn number(&self, partition: usize) -> Option<u32> {
        self.sources.get(partition).map(|(number, _)| *number)
    }

    /// By the first of them: which one gave the value is not known any more.
    fn write_down(&mut self, value: &S::Out, into: &mut Vec<u8>) {
        if let Some((_, source)) = self.sources.first_mut() {
            source.write_down(value, into);
        }
    }

    fn save(&self, out: &mut Saved) {
        let save = |(number, source): &(u32, S)| {
            let mut saved = Saved::new();
            source.save(&mut saved);
            (*number, saved)
        };
        out.put_nested("partitioned", self.sources.iter().map(save).collect());
    }

    /// A partition that nobody has read begins at its beginning.
    fn load(&mut self, from: &mut Saved) {
        let mut all = from.take_nested("partitioned");
        if let Some((number, _)) = all.iter().find(|(number, _)| *number >= self.partitions) {
            let reason = format!("partition {number} was read, and there are {}", self.partitions);
            return from.not_rescaled("partitioned", &reason);
        }
        for (number, source) in &mut self.sources {
            if let Some((_, saved)) = all.iter_mut().find(|(it, _)| it == number) {
                from.load_nested(saved, |saved| source.load(saved));
            }
        }
    }
}
