//! Each record of a stream meets the row of its key.

use std::marker::PhantomData;

use crate::dataflow::{Change, Keyed, Placement, Stage, Stream};
use crate::operators::{Either, KeyContext, Process};
use crate::state::{Key, State, Stored};
use crate::table::Changes;
use crate::table::join::keyed;

impl<'p, K: Key, T: Clone + Stored> Keyed<'p, K, T> {
    /// Gives each record the row that its key has in a table when the record arrives. A selection
    /// must follow.
    ///
    /// Only records lead to results; a change of the table is seen by the records that arrive
    /// after it. Where it must be the row as of a record's event time, whatever arrives first, take
    /// [`temporal_join`](Keyed::temporal_join).
    ///
    /// ```
    /// use millstream::testing::TestDriver;
    /// use millstream::Timestamp;
    /// # fn main() -> millstream::Result<()> {
    /// let (mut driver, (orders, prices, totals)) = TestDriver::new(|p| {
    ///     let (orders, placed) = p.test_input::<(u32, i64)>();
    ///     let (prices, quoted) = p.test_input::<(u32, i64)>();
    ///     let table = quoted.key_by(|quote| quote.0).table(|quote| Some(quote.1));
    ///     let orders_by_item = placed.key_by(|order| order.0);
    ///     let totals = orders_by_item.join_table(table).select(|order, price| order.1 * price);
    ///     Ok((orders, prices, totals.test_output()))
    /// })?;
    /// prices.push(Timestamp(1), (7, 10));
    /// orders.push(Timestamp(0), (8, 3));
    /// driver.settle()?;
    /// orders.push(Timestamp(2), (7, 3));
    /// driver.settle()?;
    /// assert_eq!(totals.take_values(), [30], "nothing has a price but item 7");
    /// # Ok(())
    /// # }
    /// ```
    pub fn join_table<V: State, S: Stage<Out = (K, Change<V>)>>(
        self,
        table: Changes<'p, K, V, S>,
    ) -> WithTable<'p, K, T, V, S> {
        WithTable { records: self, table, everywhere: false }
    }
}

/// A keyed stream and a table by the same key; wants a selection.
#[must_use = "a join does nothing until a selection and a sink follow"]
pub struct WithTable<'p, K, T, V, S> {
    records: Keyed<'p, K, T>,
    table: Changes<'p, K, V, S>,
    /// Every shard has the whole table.
    everywhere: bool,
}

impl<'p, K, T, V, S> WithTable<'p, K, T, V, S>
where
    K: Key,
    T: Clone + Stored,
    V: State,
    S: Stage<Out = (K, Change<V>)>,
{
    /// Records that stay where they are, and a table that every shard has.
    pub(crate) fn everywhere(records: Keyed<'p, K, T>, table: Changes<'p, K, V, S>) -> Self {
        Self { records, table, everywhere: true }
    }

    /// Inner join: the records whose key has a row.
    pub fn select<Out: 'static>(
        self,
        mut f: impl FnMut(&T, &V) -> Out + 'static,
    ) -> Stream<'p, impl Stage<Out = Out>> {
        self.joined(move |record, row| Some(f(record, row?)))
    }

    /// Left join: every record, with the row of its key, if there is one.
    pub fn select_left<Out: 'static>(
        self,
        mut f: impl FnMut(&T, Option<&V>) -> Out + 'static,
    ) -> Stream<'p, impl Stage<Out = Out>> {
        self.joined(move |record, row| Some(f(record, row)))
    }

    fn joined<Out: 'static>(
        self,
        select: impl FnMut(&T, Option<&V>) -> Option<Out> + 'static,
    ) -> Stream<'p, impl Stage<Out = Out>> {
        let both = match self.everywhere {
            true => self.records.connect_of(self.table.keyed_here(), Placement::Everywhere),
            false => self.records.connect(keyed(self.table)),
        };
        both.process(Meet { select, types: PhantomData })
    }
}

/// Keeps the row of each key.
struct Meet<K, T, V, F> {
    select: F,
    types: PhantomData<fn(K, T, V)>,
}

impl<K, T, V, Out, F> Process for Meet<K, T, V, F>
where
    K: Key,
    T: Clone + Stored,
    V: State,
    Out: 'static,
    F: FnMut(&T, Option<&V>) -> Option<Out> + 'static,
{
    type Key = K;
    type In = Either<T, (K, Change<V>)>;
    type State = V;
    type Out = Out;

    #[inline(always)]
    fn on_record(&mut self, record: Self::In, ctx: &mut KeyContext<'_, Self>) {
        match record {
            Either::Left(record) => {
                if let Some(out) = (self.select)(&record, ctx.get()) {
                    ctx.emit(out);
                }
            }
            Either::Right((_, change)) => match change.after() {
                Some(row) => *ctx.state() = *row,
                None => ctx.clear(),
            },
        }
    }
}
