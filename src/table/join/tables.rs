//! Two tables become one by key.

use std::marker::PhantomData;

use crate::dataflow::{Change, Stage};
use crate::operators::{Either, KeyContext, Process};
use crate::state::{Key, State};
use crate::table::Changes;
use crate::table::join::connected;

impl<'p, K: Key, L: State, S: Stage<Out = (K, Change<L>)>> Changes<'p, K, L, S> {
    /// Joins the rows of two tables by key. A selection must follow, which says what kind of join
    /// it is.
    ///
    /// Each change of either table leads to at most one change of the joined one, from what the
    /// joined row was to what it is: no row without partner is shown but by
    /// [`select_left`](TableJoin::select_left) and [`select_full`](TableJoin::select_full), where
    /// it becomes another when its partner comes. Changes of both are taken as they arrive, so what
    /// the joined table was on its way depends on that; what it comes to does not.
    ///
    /// ```
    /// use millstream::{io::IterSource, Change, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let table = |rows: [(u32, i64); 2]| {
    ///         let rows = rows.map(|row| Record::new(Timestamp(0), row)).into_iter();
    ///         p.source(IterSource::new(rows)).key_by(|row| row.0).table(|row| Some(row.1))
    ///     };
    ///     table([(1, 100), (2, 200)])
    ///         .join(table([(2, 5), (3, 6)]))
    ///         .select(|price, stock| price * stock)
    ///         .to_changes()
    ///         .for_each(|record| assert_eq!(record.value, (2, Change::Insert(1000))));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn join<R: State, O: Stage<Out = (K, Change<R>)>>(
        self,
        right: Changes<'p, K, R, O>,
    ) -> TableJoin<'p, K, L, R, S, O> {
        TableJoin { left: self, right }
    }
}

/// Two tables by one key; wants a selection.
///
/// A selection must always make the same of the same rows: it sees them as they were and as they
/// are.
#[must_use = "a join does nothing until a selection and a sink follow"]
pub struct TableJoin<'p, K, L, R, S, O> {
    left: Changes<'p, K, L, S>,
    right: Changes<'p, K, R, O>,
}

impl<'p, K, L, R, S, O> TableJoin<'p, K, L, R, S, O>
where
    K: Key,
    L: State,
    R: State,
    S: Stage<Out = (K, Change<L>)>,
    O: Stage<Out = (K, Change<R>)>,
{
    /// Inner join: the keys that both tables have.
    pub fn select<V: State + PartialEq>(
        self,
        f: impl Fn(&L, &R) -> V + 'static,
    ) -> Changes<'p, K, V, impl Stage<Out = (K, Change<V>)>> {
        self.joined(move |left, right| Some(f(left?, right?)))
    }

    /// Left join: the keys of the left table.
    pub fn select_left<V: State + PartialEq>(
        self,
        f: impl Fn(&L, Option<&R>) -> V + 'static,
    ) -> Changes<'p, K, V, impl Stage<Out = (K, Change<V>)>> {
        self.joined(move |left, right| Some(f(left?, right)))
    }

    /// Full join: the keys of either table.
    pub fn select_full<V: State + PartialEq>(
        self,
        f: impl Fn(Option<&L>, Option<&R>) -> V + 'static,
    ) -> Changes<'p, K, V, impl Stage<Out = (K, Change<V>)>> {
        self.joined(move |left, right| {
            let is_there = left.is_some() || right.is_some();
            is_there.then(|| f(left, right))
        })
    }

    fn joined<V: State + PartialEq>(
        self,
        select: impl Fn(Option<&L>, Option<&R>) -> Option<V> + 'static,
    ) -> Changes<'p, K, V, impl Stage<Out = (K, Change<V>)>> {
        let both = connected(self.left, self.right);
        Changes::new(both.process(Join { select, types: PhantomData }), true)
    }
}

/// Keeps both rows of each key.
struct Join<K, L, R, F> {
    select: F,
    types: PhantomData<fn(K, L, R)>,
}

impl<K, L, R, V, F> Process for Join<K, L, R, F>
where
    K: Key,
    L: State,
    R: State,
    V: State + PartialEq,
    F: Fn(Option<&L>, Option<&R>) -> Option<V> + 'static,
{
    type Key = K;
    type In = Either<(K, Change<L>), (K, Change<R>)>;
    type State = (Option<L>, Option<R>);
    type Out = (K, Change<V>);

    #[inline(always)]
    fn on_record(&mut self, record: Self::In, ctx: &mut KeyContext<'_, Self>) {
        let (left, right) = ctx.state();
        let before = (self.select)(left.as_ref(), right.as_ref());
        match record {
            Either::Left((_, change)) => *left = change.after().copied(),
            Either::Right((_, change)) => *right = change.after().copied(),
        }
        let after = (self.select)(left.as_ref(), right.as_ref());
        let is_empty = left.is_none() && right.is_none();
        if let Some(change) = Change::between(before, after).filter(Change::is_visible) {
            let key = ctx.key();
            ctx.emit((key, change));
        }
        if is_empty {
            ctx.clear();
        }
    }
}
