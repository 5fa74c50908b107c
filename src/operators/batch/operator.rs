//! The operator behind batches.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::dataflow::{Batch, Checkpoint, Context, Operator, Pressure, Record, Saved, Shown, Work};
use crate::operators::batch::batched::{Batched, Pool};
use crate::operators::batch::gather::Gather;
use crate::state::{EachBulk, Rescale, Stored};
use crate::time::{Timestamp, Watermark};

/// What the operator is told.
pub struct Settings {
    /// Records that come for a batch at most.
    pub records_max: usize,
    /// How long the first of them waits at most, in nanoseconds of processing time.
    pub wait_ns: i64,
    /// What is gathered for a batch that is due, in one slice of work.
    pub fire_max: usize,
    /// Records that arrive at once at most.
    pub batch_max: usize,
}

/// What there is to know of the batch that is being gathered.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Open {
    /// Records that have come for it.
    count: usize,
    /// When the first of them has waited for long enough.
    due: Timestamp,
    /// The ingress of the first of them.
    ingress: Timestamp,
    /// The latest time of them.
    latest: Timestamp,
}

/// Gathers records and lets go of them by the batch.
///
/// A watermark waits while a batch is open, since its records are before it. What arrives waits in
/// turn while a batch that is due is put together in slices.
pub struct BatchOperator<T, G, N> {
    settings: Settings,
    gather: G,
    pool: Pool<T>,
    records: Vec<Record<T>>,
    open: Option<Open>,
    /// The batch is due, and not all of it is in place.
    is_filling: bool,
    waiting: VecDeque<Record<T>>,
    watermark: Option<Watermark>,
    /// The oldest ingress of the batches that went downstream since the last end of a batch there.
    published: Option<Timestamp>,
    next: N,
}

impl<T, G, N> BatchOperator<T, G, N>
where
    T: Clone + Stored,
    G: Gather<T>,
    N: Operator<Batched<T>>,
{
    /// An operator that has gathered nothing yet.
    pub fn new(settings: Settings, gather: G, pool: Pool<T>, next: N) -> Self {
        let waiting = VecDeque::with_capacity(settings.batch_max);
        let records = pool.take();
        Self {
            settings,
            gather,
            pool,
            records,
            open: None,
            is_filling: false,
            waiting,
            watermark: None,
            published: None,
            next,
        }
    }

    /// Goes on with the open batch of a shard that there was. If there are several, which are fewer
    /// shards now, the records of the others wait to come into it. The watermark is told anew.
    fn follow(&mut self, to: &Rescale, from: &mut Saved) {
        let records: Vec<Vec<Record<T>>> = from.take_all("batch");
        let open: Vec<Option<Open>> = from.take_all("batch");
        from.take_unless_rescaled("batch", &mut self.watermark);
        let batches = records.into_iter().zip(open).enumerate();
        for (_, (records, open)) in batches.filter(|(shard, _)| to.follows(*shard)) {
            match self.open {
                None => (self.records, self.open) = (records, open),
                Some(_) => self.waiting.extend(records),
            }
        }
    }

    /// A record comes for the batch.
    #[inline]
    fn add(&mut self, record: Record<T>, cx: &Context) {
        let (now, ingress, at) = (cx.now, cx.ingress, record.at);
        let wait_ns = self.settings.wait_ns;
        let open = self.open.get_or_insert_with(|| Open {
            count: 0,
            due: now.offset(wait_ns),
            ingress,
            latest: at,
        });
        open.count += 1;
        open.latest = open.latest.max(at);
        self.gather.add(&mut self.records, record);
    }

    /// Whether as many records have come as there may.
    #[inline(always)]
    fn is_full(&self) -> bool {
        self.open.is_some_and(|open| open.count >= self.settings.records_max)
    }

    /// Whether the batch is to go on now.
    fn is_due(&self, now: Timestamp) -> bool {
        let is_last = self.watermark.is_some_and(Watermark::is_end);
        self.is_full() || self.open.is_some_and(|open| open.due <= now || is_last)
    }

    /// Puts together what is due, a slice of it, and lets it go; the caller has seen that there is
    /// room. Returns whether it has gone.
    fn publish(&mut self, cx: &mut Context) -> bool {
        let Some(open) = self.open else { return true };
        self.is_filling = !self.gather.fill(&mut self.records, self.settings.fire_max);
        if self.is_filling {
            return false;
        }
        let records = std::mem::replace(&mut self.records, self.pool.take());
        self.gather.begin();
        self.open = None;
        let ingress = self.published.map_or(open.ingress, |oldest| oldest.min(open.ingress));
        self.published = Some(ingress);
        self.next.on_record(Record::new(open.latest, self.pool.batched(records)), cx);
        self.tell(cx);
        true
    }

    /// Nothing is gathered: tells the watermark that has waited, unless records wait before it.
    #[inline]
    fn tell(&mut self, cx: &mut Context) {
        if self.waiting.is_empty()
            && let Some(watermark) = self.watermark.take()
        {
            self.next.on_watermark(watermark, cx);
        }
    }

    /// Goes on with a batch that is due and with what waits behind it, while there is room.
    fn go_on(&mut self, cx: &mut Context) -> Work {
        let is_due = self.is_due(cx.now);
        if !is_due && self.waiting.is_empty() || self.next.pressure() == Pressure::Full {
            return Work::NONE;
        }
        let mut work = Work::ONE;
        if is_due && !self.publish(cx) {
            return Work(self.settings.fire_max as u64);
        }
        while !self.is_full()
            && let Some(record) = self.waiting.pop_front()
        {
            self.add(record, cx);
            work += Work::ONE;
        }
        self.check(cx);
        self.end_batch(cx);
        work
    }

    /// Ends a batch downstream, whose latency is that of the oldest record in it.
    fn end_batch(&mut self, cx: &mut Context) {
        if let Some(ingress) = self.published.take() {
            cx.ingress = ingress;
        }
        self.next.on_batch_end(cx);
    }

    fn check(&self, cx: &mut Context) {
        if let Some(error) = self.gather.check() {
            cx.fail(error);
        }
    }

    /// Whether what arrives has to wait for a batch that is put together.
    #[inline(always)]
    fn holds(&self) -> bool {
        self.is_filling || self.is_full() || !self.waiting.is_empty()
    }
}

impl<T, G, N> Operator<T> for BatchOperator<T, G, N>
where
    T: Clone + Stored,
    G: Gather<T>,
    N: Operator<Batched<T>>,
{
    fn on_record(&mut self, record: Record<T>, cx: &mut Context) {
        if self.holds() {
            self.waiting.push_back(record);
            return;
        }
        self.add(record, cx);
        // Each of the records that arrive at once may fill a batch: there is room for so many.
        if self.is_full() && !G::IN_SLICES {
            self.publish(cx);
        }
    }

    fn on_batch(&mut self, batch: Batch<'_, T>, cx: &mut Context) {
        batch.for_each(|record| self.on_record(record, cx));
        self.check(cx);
    }

    fn on_watermark(&mut self, watermark: Watermark, cx: &mut Context) {
        self.watermark = Some(watermark);
        if self.open.is_none() {
            self.tell(cx);
        }
    }

    fn on_batch_end(&mut self, cx: &mut Context) {
        self.end_batch(cx);
        self.go_on(cx);
    }

    fn resume(&mut self, cx: &mut Context) -> Work {
        let mut work = self.next.resume(cx);
        work += self.go_on(cx);
        work
    }

    #[inline]
    fn pressure(&self) -> Pressure {
        let here = match () {
            () if self.holds() => Pressure::Full,
            () if self.open.is_some() || self.watermark.is_some() => Pressure::Pending,
            () => Pressure::Clear,
        };
        here.max(self.next.pressure())
    }

    fn inspect(&self, each: &mut dyn FnMut(Shown<'_>)) {
        self.gather.inspect(each);
        self.next.inspect(each);
    }

    fn on_checkpoint(&mut self, checkpoint: Checkpoint, cx: &mut Context) {
        self.next.on_checkpoint(checkpoint, cx);
    }

    fn save(&self, out: &mut Saved) {
        out.at_rest("batch", !self.holds(), "puts a batch together");
        out.put("batch", &self.records);
        out.put("batch", &self.open);
        out.put("batch", &self.watermark);
        self.gather.save(out);
        self.next.save(out);
    }

    fn load(&mut self, from: &mut Saved) {
        match from.shares() {
            Some(to) => self.follow(&to, from),
            None => {
                from.take("batch", &mut self.records);
                from.take("batch", &mut self.open);
                from.take("batch", &mut self.watermark);
            }
        }
        self.gather.load(&self.records, from);
        self.next.load(from);
    }

    fn bulk(&mut self, each: &mut EachBulk<'_>) {
        self.next.bulk(each);
    }
}
