//! Steps that keep nothing: each change carries all that they need.

use std::marker::PhantomData;

use crate::dataflow::{Change, Context, Operator, Record, Runnable, Saved, Stage, pass_on};
use crate::state::{Key, State};
use crate::table::Changes;

impl<'p, K: Key, V: State, S: Stage<Out = (K, Change<V>)>> Changes<'p, K, V, S> {
    /// Keeps the rows for which `keep` says yes. An update by which a row comes to be kept is an
    /// insert, one by which it no longer is a delete. `keep` sees rows old and new, so it must
    /// always say the same of the same row.
    ///
    /// ```
    /// use millstream::{io::IterSource, Change, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let numbers = [1, 2, 4, 5].map(|n| Record::new(Timestamp(0), n));
    ///     let want = [Change::Insert(2), Change::Update { old: 2, new: 4 }, Change::Delete(4)];
    ///     let mut want = want.into_iter();
    ///     p.source(IterSource::new(numbers.into_iter()))
    ///         .key_by(|_| ())
    ///         .table(|n| Some(*n))
    ///         .filter(|_, n| n % 2 == 0)
    ///         .to_changes()
    ///         .for_each(move |record| assert_eq!(Some(record.value.1), want.next()));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn filter(
        self,
        keep: impl Fn(&K, &V) -> bool + 'static,
    ) -> Changes<'p, K, V, impl Stage<Out = (K, Change<V>)>> {
        let f = move |key: &K, change: Change<V>| {
            change.filter_map(|row| keep(key, row).then_some(*row))
        };
        self.each_change("filter", f)
    }

    /// Turns each row into another. An update whose rows become equal is left out. `f` sees rows
    /// old and new, so it must always make the same of the same row.
    ///
    /// ```
    /// use millstream::{io::IterSource, Change, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let numbers = [10, 11, 27].map(|n| Record::new(Timestamp(0), n));
    ///     let mut want = [Change::Insert(1), Change::Update { old: 1, new: 2 }].into_iter();
    ///     p.source(IterSource::new(numbers.into_iter()))
    ///         .key_by(|_| ())
    ///         .table(|n| Some(*n))
    ///         .map_values(|_, n| n / 10)
    ///         .to_changes()
    ///         .for_each(move |record| assert_eq!(Some(record.value.1), want.next()));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn map_values<U: State + PartialEq>(
        self,
        f: impl Fn(&K, &V) -> U + 'static,
    ) -> Changes<'p, K, U, impl Stage<Out = (K, Change<U>)>> {
        let f = move |key: &K, change: Change<V>| {
            change.filter_map(|row| Some(f(key, row))).filter(Change::is_visible)
        };
        self.each_change("map_values", f)
    }

    fn each_change<U: State>(
        self,
        label: &'static str,
        f: impl Fn(&K, Change<V>) -> Option<Change<U>> + 'static,
    ) -> Changes<'p, K, U, impl Stage<Out = (K, Change<U>)>> {
        let types = PhantomData;
        let stream = self.stream.then(label, |stage| EachStage { stage, label, f, types });
        Changes::new(stream, self.by_hash)
    }
}

struct EachStage<S, F, U> {
    stage: S,
    label: &'static str,
    f: F,
    types: PhantomData<fn() -> U>,
}

impl<K, V, U, S, F> Stage for EachStage<S, F, U>
where
    K: Key,
    V: State,
    U: State,
    S: Stage<Out = (K, Change<V>)>,
    F: Fn(&K, Change<V>) -> Option<Change<U>> + 'static,
{
    type Out = (K, Change<U>);

    fn close<N: Operator<Self::Out>>(self, next: N) -> Box<dyn Runnable> {
        let Self { stage, label, f, types } = self;
        stage.close(Each { label, f, types, next })
    }
}

/// Makes another change of each, or none.
struct Each<F, U, N> {
    label: &'static str,
    f: F,
    types: PhantomData<fn() -> U>,
    next: N,
}

impl<K, V, U, F, N> Operator<(K, Change<V>)> for Each<F, U, N>
where
    K: Key,
    V: State,
    U: State,
    F: Fn(&K, Change<V>) -> Option<Change<U>> + 'static,
    N: Operator<(K, Change<U>)>,
{
    #[inline(always)]
    fn on_record(&mut self, record: Record<(K, Change<V>)>, cx: &mut Context) {
        let (key, change) = record.value;
        if let Some(change) = (self.f)(&key, change) {
            self.next.on_record(Record::new(record.at, (key, change)), cx);
        }
    }

    fn save(&self, out: &mut Saved) {
        out.unseen::<F>(self.label);
        self.next.save(out);
    }

    pass_on!(next: watermark, batch_end, room, checkpoint, inspect, load, bulk);
}
