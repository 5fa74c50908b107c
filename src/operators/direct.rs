//! Records that say themselves where they go.

use crate::dataflow::{Stage, Stream};
use crate::exchange::{self, Chosen};

impl<'p, T: Send + 'static, S: Stage<Out = (usize, T)>> Stream<'p, S> {
    /// Sends each value to the shard that stands before it: for a step that knows who is to go on
    /// with what it made. A shard out of range stops the pipeline with
    /// [`Error::NoShard`](crate::Error::NoShard).
    ///
    /// What goes from one shard to another stays in order.
    ///
    /// ```
    /// use millstream::{io::IterSource, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(3, 0).run(|p| {
    ///     let (shard, shards, numbers) = (p.shard(), p.shards(), 0..100usize);
    ///     p.source(IterSource::new(numbers.map(|n| Record::new(Timestamp(n as i64), n))))
    ///         .map(move |n| (n % shards, n))
    ///         .direct()
    ///         .for_each(move |record| assert_eq!(record.value % shards, shard));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn direct(self) -> Stream<'p, impl Stage<Out = T>> {
        let said = |value: &(usize, T), _| value.0;
        exchange::exchange(self, "direct", Chosen::new("direct", said)).map(|(_, value)| value)
    }
}
