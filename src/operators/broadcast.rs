//! Every record to every shard.

use crate::dataflow::{Edge, Stage, Stream};
use crate::exchange::{self, ToAll};

impl<'p, S: Stage> Stream<'p, S> {
    /// Sends a copy of each record to every shard: for what all of them must know, such as rules.
    ///
    /// The records of one source come to every shard in their order, with the same watermarks among
    /// them, so whether one is late is the same everywhere. Between records of two sources the
    /// order may differ from shard to shard. The slowest shard holds back the source.
    ///
    /// ```
    /// use millstream::{io::IterSource, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// let outcome = Simulation::new(3, 0).run(|p| {
    ///     let rules = if p.shard() == 0 { 0..10u32 } else { 0..0 };
    ///     p.source(IterSource::new(rules.map(|n| Record::new(Timestamp(n.into()), n))))
    ///         .broadcast()
    ///         .for_each(drop);
    ///     Ok(())
    /// })?;
    /// assert_eq!(outcome.counters.get(millstream::metrics::Counter::RecordsOut), 30);
    /// # Ok(())
    /// # }
    /// ```
    pub fn broadcast(self) -> Stream<'p, Edge<S::Out>>
    where
        S::Out: Clone + Send,
    {
        exchange::exchange(self, "broadcast", ToAll)
    }
}
