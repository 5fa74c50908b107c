//! What all shards must know while they work on their records: rules, limits, switches.

use crate::dataflow::{Stage, Stream};
use crate::join::AsofJoin;
use crate::state::Stored;

impl<'p, S: Stage<Out: Copy + Stored>> Stream<'p, S> {
    /// Gives each record, on whatever shard it is, the state that a control stream had at its time.
    /// A selection must follow, as for an [as-of join](crate::Keyed::asof_join).
    ///
    /// Each control record is the whole state from its time on (fold rules into one value first,
    /// by [`reduce`](crate::Keyed::reduce) say) and goes to all shards. It takes effect between the
    /// same two records everywhere: those before its time see the state before it, those at its
    /// time and later see it, whatever the shards' pace. What that costs: a record waits until the
    /// watermark of the control stream has passed it. One that is idle or has ended holds nothing
    /// back, so let it be [idle](crate::Watermarks::idle_after) after a while, or give it a beat.
    ///
    /// ```
    /// use millstream::{io::IterSource, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(3, 0).run(|p| {
    ///     let mine = |range: std::ops::Range<i64>| if p.shard() == 0 { range } else { 0..0 };
    ///     let orders = mine(0..100).map(|n| Record::new(Timestamp(n), n));
    ///     let limits = mine(0..2).map(|n| Record::new(Timestamp(50 * n), 10 + n));
    ///     let limits = p.source(IterSource::new(limits));
    ///     p.source(IterSource::new(orders))
    ///         .rebalance()
    ///         .with_broadcast(limits)
    ///         .select(|order, limit| (*order, *limit))
    ///         .for_each(|seen| assert_eq!(seen.value.1, 10 + seen.value.0 / 50));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_broadcast<C: Stage<Out: Copy + Send + Stored>>(
        self,
        control: Stream<'p, C>,
    ) -> AsofJoin<'p, (), S::Out, C::Out> {
        let control = control.broadcast().partitioned_by(|_| ());
        self.partitioned_by(|_| ()).asof_join(control)
    }
}
