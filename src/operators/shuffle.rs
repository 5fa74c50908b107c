//! Records to whichever shard has room.

use crate::dataflow::{Edge, Stage, Stream};
use crate::exchange::{self, LocalOrShuffle, Shuffle};

impl<'p, S: Stage> Stream<'p, S> {
    /// Sends each record to the one of two random shards for which fewer records wait: for work
    /// that takes longer for some records than for others, or on some cores.
    ///
    /// The random numbers are seeded by `Config::hash_seed`, but which shard is behind depends on
    /// how fast it is: in simulation and in replay who gets what is the same in every run, on live
    /// shards it is not. What goes from one shard to another stays in order.
    ///
    /// ```
    /// use millstream::{io::IterSource, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// let outcome = Simulation::new(3, 0).run(|p| {
    ///     let numbers = if p.shard() == 0 { 0..1000i64 } else { 0..0 };
    ///     p.source(IterSource::new(numbers.map(|n| Record::new(Timestamp(n), n))))
    ///         .shuffle()
    ///         .map(|n| n * n)
    ///         .for_each(drop);
    ///     Ok(())
    /// })?;
    /// assert!(outcome.counters.get(millstream::metrics::Counter::RecordsExchanged) > 500);
    /// # Ok(())
    /// # }
    /// ```
    pub fn shuffle(self) -> Stream<'p, Edge<S::Out>>
    where
        S::Out: Send,
    {
        let p = self.pipeline;
        let route = Shuffle::new(p.shards(), p.shard(), p.config().hash_seed);
        exchange::exchange(self, "shuffle", route)
    }

    /// Leaves records on this shard as long as what follows here keeps up: a batch that comes while
    /// there is no room here for the one before it is [shuffled](Self::shuffle).
    ///
    /// So nothing crosses between shards until one of them has more than it can do. What stays is
    /// in order, and so is what goes to any one shard; between the two there is no order.
    ///
    /// ```
    /// use millstream::{io::IterSource, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// let outcome = Simulation::new(3, 0).run(|p| {
    ///     let numbers = if p.shard() == 0 { 0..1000i64 } else { 0..0 };
    ///     p.source(IterSource::new(numbers.map(|n| Record::new(Timestamp(n), n))))
    ///         .local_or_shuffle()
    ///         .map(|n| n * n)
    ///         .for_each(drop);
    ///     Ok(())
    /// })?;
    /// // Squares are quickly made.
    /// assert_eq!(outcome.counters.get(millstream::metrics::Counter::RecordsExchanged), 0);
    /// # Ok(())
    /// # }
    /// ```
    pub fn local_or_shuffle(self) -> Stream<'p, Edge<S::Out>>
    where
        S::Out: Send,
    {
        let p = self.pipeline;
        let route = LocalOrShuffle::new(p.shards(), p.shard(), p.config().hash_seed);
        exchange::exchange(self, "local_or_shuffle", route)
    }
}
