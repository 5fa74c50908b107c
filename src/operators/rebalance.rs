//! Records to all shards in turn.

use crate::dataflow::{Edge, Stage, Stream};
use crate::exchange::{self, InTurn};

impl<'p, S: Stage> Stream<'p, S> {
    /// Sends the records of each shard to all shards in strict turns, beginning with itself: record
    /// `n` of shard `s` goes to shard `(s + n) % shards`. For work that is the same for every
    /// record, where one source has more of them than another.
    ///
    /// Who gets what depends on nothing but the order of the records. A shard that is slow gets as
    /// many as the others and holds them back; see [`shuffle`](Self::shuffle) for the opposite.
    /// What goes from one shard to another stays in order.
    ///
    /// ```
    /// use millstream::{io::IterSource, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(2, 0).run(|p| {
    ///     let shard = p.shard() as i64;
    ///     let numbers = if shard == 0 { 0..100i64 } else { 0..0 };
    ///     p.source(IterSource::new(numbers.map(|n| Record::new(Timestamp(n), n))))
    ///         .rebalance()
    ///         .for_each(move |record| assert_eq!(record.value % 2, shard));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn rebalance(self) -> Stream<'p, Edge<S::Out>>
    where
        S::Out: Send,
    {
        let route = InTurn::from(self.pipeline.shard());
        exchange::exchange(self, "rebalance", route)
    }
}
