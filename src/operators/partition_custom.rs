//! Records to the shard that the pipeline's author chooses.

use crate::dataflow::{Edge, Stage, Stream};
use crate::exchange::{self, Chosen};

impl<'p, S: Stage> Stream<'p, S> {
    /// Sends each record to the shard that `choose` answers, from 0, of as many as its second
    /// argument says. An answer out of range stops the pipeline with
    /// [`Error::NoShard`](crate::Error::NoShard).
    ///
    /// What goes from one shard to another stays in order. Keyed state wants
    /// [`partitioned_by`](Self::partitioned_by) behind it, and a choice that is the same for all
    /// records of a key.
    ///
    /// ```
    /// use millstream::{io::IterSource, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(3, 0).run(|p| {
    ///     let (shard, numbers) = (p.shard(), 0..100i64);
    ///     p.source(IterSource::new(numbers.map(|n| Record::new(Timestamp(n), n))))
    ///         .partition_custom(|n, shards| if *n < 50 { 0 } else { shards - 1 })
    ///         .for_each(move |record| assert_eq!(record.value < 50, shard == 0));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn partition_custom(
        self,
        choose: impl Fn(&S::Out, usize) -> usize + 'static,
    ) -> Stream<'p, Edge<S::Out>>
    where
        S::Out: Send,
    {
        exchange::exchange(self, "partition_custom", Chosen::new("partition_custom", choose))
    }
}
