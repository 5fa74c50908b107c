//! A table in memory.

use crate::error::Full;
use crate::lookup::service::{Answer, CallId, Lookup};
use crate::state::{Key, State, Table};
use crate::time::Timestamp;

/// A table in the memory of each shard, which answers at once: no record waits, and none needs a
/// capacity, a time-out or a cache.
///
/// The build closure makes one on every shard, so none is shared. It does not change; what does is
/// a stream, or a file that reloads.
///
/// ```
/// use millstream::lookup::TableLookup;
/// use millstream::{io::IterSource, Record, Simulation, Timestamp};
/// # fn main() -> millstream::Result<()> {
/// Simulation::new(1, 0).run(|p| {
///     let ticks = TableLookup::new([(7u32, 0.01), (8, 0.05)]);
///     p.source(IterSource::new([7, 8, 9].map(|n| Record::new(Timestamp(0), n)).into_iter()))
///         .lookup(ticks, |symbol| *symbol)
///         .inner()
///         .for_each(|record| assert!(record.value.1 > 0.0));
///     Ok(())
/// })?;
/// # Ok(())
/// # }
/// ```
pub struct TableLookup<K, V> {
    rows: Table<K, V>,
}

impl<K: Key, V: State> TableLookup<K, V> {
    /// A table of these rows; of two rows with the same key the later one counts.
    pub fn new(rows: impl IntoIterator<Item = (K, V)>) -> Self {
        let mut table = Table::new(0);
        rows.into_iter().for_each(|(key, value)| *table.entry(key) = value);
        Self { rows: table }
    }

    /// How many keys it has.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl<K: Key, V: State> Lookup for TableLookup<K, V> {
    type Request = K;
    type Reply = V;

    #[inline]
    fn known(&mut self, key: &K) -> Option<Answer<V>> {
        Some(Ok(self.rows.get(*key).copied()))
    }

    fn ask(&mut self, _: CallId, _: &K, _: Timestamp) -> Result<(), Full<()>> {
        Err(Full(()))
    }

    fn poll(&mut self, _: Timestamp) -> Option<(CallId, Answer<V>)> {
        None
    }
}
