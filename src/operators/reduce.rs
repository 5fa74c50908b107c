//! A running value by key.

use std::rc::Rc;

use crate::dataflow::{
    Batch, Context, KeyColumn, Keyed, Operator, Record, Runnable, Saved, Shown, Stage, Stream,
    pass_on,
};
use crate::metrics::{Counter, Share};
use crate::operators::expiring::{Expiring, term_of};
use crate::state::{Cursor, EachBulk, Key, Lease, State, Sweep, TOGETHER, Table, Term, Ttl};
use crate::time::{Timestamp, Watermark};

impl<'p, K: Key, T: State> Keyed<'p, K, T> {
    /// Folds each record into the running value of its key and emits that value. The first record
    /// of a key is its first value. A key is kept for ever; see [`ttl`](Self::ttl).
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
        reduced(self, None, fold)
    }
}

impl<'p, K: Key, T: State> Expiring<'p, K, T> {
    /// Like [`Keyed::reduce`]; a key whose value has expired begins anew with its next record.
    pub fn reduce(
        self,
        fold: impl FnMut(&mut T, T) + 'static,
    ) -> Stream<'p, impl Stage<Out = (K, T)>> {
        reduced(self.keyed, Some(self.ttl), fold)
    }
}

fn reduced<'p, K: Key, T: State, F: FnMut(&mut T, T) + 'static>(
    keyed: Keyed<'p, K, T>,
    ttl: Option<Ttl>,
    fold: F,
) -> Stream<'p, impl Stage<Out = (K, T)>> {
    let Keyed { upstream, keys, .. } = keyed;
    let stream = upstream.by_key();
    let config = stream.pipeline.config();
    let running = Running {
        fold,
        keys,
        column: Vec::with_capacity(config.batch_max),
        table: Table::new(config.hash_seed),
        ttl,
        term: term_of(ttl, stream.pipeline),
        sweep: Sweep::default(),
        watermark: Watermark::START,
        keys_max: config.keys_max,
        held_keys: Share::of(Counter::Keys),
    };
    stream.then("reduce", move |stage| ReduceStage { stage, running })
}

/// What the operator keeps.
struct Running<K, T: State, F> {
    fold: F,
    keys: Rc<dyn KeyColumn<K, T>>,
    /// The keys of the batch in hand.
    column: Vec<K>,
    table: Table<K, Lease<T>>,
    ttl: Option<Ttl>,
    term: Term,
    sweep: Sweep,
    watermark: Watermark,
    keys_max: usize,
    held_keys: Share,
}

struct ReduceStage<S, K, T: State, F> {
    stage: S,
    running: Running<K, T, F>,
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
        self.stage.close(Reduce { running: self.running, next })
    }
}

struct Reduce<K, T: State, F, N> {
    running: Running<K, T, F>,
    next: N,
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
        self.running.take_back(batch.len(), cx);
        self.running.held_keys.show(&cx.counters, self.running.table.len() as u64);
    }

    fn inspect(&self, each: &mut dyn FnMut(Shown<'_>)) {
        self.running.table.visit(&mut Cursor::default(), usize::MAX, |key, lease| {
            if let Some(value) = lease.shown(self.running.watermark.at) {
                each(Shown::value("reduce", &key, value));
            }
        });
        self.next.inspect(each);
    }

    #[inline(always)]
    fn on_watermark(&mut self, watermark: Watermark, cx: &mut Context) {
        self.running.watermark = watermark;
        self.next.on_watermark(watermark, cx);
    }

    fn save(&self, out: &mut Saved) {
        let Running { table, sweep, watermark, .. } = &self.running;
        out.unseen::<F>("reduce");
        out.put("reduce", table);
        out.put("reduce", sweep);
        out.put("reduce", watermark);
        self.next.save(out);
    }

    fn load(&mut self, from: &mut Saved) {
        let Running { table, sweep, watermark, .. } = &mut self.running;
        from.rescale("reduce", table);
        from.take_unless_rescaled("reduce", sweep);
        from.rescale_watermark("reduce", watermark);
        self.next.load(from);
    }

    fn bulk(&mut self, each: &mut EachBulk<'_>) {
        each(&mut self.running.table);
        self.next.bulk(each);
    }

    pass_on!(next: batch_end, room, checkpoint);
}

impl<K, T, F, N> Reduce<K, T, F, N>
where
    K: Key,
    T: State,
    F: FnMut(&mut T, T) + 'static,
    N: Operator<(K, T)>,
{
    fn on_records(&mut self, records: &[Record<T>], cx: &mut Context) {
        let Self { running, next } = self;
        running.keys.extract(records, &mut running.column);
        for (place, record) in records.iter().enumerate() {
            if place % TOGETHER == 0 {
                let ahead = running.column.len().min(place + TOGETHER);
                running.table.warm(&running.column[place..ahead]);
            }
            let key = running.column[place];
            let value = running.update(key, record, cx.now);
            next.on_record(Record::new(record.at, (key, value)), cx);
        }
        if running.table.len() > running.keys_max {
            cx.fail(crate::error::Error::Limit {
                operator: "reduce",
                what: "keys",
                limit: running.keys_max,
                setting: "keys_max",
            });
        }
    }
}

impl<K: Key, T: State, F: FnMut(&mut T, T)> Running<K, T, F> {
    #[inline(always)]
    fn update(&mut self, key: K, record: &Record<T>, now: Timestamp) -> T {
        let now = match self.ttl {
            Some(ttl) if ttl.is_by_processing_time() => now,
            _ => record.at.max(self.watermark.at),
        };
        let lease = self.table.entry(key);
        match lease.get_mut(now, self.term) {
            Some(value) => {
                (self.fold)(value, record.value);
                *value
            }
            None => {
                lease.set(now, self.term, record.value);
                record.value
            }
        }
    }

    /// Takes back places of expired keys.
    fn take_back(&mut self, records: usize, cx: &Context) {
        let Some(ttl) = self.ttl else { return };
        let now = if ttl.is_by_processing_time() { cx.now } else { self.watermark.at };
        self.sweep.pay(records, &mut self.table, |_, lease| lease.is_live(now));
    }
}
