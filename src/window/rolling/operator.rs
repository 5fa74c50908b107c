//! The operator behind windows that end at each record.

use std::rc::Rc;

use crate::dataflow::Pace;
use crate::dataflow::{
    Batch, Checkpoint, Context, KeyColumn, Operator, Pressure, Record, Saved, Shown, Work,
};
use crate::error::Error;
use crate::exchange::LateRecords;
use crate::exchange::Side;
use crate::metrics::{Counter, Share};
use crate::state::{EachBulk, Key, Rescaled};
use crate::time::Watermark;
use crate::window::rolling::state::{Did, Due, Held, Settings};
use crate::window::{Aggregate, Timing, Windowed};

/// Keyed windows that end at each record.
pub struct RollingOperator<K: Key, T, A: Aggregate<T>, N> {
    settings: Settings,
    aggregate: A,
    keys: Rc<dyn KeyColumn<K, T>>,
    /// The keys of the batch in hand.
    column: Vec<K>,
    held: Held<K, A::Acc>,
    pace: Pace,
    late: LateRecords<T>,
    held_keys: Share,
    next: N,
}

impl<K, T, A, N> RollingOperator<K, T, A, N>
where
    K: Key,
    T: 'static,
    A: Aggregate<T>,
    N: Operator<Windowed<K, A::Out>>,
{
    /// An operator that holds nothing yet.
    pub fn new(
        settings: Settings,
        aggregate: A,
        keys: Rc<dyn KeyColumn<K, T>>,
        late: Option<Side<T>>,
        next: N,
    ) -> Self {
        let column = Vec::with_capacity(settings.batch_max);
        let held = Held::new(&settings);
        let (pace, late) = (Pace::new(), LateRecords::new(late, settings.batch_max));
        let held_keys = Share::of(Counter::Keys);
        Self { settings, aggregate, keys, column, held, pace, late, held_keys, next }
    }

    /// Feeds, drops and answers what the watermark has passed, a slice of it, while there is room.
    fn fire(&mut self, cx: &mut Context) -> Work {
        let Self { settings, aggregate, held, pace, late, next, .. } = self;
        let finish = |Due { key, at, span, acc }| {
            let (value, timing) = (aggregate.finish(&acc), Timing::OnTime);
            Record::new(at, Windowed { key, span, value, timing })
        };
        let watermark = pace.target();
        let work = pace.fire([settings.fire_max, settings.batch_max], next, cx, |next, cx| {
            match held.act(aggregate, watermark) {
                Did::Nothing => return false,
                Did::Moved => {}
                Did::Answered(due) => {
                    cx.count(Counter::WindowsFired, 1);
                    next.on_record(finish(due), cx);
                }
            }
            true
        });
        if !pace.is_pending() && !work.is_none() {
            self.held_keys.show(&cx.counters, held.keys() as u64);
            late.on_watermark(watermark);
            late.on_batch_end(cx);
        }
        self.check(cx);
        work
    }

    fn check(&self, cx: &mut Context) {
        let Settings { keys_max, records_max, .. } = self.settings;
        let limits = [
            (self.held.keys(), "keys", keys_max, "keys_max"),
            (self.held.records(), "records in windows", records_max, "records_max"),
        ];
        for (held, what, limit, setting) in limits {
            if held > limit {
                cx.fail(Error::Limit { operator: "rolling", what, limit, setting });
            }
        }
    }

    fn publish(&mut self, cx: &mut Context) {
        self.late.on_batch_end(cx);
        self.next.on_batch_end(cx);
    }
}

impl<K, T, A, N> Operator<T> for RollingOperator<K, T, A, N>
where
    K: Key,
    T: 'static,
    A: Aggregate<T>,
    N: Operator<Windowed<K, A::Out>>,
{
    fn on_record(&mut self, record: Record<T>, cx: &mut Context) {
        self.on_batch(vec![record].drain(..), cx); // tidy: edges deliver batches; this is for tests only
    }

    fn on_batch(&mut self, batch: Batch<'_, T>, cx: &mut Context) {
        let count = batch.len() as u64;
        self.pace.on_batch();
        let mut column = std::mem::take(&mut self.column);
        self.keys.extract(batch.as_slice(), &mut column);
        let passed = self.pace.target().at;
        for (record, key) in batch.zip(&column) {
            if record.at < passed {
                self.late.count_and_send(record, cx);
                continue;
            }
            let mut acc = A::Acc::default();
            self.aggregate.accumulate(&mut acc, record.at, &record.value);
            self.held.push(record.at, *key, acc);
        }
        self.column = column;
        cx.reached_state(count);
        self.check(cx);
    }

    fn on_watermark(&mut self, watermark: Watermark, cx: &mut Context) {
        self.pace.on_watermark(watermark, cx);
    }

    fn on_batch_end(&mut self, cx: &mut Context) {
        self.fire(cx);
        self.publish(cx);
    }

    fn resume(&mut self, cx: &mut Context) -> Work {
        let mut work = self.next.resume(cx);
        work += self.late.resume(cx);
        work += self.fire(cx);
        work
    }

    fn inspect(&self, each: &mut dyn FnMut(Shown<'_>)) {
        self.held.visit(&self.aggregate, |key, acc| {
            each(Shown::value("rolling", &key, &self.aggregate.finish(&acc)));
        });
        self.next.inspect(each);
    }

    fn on_checkpoint(&mut self, checkpoint: Checkpoint, cx: &mut Context) {
        self.late.on_checkpoint(checkpoint, cx);
        self.next.on_checkpoint(checkpoint, cx);
    }

    fn save(&self, out: &mut Saved) {
        out.at_rest("rolling", !self.pace.is_pending(), "fires");
        out.put("rolling", &self.held);
        out.put("rolling", &self.pace);
        self.late.save(out);
        self.next.save(out);
    }

    fn load(&mut self, from: &mut Saved) {
        from.rescale("rolling", &mut self.held);
        from.rescale_alike("rolling", &mut self.pace);
        self.late.load(from);
        self.next.load(from);
    }

    fn bulk(&mut self, each: &mut EachBulk<'_>) {
        self.held.bulk(each);
        self.next.bulk(each);
    }

    #[inline]
    fn pressure(&self) -> Pressure {
        self.pace.pressure().max(self.late.pressure()).max(self.next.pressure())
    }
}
