//! Rows of one table meet the rows of another that they name.
//!
//! Three process functions, each where the state is that it needs:
//!
//! ```text
//!     left table -> ask ------------------------- told ---> settle -> joined table
//!                      \ asked (by named key)      answers /
//!                       -> answer <- right table   (by key)
//! ```
//!
//! - `ask.rs`, on the shard of the left row: when a row comes to name another key, that is a new
//!   question, with a number that no other question of this shard has;
//! - `answer.rs`, on the shard of the right row: who asks for it, and under which number. A change
//!   of the right row answers all of them, a slice at a time;
//! - `settle.rs`, on the shard of the left row again: both rows, and what was made of them.
//!
//! An answer to a question that a row no longer asks is known by its number, whatever way it took.
//! One that overtakes the news of its own question is known too, since questions are numbered in
//! the order in which their news comes: it waits for it. So nothing has to be remembered of rows
//! that are gone.

mod answer;
mod ask;
mod settle;

use std::marker::PhantomData;

use crate::dataflow::{Change, Keyed, Placement, Stage};
use crate::operators::Either;
use crate::state::{Key, State};
use crate::table::Changes;
use crate::table::join::keyed;
use answer::Answering;
use ask::Asking;
use settle::Settling;

impl<'p, K: Key, L: State, S: Stage<Out = (K, Change<L>)>> Changes<'p, K, L, S> {
    /// Joins each row with the row of another table whose key it names: a foreign key. `names` says
    /// which, or that it names none; it sees rows old and new, so it must always say the same of
    /// the same row. A selection must follow, which says what kind of join it is.
    ///
    /// The joined table has the keys of this one. A change of either row is a change of the joined
    /// one, and one that deletes a row that is needed deletes the joined one too. A change of a row
    /// that many name changes all of theirs, in slices of
    /// [`fire_max`](crate::Config::fire_max); other input of that shard waits meanwhile.
    ///
    /// A row that comes to name another key takes its place among the rows that name it, on
    /// whatever shard that is; until the answer is here the joined row stays as it was, and then
    /// becomes what it is in one change. Answers about what it named before count for nothing from
    /// then on. So each joined row is one that there was, and in the end it is that which there is.
    ///
    /// Holds both rows and the joined one by key, the right rows once more by their own, and a key
    /// and a number for each left row beside the row it names: at most
    /// [`keys_max`](crate::Config::keys_max) keys, and
    /// [`records_max`](crate::Config::records_max) rows that name others, on one shard.
    ///
    /// ```
    /// use millstream::testing::TestDriver;
    /// use millstream::{Change, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// let (mut driver, (orders, prices, totals)) = TestDriver::new(|p| {
    ///     let (orders, placed) = p.test_input::<(u32, (char, i64))>();
    ///     let (prices, quoted) = p.test_input::<(char, i64)>();
    ///     let orders_table = placed.key_by(|order| order.0).table(|order| Some(order.1));
    ///     let prices_table = quoted.key_by(|price| price.0).table(|price| Some(price.1));
    ///     let totals = orders_table
    ///         .join_foreign(prices_table, |_, (item, _)| Some(*item))
    ///         .select(|(_, count), price| count * price);
    ///     Ok((orders, prices, totals.to_changes().test_output()))
    /// })?;
    /// prices.push(Timestamp(0), ('a', 10));
    /// prices.push(Timestamp(0), ('b', 7));
    /// orders.push(Timestamp(0), (1, ('a', 2)));
    /// driver.settle()?;
    /// assert_eq!(totals.take_values(), [(1, Change::Insert(20))]);
    /// prices.push(Timestamp(1), ('a', 11));
    /// driver.settle()?;
    /// assert_eq!(totals.take_values(), [(1, Change::Update { old: 20, new: 22 })]);
    /// orders.push(Timestamp(2), (1, ('b', 2)));
    /// driver.settle()?;
    /// assert_eq!(totals.take_values(), [(1, Change::Update { old: 22, new: 14 })]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn join_foreign<F, R, O, N>(
        self,
        right: Changes<'p, F, R, O>,
        names: N,
    ) -> ForeignJoin<'p, K, L, F, R, N, S, O>
    where
        F: Key,
        R: State,
        O: Stage<Out = (F, Change<R>)>,
        N: Fn(&K, &L) -> Option<F> + 'static,
    {
        ForeignJoin { left: self, right, names }
    }
}

/// A table whose rows name rows of another; wants a selection.
///
/// A selection must always make the same of the same rows.
#[must_use = "a join does nothing until a selection and a sink follow"]
pub struct ForeignJoin<'p, K, L, F, R, N, S, O> {
    left: Changes<'p, K, L, S>,
    right: Changes<'p, F, R, O>,
    names: N,
}

impl<'p, K, L, F, R, N, S, O> ForeignJoin<'p, K, L, F, R, N, S, O>
where
    K: Key,
    L: State,
    F: Key,
    R: State,
    N: Fn(&K, &L) -> Option<F> + 'static,
    S: Stage<Out = (K, Change<L>)>,
    O: Stage<Out = (F, Change<R>)>,
{
    /// Inner join: the rows that name a row that is there.
    pub fn select<V: State + PartialEq>(
        self,
        f: impl Fn(&L, &R) -> V + 'static,
    ) -> Changes<'p, K, V, impl Stage<Out = (K, Change<V>)>> {
        self.joined(move |left, right| Some(f(left, right?)))
    }

    /// Left join: every row, with the one it names, if that is there.
    pub fn select_left<V: State + PartialEq>(
        self,
        f: impl Fn(&L, Option<&R>) -> V + 'static,
    ) -> Changes<'p, K, V, impl Stage<Out = (K, Change<V>)>> {
        self.joined(move |left, right| Some(f(left, right)))
    }

    fn joined<V: State + PartialEq>(
        self,
        select: impl Fn(&L, Option<&R>) -> Option<V> + 'static,
    ) -> Changes<'p, K, V, impl Stage<Out = (K, Change<V>)>> {
        let Self { left, right, names } = self;
        let config = left.stream.pipeline.config();
        let here = keyed(left).upstream.by_key().placed_by(Placement::ByKey, |_| ());
        let (asked, told) = here.process_with(|outputs| {
            let (told, news) = outputs.side("told");
            (Asking { names, asked: 0, told, types: PhantomData }, news)
        });
        let asked = asked.key_by(|asked| asked.named).connect(keyed(right));
        let answers = asked.process(Answering::new(&config)).key_by(|answer| answer.key);
        let both: Keyed<'p, K, Either<_, _>> =
            told.placed_by(Placement::ByKey, |told| told.key).connect(answers);
        Changes::new(both.process(Settling { select, heard: 0, types: PhantomData }), true)
    }
}
