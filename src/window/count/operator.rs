//! The operator behind windows by count.

use std::rc::Rc;

use crate::config::Config;
use crate::dataflow::{
    Batch, Checkpoint, Context, KeyColumn, Operator, Pressure, Record, Saved, Shown, Work,
};
use crate::error::Error;
use crate::metrics::{Counter, Share};
use crate::state::{Cursor, EachBulk, Key, Rescale, State, Stored, Table};
use crate::time::{Timestamp, Watermark};
use crate::window::{Aggregate, Span, Timing, Windowed};

/// How the records of a key make windows.
pub trait Counting<T, A: Aggregate<T>>: Stored {
    /// What is kept of a key.
    type State: State;

    /// A record arrives; says what the window yields that it completes.
    fn take(
        &mut self,
        aggregate: &A,
        state: &mut Self::State,
        record: &Record<T>,
    ) -> Option<(Span, A::Out)>;

    /// What the records since the last firing come to, and the time of the last of them.
    fn rest(&self, aggregate: &A, state: &Self::State) -> Option<(Timestamp, Span, A::Out)>;

    /// Whether a key with this state need not be kept.
    fn is_spent(state: &Self::State) -> bool;

    /// Records held, over all keys.
    fn held(&self) -> usize;

    /// Takes over what is kept of a key, from where it is in what another shard held.
    fn take_over(&mut self, _other: &Self, _state: &mut Self::State) {}
}

/// The shortest span that holds the first and the last record to arrive.
#[inline]
pub fn between(first: Timestamp, last: Timestamp) -> Span {
    Span { start: first.min(last), end: first.max(last).offset(1) }
}

/// What the operator is told.
pub struct Settings {
    incomplete: bool,
    fire_max: usize,
    keys_max: usize,
    records_max: usize,
    batch_max: usize,
    hash_seed: u64,
}

impl Settings {
    /// From the pipeline's config; `incomplete` windows fire when the input ends.
    pub fn new(config: &Config, incomplete: bool) -> Self {
        let Config { fire_max, keys_max, records_max, batch_max, hash_seed, .. } = *config;
        Self { incomplete, fire_max, keys_max, records_max, batch_max, hash_seed }
    }
}

/// The end of the input, while incomplete windows fire.
struct Ending {
    watermark: Watermark,
    ingress: Timestamp,
    cursor: Cursor,
}

/// Keyed windows by count.
///
/// A record fires at most one window, so records pass through a batch at a time and nothing has to
/// wait, but for what is left when the input ends.
pub struct CountOperator<K, T, A: Aggregate<T>, C: Counting<T, A>, N> {
    settings: Settings,
    counting: C,
    aggregate: A,
    keys: Rc<dyn KeyColumn<K, T>>,
    /// The keys of the batch in hand.
    column: Vec<K>,
    /// Those of them whose window has fired and is spent, unless a new one has begun.
    spent: Vec<K>,
    table: Table<K, C::State>,
    ending: Option<Ending>,
    held_keys: Share,
    next: N,
}

impl<K, T, A, C, N> CountOperator<K, T, A, C, N>
where
    K: Key,
    T: 'static,
    A: Aggregate<T>,
    C: Counting<T, A>,
    N: Operator<Windowed<K, A::Out>>,
{
    /// An operator without any window yet.
    pub fn new(
        settings: Settings,
        counting: C,
        aggregate: A,
        keys: Rc<dyn KeyColumn<K, T>>,
        next: N,
    ) -> Self {
        let [column, spent] = [0; 2].map(|_| Vec::with_capacity(settings.batch_max));
        let table = Table::new(settings.hash_seed);
        let (ending, held_keys) = (None, Share::of(Counter::Keys));
        Self { settings, counting, aggregate, keys, column, spent, table, ending, held_keys, next }
    }

    /// Takes over the windows of the keys that are this shard's now.
    fn take_share(&mut self, to: &Rescale, from: &mut Saved) {
        let tables: Vec<(usize, Table<K, C::State>)> = from.take_shares("count_window");
        let others: Vec<(usize, C)> = from.take_shares_of("count_window", |_, _| ());
        let Self { table, counting, .. } = self;
        for ((_, of_it), (_, other)) in tables.iter().zip(&others) {
            let take_over = |_, state: &mut C::State| counting.take_over(other, state);
            table.take_over(of_it, |key| to.owns(key), take_over);
        }
    }

    fn take(&mut self, records: &[Record<T>], cx: &mut Context) {
        self.keys.extract(records, &mut self.column);
        let Self { counting, aggregate, column, spent, table, next, .. } = self;
        let (mut keys, mut fired) = (column.iter(), 0);
        table.update_batch(records, column, |state, record| {
            let Some(&key) = keys.next() else { return };
            if let Some((span, value)) = counting.take(aggregate, state, record) {
                fired += 1;
                if C::is_spent(state) {
                    spent.push(key);
                }
                next.on_record(result(record.at, key, span, value), cx);
            }
        });
        cx.count(Counter::WindowsFired, fired);
        for key in spent.drain(..) {
            if table.get(key).is_some_and(C::is_spent) {
                table.remove(key);
            }
        }
        self.held_keys.show(&cx.counters, self.table.len() as u64);
        self.check(cx);
    }

    fn check(&self, cx: &mut Context) {
        let Settings { keys_max, records_max, .. } = self.settings;
        let limits = [
            (self.table.len(), "keys", keys_max, "keys_max"),
            (self.counting.held(), "records in windows", records_max, "records_max"),
        ];
        for (held, what, limit, setting) in limits {
            if held > limit {
                cx.fail(Error::Limit { operator: "count_window", what, limit, setting });
            }
        }
    }

    /// The input has ended: fires what is incomplete, some keys at a time, while there is room.
    fn end(&mut self, cx: &mut Context) -> Work {
        let Self { settings, counting, aggregate, table, ending, next, .. } = self;
        let Some(Ending { watermark, ingress, cursor }) = ending else { return Work::NONE };
        if next.pressure() == Pressure::Full {
            return Work::NONE;
        }
        cx.ingress = *ingress;
        let mut fired = 0;
        let budget = settings.fire_max.min(settings.batch_max);
        // Nothing is left of a key: whoever restores it is told the end again.
        let done = table.drain(cursor, budget, |key, state| {
            if let Some((at, span, value)) = counting.rest(aggregate, state) {
                fired += 1;
                next.on_record(result(at, key, span, value), cx);
            }
        });
        cx.count(Counter::WindowsFired, fired);
        if done {
            next.on_watermark(*watermark, cx);
            *ending = None;
        }
        next.on_batch_end(cx);
        Work(budget as u64)
    }
}

#[inline]
fn result<K, R>(at: Timestamp, key: K, span: Span, value: R) -> Record<Windowed<K, R>> {
    Record::new(at, Windowed { key, span, value, timing: Timing::OnTime })
}

impl<K, T, A, C, N> Operator<T> for CountOperator<K, T, A, C, N>
where
    K: Key,
    T: 'static,
    A: Aggregate<T>,
    C: Counting<T, A>,
    N: Operator<Windowed<K, A::Out>>,
{
    fn on_record(&mut self, record: Record<T>, cx: &mut Context) {
        self.take(&[record], cx);
    }

    fn on_batch(&mut self, batch: Batch<'_, T>, cx: &mut Context) {
        self.take(batch.as_slice(), cx);
        cx.reached_state(batch.len() as u64);
    }

    fn on_watermark(&mut self, watermark: Watermark, cx: &mut Context) {
        if watermark.is_end() && self.settings.incomplete {
            let (ingress, cursor) = (cx.ingress, Cursor::default());
            self.ending = Some(Ending { watermark, ingress, cursor });
        } else {
            self.next.on_watermark(watermark, cx);
        }
    }

    fn on_batch_end(&mut self, cx: &mut Context) {
        self.next.on_batch_end(cx);
        self.end(cx);
    }

    fn resume(&mut self, cx: &mut Context) -> Work {
        let mut work = self.next.resume(cx);
        work += self.end(cx);
        work
    }

    #[inline]
    fn pressure(&self) -> Pressure {
        let here = if self.ending.is_some() { Pressure::Pending } else { Pressure::Clear };
        here.max(self.next.pressure())
    }

    /// What each key would yield if the input ended now.
    fn inspect(&self, each: &mut dyn FnMut(Shown<'_>)) {
        self.table.visit(&mut Cursor::default(), usize::MAX, |key, state| {
            if let Some((_, span, value)) = self.counting.rest(&self.aggregate, state) {
                each(Shown::in_slice("count_window", (span.start, span.end), &key, &value));
            }
        });
        self.next.inspect(each);
    }

    fn on_checkpoint(&mut self, checkpoint: Checkpoint, cx: &mut Context) {
        self.next.on_checkpoint(checkpoint, cx);
    }

    fn save(&self, out: &mut Saved) {
        out.at_rest("count_window", self.ending.is_none(), "fires what was left over");
        out.put("count_window", &self.table);
        out.put("count_window", &self.counting);
        self.next.save(out);
    }

    fn load(&mut self, from: &mut Saved) {
        match from.shares() {
            Some(to) => self.take_share(&to, from),
            None => {
                from.take("count_window", &mut self.table);
                from.take("count_window", &mut self.counting);
            }
        }
        self.next.load(from);
    }

    fn bulk(&mut self, each: &mut EachBulk<'_>) {
        each(&mut self.table);
        self.next.bulk(each);
    }
}
