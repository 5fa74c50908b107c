//! What rows there are, each once.

use crate::dataflow::{Change, Stage};
use crate::state::{Key, State};
use crate::table::Changes;
use crate::window::aggregates::count;

impl<'p, K: Key, V: State, S: Stage<Out = (K, Change<V>)>> Changes<'p, K, V, S> {
    /// The table of what `what` makes of the rows, each once, however many rows it is made of: the
    /// first of them is an insert, and when the last is gone that is a delete. How many there are
    /// is counted, and no row is kept.
    ///
    /// ```
    /// use millstream::{io::IterSource, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let rows = [(1, 'a'), (2, 'a'), (1, 'b'), (2, 'b')];
    ///     let rows = rows.map(|row| Record::new(Timestamp(0), row));
    ///     let mut want = [('a', true), ('b', true), ('a', false)].into_iter();
    ///     p.source(IterSource::new(rows.into_iter()))
    ///         .key_by(|row| row.0)
    ///         .table(|row| Some(row.1))
    ///         .distinct(|_, letter| *letter)
    ///         .to_stream()
    ///         .map(|(letter, is_there)| (letter, is_there.is_some()))
    ///         .for_each(move |record| assert_eq!(Some(record.value), want.next()));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn distinct<W: Key>(
        self,
        what: impl Fn(&K, &V) -> W + 'static,
    ) -> Changes<'p, W, (), impl Stage<Out = (W, Change<()>)>> {
        self.group_by(what).aggregate(count()).map_values(|_, _| ())
    }
}
