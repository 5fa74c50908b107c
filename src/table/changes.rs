//! A table, seen as its changes.

use std::marker::PhantomData;

use crate::dataflow::{Change, Edge, Keyed, Placement, Stage, Stream};
use crate::state::{Key, State};

/// The changes of a table whose rows are a `V` by key, `K`. [`Keyed::table`] makes one.
///
/// [`Keyed::table`]: crate::Keyed::table
#[must_use = "a table does nothing until it ends in a sink or an output"]
pub struct Changes<'p, K, V, S> {
    pub(super) stream: Stream<'p, S>,
    /// Whether each key is on the shard that owns its hash.
    pub(super) by_hash: bool,
    types: PhantomData<fn() -> (K, V)>,
}

impl<'p, K: Key, V: State, S: Stage<Out = (K, Change<V>)>> Changes<'p, K, V, S> {
    /// The changes that come out of this stream.
    pub(super) fn new(stream: Stream<'p, S>, by_hash: bool) -> Self {
        Self { stream, by_hash, types: PhantomData }
    }

    /// The changes by the key of the table, on the shard where they are.
    pub(super) fn keyed_here(self) -> Keyed<'p, K, (K, Change<V>)> {
        let placement = if self.by_hash { Placement::ByKey } else { Placement::Chosen };
        self.stream.placed_by(placement, |(key, _)| *key)
    }

    /// The table as a stream of upserts: the new row by key, or `None` where the row is gone.
    ///
    /// ```
    /// use millstream::{io::IterSource, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let numbers = [(7, Some(1)), (7, None)].map(|row| Record::new(Timestamp(0), row));
    ///     let mut seen = Vec::new();
    ///     p.source(IterSource::new(numbers.into_iter()))
    ///         .key_by(|row| row.0)
    ///         .table(|row| row.1)
    ///         .to_stream()
    ///         .for_each(move |record| {
    ///             seen.push(record.value);
    ///             assert!([(7, Some(1)), (7, None)].starts_with(&seen));
    ///         });
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn to_stream(self) -> Stream<'p, impl Stage<Out = (K, Option<V>)>> {
        self.stream.map(|(key, change)| (key, change.after().copied()))
    }

    /// The table as a stream of changes, with what was there before: retractions.
    ///
    /// ```
    /// use millstream::{io::IterSource, Change, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let numbers = (1..=3).map(|n| Record::new(Timestamp(n), n));
    ///     let table = p.source(IterSource::new(numbers)).key_by(|_| 7).table(|n| Some(*n));
    ///     table.to_changes().for_each(|record| match record.value.1 {
    ///         Change::Insert(new) => assert_eq!(new, 1),
    ///         Change::Update { old, new } => assert_eq!(old + 1, new),
    ///         Change::Delete(_) => panic!("there is no tombstone"),
    ///     });
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn to_changes(self) -> Stream<'p, S> {
        self.stream
    }

    /// Ends the stage here: the type is reset, at the cost of one buffer.
    pub fn boxed(self) -> Changes<'p, K, V, Edge<(K, Change<V>)>> {
        Changes::new(self.stream.boxed(), self.by_hash)
    }
}
