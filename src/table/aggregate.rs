//! Groups of rows, aggregated with retractions.

use std::marker::PhantomData;

use serde::{Deserialize, Serialize};

use crate::dataflow::{Change, Others, Saved, Stage};
use crate::operators::{KeyContext, Moved, Process};
use crate::state::{Key, Root, Sorted, State};
use crate::table::Changes;
use crate::table::group::{Grouped, RowMoved, check_rows};
use crate::time::Timestamp;
use crate::window::Aggregate;

impl<'p, G: Key, K: Key, V: State> Grouped<'p, G, K, V> {
    /// Aggregates the rows of each group: a table of results by group. A group without rows has no
    /// result. One change of a row is at most one change of the result of its group.
    ///
    /// An [`INVERTIBLE`](Aggregate::INVERTIBLE) aggregate (a count, a sum of integers, a mean or a
    /// variance of them) deducts what leaves: O(1), and no row is kept. It must not look at the
    /// time of a record, because a row is deducted at the time at which it leaves.
    ///
    /// For every other one (a maximum, a first, a sum of floats) the rows of the group are kept in
    /// a tree by their keys whose nodes hold the aggregate of all below them: a change costs
    /// O(log n) accumulations and combinations, n being the rows of the group, and a shard holds at
    /// most [`records_max`](crate::Config::records_max) rows. Rows are combined in the order of
    /// their keys, not of arrival. So the result is the same to the last bit, in floats too,
    /// whatever order the changes came in; and of two records that an aggregate tells apart by
    /// arrival the one with the lesser key counts as the first.
    ///
    /// ```
    /// use millstream::aggregates::max;
    /// use millstream::{io::IterSource, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     // The row with the largest value changes, and it is the largest no more.
    ///     let rows = [(1, 10), (2, 30), (2, 20)].map(|row| Record::new(Timestamp(0), row));
    ///     let mut want = [Some(10), Some(30), Some(20)].into_iter();
    ///     p.source(IterSource::new(rows.into_iter()))
    ///         .key_by(|row| row.0)
    ///         .table(|row| Some(row.1))
    ///         .group_by(|_, _| ())
    ///         .aggregate(max(|value: &i32| *value))
    ///         .to_stream()
    ///         .for_each(move |record| assert_eq!(Some(record.value.1), want.next()));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn aggregate<A: Aggregate<V, Out: State + PartialEq>>(
        self,
        aggregate: A,
    ) -> Changes<'p, G, A::Out, impl Stage<Out = (G, Change<A::Out>)>> {
        let config = self.pipeline.config();
        let rows = Sorted::new(config.hash_seed);
        let (others, rows_max, types) = (Others::default(), config.records_max, PhantomData);
        let groups = Groups { aggregate, rows, others, rows_max, types };
        Changes::new(self.keyed.process(groups), true)
    }
}

struct Groups<G, K, V, A: Aggregate<V>> {
    aggregate: A,
    rows: Sorted<K, Row<V, A::Acc>>,
    /// Those of other shards, while their groups move.
    others: Others<Sorted<K, Row<V, A::Acc>>>,
    rows_max: usize,
    types: PhantomData<fn(G)>,
}

/// A row that is kept because it cannot be deducted.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Row<V, Acc> {
    value: V,
    at: Timestamp,
    /// Of it and all rows below it.
    acc: Acc,
}

/// What is kept of a group: the accumulator and the count, or the rows.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Group<Acc> {
    acc: Acc,
    count: u64,
    rows: Root,
}

impl<Acc: State> Default for Group<Acc> {
    fn default() -> Self {
        Self { acc: Acc::default(), count: 0, rows: Root::default() }
    }
}

impl<G: Key, K: Key, V: State, A: Aggregate<V>> Groups<G, K, V, A> {
    /// The result of a group, if it has rows.
    #[inline]
    fn result(&self, group: &Group<A::Acc>) -> Option<A::Out> {
        match A::INVERTIBLE {
            true => (group.count > 0).then(|| self.aggregate.finish(&group.acc)),
            false => self.rows.top(group.rows).map(|row| self.aggregate.finish(&row.acc)),
        }
    }

    /// Takes the row before out of the group, and puts the row after in.
    #[inline]
    fn change(&mut self, group: &mut Group<A::Acc>, at: Timestamp, key: K, change: &Change<V>) {
        let Self { aggregate, rows, .. } = self;
        if !A::INVERTIBLE {
            let mut sum_up = |row: &mut _, left: Option<&_>, right: Option<&_>| {
                sum_up(aggregate, row, left, right);
            };
            match change.after() {
                Some(value) => {
                    let row = Row { value: *value, at, acc: A::Acc::default() };
                    rows.set(&mut group.rows, key, row, &mut sum_up);
                }
                None => _ = rows.remove(&mut group.rows, key, &mut sum_up),
            }
            return;
        }
        if let Some(value) = change.before() {
            let mut one = A::Acc::default();
            aggregate.accumulate(&mut one, at, value);
            aggregate.deduct(&mut group.acc, &one);
            group.count = group.count.saturating_sub(1);
        }
        if let Some(value) = change.after() {
            aggregate.accumulate(&mut group.acc, at, value);
            group.count += 1;
        }
    }
}

/// The aggregate of a row and of all below it, in the order of keys.
#[inline]
fn sum_up<V, A: Aggregate<V>>(
    aggregate: &A,
    row: &mut Row<V, A::Acc>,
    left: Option<&Row<V, A::Acc>>,
    right: Option<&Row<V, A::Acc>>,
) {
    row.acc = left.map_or_else(A::Acc::default, |left| left.acc);
    aggregate.accumulate(&mut row.acc, row.at, &row.value);
    if let Some(right) = right {
        aggregate.combine(&mut row.acc, &right.acc);
    }
}

impl<G: Key, K: Key, V: State, A> Process for Groups<G, K, V, A>
where
    A: Aggregate<V, Out: State + PartialEq>,
{
    type Key = G;
    type In = RowMoved<G, K, V>;
    type State = Group<A::Acc>;
    type Out = (G, Change<A::Out>);

    const NAME: &'static str = "group_aggregate";

    fn on_record(&mut self, moved: RowMoved<G, K, V>, ctx: &mut KeyContext<'_, Self>) {
        let (at, mut group) = (ctx.at(), *ctx.state());
        let before = self.result(&group);
        self.change(&mut group, at, moved.key, &moved.change);
        let after = self.result(&group);
        match after.is_some() {
            true => *ctx.state() = group,
            false => ctx.clear(),
        }
        if let Some(change) = Change::between(before, after).filter(Change::is_visible) {
            ctx.emit((moved.group, change));
        }
        check_rows(ctx, self.rows.len(), self.rows_max);
    }

    fn save(&self, out: &mut Saved) {
        out.put(Self::NAME, &self.rows);
    }

    fn load(&mut self, from: &mut Saved) {
        self.others = from.take_pool(Self::NAME, &mut self.rows);
    }

    fn on_moved(&mut self, groups: &mut Moved<'_, Self>) {
        let (others, aggregate) = (std::mem::take(&mut self.others), &self.aggregate);
        groups.each(|shard, _, group| {
            let Some(other) = others.of(shard) else { return };
            group.rows = self.rows.take_over(other, group.rows, &mut |row, left, right| {
                sum_up(aggregate, row, left, right);
            });
        });
    }
}
