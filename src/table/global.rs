//! Tables that every shard has in full.

use crate::dataflow::{Change, Placement, Stage, Stream};
use crate::state::{Key, State, Stored};
use crate::table::{Changes, WithTable};

/// A table that every shard has in full; only for [`join_global`](Stream::join_global).
///
/// No changelog: each of its changes is on all shards, so a group of its rows would count them as
/// often.
#[must_use = "a table does nothing until something is joined with it"]
pub struct GlobalTable<'p, K, V, S>(Changes<'p, K, V, S>);

impl<'p, S: Stage<Out: Clone + Send + Stored>> Stream<'p, S> {
    /// Folds the records into a table that every shard has in full: small tables that records of
    /// any key ask, without being sent to the shard that owns it. Each record is the new row of its
    /// key, or a tombstone if `row` makes `None` of it; the last to arrive counts, and of records
    /// of different shards that are last in one order here and in another there.
    ///
    /// At most [`keys_max`](crate::Config::keys_max) rows.
    ///
    /// ```
    /// use millstream::{io::IterSource, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(3, 0).run(|p| {
    ///     let rates = [('e', 3), ('f', 5)].map(|rate| Record::new(Timestamp(0), rate));
    ///     let rates = if p.shard() == 0 { rates.to_vec() } else { vec![] };
    ///     let rates = p.source(IterSource::new(rates.into_iter()));
    ///     let table = rates.global_table(|rate| rate.0, |rate| Some(rate.1));
    ///     let sums = (0..10).map(|n| Record::new(Timestamp(n), ('f', n)));
    ///     p.source(IterSource::new(sums))
    ///         .join_global(table, |sum| sum.0)
    ///         .select(|sum, rate| (sum.1, sum.1 * rate))
    ///         .for_each(|found| assert_eq!(found.value.1, 5 * found.value.0));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn global_table<K: Key, V: State + PartialEq>(
        self,
        key: impl Fn(&S::Out) -> K + 'static,
        row: impl Fn(&S::Out) -> Option<V> + 'static,
    ) -> GlobalTable<'p, K, V, impl Stage<Out = (K, Change<V>)>> {
        GlobalTable(self.broadcast().placed_by(Placement::Everywhere, key).table(row))
    }
}

impl<'p, S: Stage<Out: Clone + Stored>> Stream<'p, S> {
    /// Gives each record, on whatever shard it is, the row of a table that every shard has: of the
    /// key that `key` makes of it, when the record arrives. A selection must follow.
    ///
    /// [`global_table`](Stream::global_table) has an example.
    pub fn join_global<K: Key, V: State, G: Stage<Out = (K, Change<V>)>>(
        self,
        table: GlobalTable<'p, K, V, G>,
        key: impl Fn(&S::Out) -> K + 'static,
    ) -> WithTable<'p, K, S::Out, V, G> {
        WithTable::everywhere(self.partitioned_by(key), table.0)
    }
}
