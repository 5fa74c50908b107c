//! A running value by key.

use std::marker::PhantomData;
use std::rc::Rc;

use crate::dataflow::{
    Batch, Context, KeyColumn, Keyed, Operator, Record, Runnable, Shown, Stage, Stream, pass_on,
};
use crate::state::{Cursor, Key, State, Table};

impl<'p, K: Key, T: State> Keyed<'p, K, T> {
    /// Folds each record into the running value of its key and emits that value. The first record
    /// of a key is its first value.
    ///
    /// ```
    /// use millstream::{io::IterSource, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     p.source(IterSource::new([3, 1, 2].map(|n| Record::new(Timestamp(0), n)).into_iter()))
    ///         .key_by(|_| 0u8)
    ///         .reduce(|most, n| *most = n.max(*most))
    ///         .for_each(|record| assert_eq!(record.value, (0, 3)));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn reduce(
        self,
        fold: impl FnMut(&mut T, T) + 'static,
    ) -> Stream<'p, impl Stage<Out = (K, T)>> {
        let Self { upstream, keys, .. } = self;
        let stream = upstream.by_key();
        let config = stream.pipeline.config();
        let table = Table::new(config.hash_seed);
        let (batch_max, keys_max) = (config.batch_max, config.keys_max);
        stream.then("reduce", move |stage| ReduceStage {
            stage,
            fold,
            keys,
            table,
            batch_max,
            keys_max,
        })
    }
}

/// The state of one key: `None` before its first record.
#[derive(Clone, Copy)]
struct Running<T>(Option<T>);

impl<T> Default for Running<T> {
    fn default() -> Self {
        Self(None)
    }
}

struct ReduceStage<S, K, T: State, F> {
    stage: S,
    fold: F,
    keys: Rc<dyn KeyColumn<K, T>>,
    table: Table<K, Running<T>>,
    batch_max: usize,
    keys_max: usize,
}

impl<S, K, T, F> Stage for ReduceStage<S, K, T, F>
where
    S: Stage<Out = T>,
    K: Key,
    T: State,
    F: FnMut(&mut T, T) + 'static,
{
    type Out = (K, T);

    fn close<N: Operator<(K, T)>>(self, next: N) -> Box<dyn Runnable> {
        self.stage.close(Reduce {
            fold: self.fold,
            keys: self.keys,
            column: Vec::with_capacity(self.batch_max),
            table: self.table,
            keys_max: self.keys_max,
            next,
            types: PhantomData,
        })
    }
}

struct Reduce<K, T: State, F, N> {
    fold: F,
    keys: Rc<dyn KeyColumn<K, T>>,
    /// The keys of the batch in hand.
    column: Vec<K>,
    table: Table<K, Running<T>>,
    keys_max: usize,
    next: N,
    types: PhantomData<T>,
}

impl<K, T, F, N> Operator<T> for Reduce<K, T, F, N>
where
    K: Key,
    T: State,
    F: FnMut(&mut T, T) + 'static,
    N: Operator<(K, T)>,
{
    fn on_record(&mut self, record: Record<T>, cx: &mut Context) {
        self.on_records(&[record], cx);
    }

    fn on_batch(&mut self, batch: Batch<'_, T>, cx: &mut Context) {
        self.on_records(batch.as_slice(), cx);
        cx.reached_state(batch.len() as u64);
    }

    fn inspect(&self, each: &mut dyn FnMut(Shown<'_>)) {
        self.table.visit(&mut Cursor::default(), usize::MAX, |key, running| {
            if let Some(value) = &running.0 {
                each(Shown::value("reduce", &key, value));
            }
        });
        self.next.inspect(each);
    }

    pass_on!(next: watermark, batch_end, room);
}

impl<K, T, F, N> Reduce<K, T, F, N>
where
    K: Key,
    T: State,
    F: FnMut(&mut T, T) + 'static,
    N: Operator<(K, T)>,
{
    fn on_records(&mut self, records: &[Record<T>], cx: &mut Context) {
        self.keys.extract(records, &mut self.column);
        let Self { column, table, fold, next, .. } = self;
        for (record, key) in records.iter().zip(column.iter()) {
            let running = table.entry(*key);
            let value = match &mut running.0 {
                Some(value) => {
                    fold(value, record.value);
                    *value
                }
                first => *first.insert(record.value),
            };
            next.on_record(Record::new(record.at, (*key, value)), cx);
        }
        if table.len() > self.keys_max {
            cx.fail(crate::error::Error::Limit {
                operator: "reduce",
                what: "keys",
                limit: self.keys_max,
                setting: "keys_max",
            });
        }
    }
}
