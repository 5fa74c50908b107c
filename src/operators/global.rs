//! All records to one shard.

use crate::dataflow::{Edge, Stage, Stream};
use crate::exchange::{self, To};

impl<'p, S: Stage> Stream<'p, S> {
    /// Sends all records to shard 0: for what must see everything. What follows is as fast as one
    /// core, and the other shards have nothing to do there.
    ///
    /// The records of each source stay in order; [`ordered`](Self::ordered) puts those of all
    /// sources in one.
    ///
    /// ```
    /// use millstream::{io::IterSource, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(3, 0).run(|p| {
    ///     let (shard, numbers) = (p.shard(), 0..100i64);
    ///     p.source(IterSource::new(numbers.map(|n| Record::new(Timestamp(n), n))))
    ///         .global()
    ///         .for_each(move |_| assert_eq!(shard, 0));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn global(self) -> Stream<'p, Edge<S::Out>>
    where
        S::Out: Send,
    {
        exchange::exchange(self, "global (all to shard 0)", To(0))
    }
}
