//! The rows of a table, grouped anew.

use serde::{Deserialize, Serialize};

use crate::dataflow::{Change, Keyed, Pipeline, Stage};
use crate::operators::{KeyContext, Process};
use crate::state::{Key, State};
use crate::table::Changes;

/// What happened to a row, as seen by its group.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct RowMoved<G, K, V> {
    pub group: G,
    pub key: K,
    /// A row that has come from another group is an insert, one that has gone to another a delete.
    pub change: Change<V>,
}

/// The rows of a table by another key than that of the table: what follows retracts from a group
/// the rows that leave it.
///
/// A row that goes from one group to another leaves the one and enters the other at two moments of
/// their own, since the two may be on different shards: between them it is in both or in neither.
/// When all changes are in, every row is in its one group.
#[must_use = "a table does nothing until it ends in a sink or an output"]
pub struct Grouped<'p, G, K, V> {
    pub(super) pipeline: Pipeline<'p>,
    pub(super) keyed: Keyed<'p, G, RowMoved<G, K, V>>,
}

impl<'p, K: Key, V: State, S: Stage<Out = (K, Change<V>)>> Changes<'p, K, V, S> {
    /// Groups the rows anew: all rows of a group come to the shard that owns it. `group` sees rows
    /// old and new, so it must always say the same of the same row.
    ///
    /// ```
    /// use millstream::aggregates::{count, max};
    /// use millstream::{io::IterSource, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     // Who, in which city, how old; then Bob moves.
    ///     let people = [('A', 'x', 30), ('B', 'x', 40), ('B', 'y', 40)];
    ///     let people = people.map(|person| Record::new(Timestamp(0), person));
    ///     let mut want = [
    ///         ('x', Some((1, 30))),
    ///         ('x', Some((2, 40))),
    ///         ('x', Some((1, 30))),
    ///         ('y', Some((1, 40))),
    ///     ]
    ///     .into_iter();
    ///     p.source(IterSource::new(people.into_iter()))
    ///         .key_by(|person| person.0)
    ///         .table(|person| Some((person.1, person.2)))
    ///         .group_by(|_, (city, _)| *city)
    ///         .aggregate((count(), max(|row: &(char, i32)| row.1)))
    ///         .to_stream()
    ///         .for_each(move |record| assert_eq!(Some(record.value), want.next()));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn group_by<G: Key>(self, group: impl Fn(&K, &V) -> G + 'static) -> Grouped<'p, G, K, V> {
        let moved = move |(key, change): (K, Change<V>)| {
            let of = |row: Option<&V>| row.map(|row| group(&key, row));
            let (from, to) = (of(change.before()), of(change.after()));
            let stays = from.is_none() || to.is_none() || from == to;
            let leaves = change.before().filter(|_| !stays).map(|row| Change::Delete(*row));
            let enters = change.after().filter(|_| !stays).map(|row| Change::Insert(*row));
            let moves = [
                to.or(from).filter(|_| stays).map(|group| RowMoved { group, key, change }),
                from.zip(leaves).map(|(group, change)| RowMoved { group, key, change }),
                to.zip(enters).map(|(group, change)| RowMoved { group, key, change }),
            ];
            moves.into_iter().flatten()
        };
        let pipeline = self.stream.pipeline;
        Grouped { pipeline, keyed: self.stream.flat_map(moved).key_by(|moved| moved.group) }
    }
}

/// Whether there are too many rows in the groups of a shard, which stops the pipeline.
#[inline]
pub(super) fn check_rows<P: Process>(ctx: &mut KeyContext<'_, P>, rows: usize, rows_max: usize) {
    if rows > rows_max {
        ctx.exceed("rows", rows_max, "records_max");
    }
}
