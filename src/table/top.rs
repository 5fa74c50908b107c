//! The first rows of each group.

use std::cmp::Reverse;
use std::marker::PhantomData;

use crate::dataflow::{Change, Others, Saved, Stage};
use crate::error::ConfigError;
use crate::operators::{KeyContext, Moved, Process};
use crate::state::{Key, Root, Sorted, State};
use crate::table::Changes;
use crate::table::group::{Grouped, RowMoved, check_rows};

impl<'p, G: Key, K: Key, V: State + PartialEq> Grouped<'p, G, K, V> {
    /// The `n` rows of each group for which `by` is largest; of equal ones those with the lesser
    /// keys. `by` may be any key, so the smallest come first by its [`Reverse`]; and it must always
    /// say the same of the same row.
    ///
    /// A table by group and key: a row that comes among the first is an insert, one that no longer
    /// is a delete, ahead of the insert of that which takes its place, and a row that stays is left
    /// alone whichever place it has among them. So a change of a row is at most two changes here,
    /// and there are never more than `n` rows. All rows of a group are kept, since those behind may
    /// come to be among the first: at most [`records_max`](crate::Config::records_max) on one
    /// shard. O(log n) a change, n being the rows of the group. Where records only come, and places
    /// are asked for, [`Keyed::ranked`](crate::Keyed::ranked) keeps `n` of them.
    ///
    /// ```
    /// use millstream::{io::IterSource, Change, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let scores = [('a', 5), ('b', 7), ('b', 3)].map(|row| Record::new(Timestamp(0), row));
    ///     let mut want = [
    ///         ('a', Change::Insert(5)),
    ///         ('a', Change::Delete(5)),
    ///         ('b', Change::Insert(7)),
    ///         ('b', Change::Delete(7)),
    ///         ('a', Change::Insert(5)),
    ///     ]
    ///     .into_iter();
    ///     p.source(IterSource::new(scores.into_iter()))
    ///         .key_by(|row| row.0)
    ///         .table(|row| Some(row.1))
    ///         .group_by(|_, _| ())
    ///         .top_n(1, |_, score| *score)
    ///         .to_changes()
    ///         .map(|(((), key), change)| (key, change))
    ///         .for_each(move |record| assert_eq!(Some(record.value), want.next()));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn top_n<O: Key>(
        self,
        n: usize,
        by: impl Fn(&K, &V) -> O + 'static,
    ) -> Changes<'p, (G, K), V, impl Stage<Out = ((G, K), Change<V>)>> {
        let config = self.pipeline.config();
        let rows = Sorted::new(config.hash_seed);
        let (others, rows_max, types) = (Others::default(), config.records_max, PhantomData);
        let top = Top { n, by, rows, others, rows_max, types };
        let stream = self.keyed.process(top);
        if n == 0 {
            let error = ConfigError::setting("top_n", n, "there would be no row");
            stream.pipeline.reject(error);
        }
        Changes::new(stream, false)
    }
}

struct Top<G, K, V, O, F> {
    n: usize,
    by: F,
    rows: Sorted<(Reverse<O>, K), V>,
    /// Those of other shards, while their groups move.
    others: Others<Sorted<(Reverse<O>, K), V>>,
    rows_max: usize,
    types: PhantomData<fn(G)>,
}

/// A row that goes and one that comes, or one that changes.
type Two<K, V> = [Option<(K, Change<V>)>; 2];

impl<G: Key, K: Key, V: State + PartialEq, O: Key, F: Fn(&K, &V) -> O> Top<G, K, V, O, F> {
    #[inline]
    fn place(&self, key: K, row: &V) -> (Reverse<O>, K) {
        (Reverse((self.by)(&key, row)), key)
    }

    /// The row at this place, if there are so many.
    #[inline]
    fn nth(&self, rows: Root, n: usize) -> Option<(K, V)> {
        self.rows.nth(rows, n).map(|((_, key), row)| (key, *row))
    }

    /// Changes a row of a group; what of that is to be seen among its first.
    fn change(&mut self, rows: &mut Root, key: K, change: Change<V>) -> Two<K, V> {
        let n = self.n;
        let (mut was_in, mut is_in) = (false, false);
        if let Some(row) = change.before() {
            let place = self.place(key, row);
            was_in = self.rows.rank(*rows, place) < n;
            self.rows.remove(rows, place, &mut |_, _, _| ());
        }
        if let Some(row) = change.after() {
            let place = self.place(key, row);
            self.rows.set(rows, place, *row, &mut |_, _, _| ());
            is_in = self.rows.rank(*rows, place) < n;
        }
        match (was_in, is_in) {
            (true, true) => [Some((key, change)).filter(|_| change.is_visible()), None],
            (true, false) => {
                let goes = change.before().map(|row| (key, Change::Delete(*row)));
                [goes, self.nth(*rows, n - 1).map(|(key, row)| (key, Change::Insert(row)))]
            }
            (false, true) => {
                let comes = change.after().map(|row| (key, Change::Insert(*row)));
                [self.nth(*rows, n).map(|(key, row)| (key, Change::Delete(row))), comes]
            }
            (false, false) => [None, None],
        }
    }
}

impl<G: Key, K: Key, V: State + PartialEq, O: Key, F> Process for Top<G, K, V, O, F>
where
    F: Fn(&K, &V) -> O + 'static,
{
    type Key = G;
    type In = RowMoved<G, K, V>;
    type State = Root;
    type Out = ((G, K), Change<V>);

    const NAME: &'static str = "top_n";

    fn on_record(&mut self, moved: RowMoved<G, K, V>, ctx: &mut KeyContext<'_, Self>) {
        let rows = ctx.state();
        let changes = self.change(rows, moved.key, moved.change);
        if rows.is_empty() {
            ctx.clear();
        }
        for (key, change) in changes.into_iter().flatten() {
            ctx.emit(((moved.group, key), change));
        }
        check_rows(ctx, self.rows.len(), self.rows_max);
    }

    fn save(&self, out: &mut Saved) {
        out.unseen::<F>(Self::NAME);
        out.put(Self::NAME, &self.rows);
    }

    fn load(&mut self, from: &mut Saved) {
        self.others = from.take_pool(Self::NAME, &mut self.rows);
    }

    fn on_moved(&mut self, groups: &mut Moved<'_, Self>) {
        let others = std::mem::take(&mut self.others);
        groups.each(|shard, _, rows| {
            let Some(other) = others.of(shard) else { return };
            *rows = self.rows.take_over(other, *rows, &mut |_, _, _| ());
        });
    }
}
