//! What happens to a record before it crosses: those of hot keys are aggregated here.

use std::rc::Rc;

use crate::dataflow::{BETWEEN_LOOKS, Checkpoint, Progress};
use crate::dataflow::{Batch, Context, KeyColumn, Operator, Pressure, Record, Saved, Shown, Work};
use crate::metrics::{Counter, Share};
use crate::state::{Cursor, EachBulk, Key, Panes, Rescale, Rescaled};
use crate::time::{Timestamp, Watermark};
use crate::window::hot::detector::{Detector, Known};
use crate::window::hot::split::{Part, Split};
use crate::window::operator::Settings;
use crate::window::{Aggregate, Stretch};

/// Parts that are held at most, over all hot keys and open slices; where there is no room for one
/// more, records go straight to the owner.
const PARTS_MAX: usize = 1 << 10;

/// Aggregates the records of hot keys by slice, and sends a slice's parts when the watermark has
/// passed its end, before it tells the watermark. All other records go on as they come.
///
/// Once a part of a key and slice has begun, every record of both goes into it, until it is sent:
/// so the owner combines what came in the order in which it came. A record behind its slice goes
/// straight to the owner, who alone decides what is late. Before an input falls idle all parts are
/// sent, because nobody waits for it then.
pub struct Splitter<K: Key, T, A: Aggregate<T>, N> {
    settings: Settings,
    aggregate: Rc<A>,
    keys: Rc<dyn KeyColumn<K, T>>,
    /// The keys of the batch in hand.
    column: Vec<K>,
    detector: Detector<K>,
    parts: Panes<K, A::Acc>,
    /// Parts held over all open slices.
    held: usize,
    /// How far event time has come here.
    watermark: Watermark,
    /// How far it has come downstream.
    progress: Progress,
    /// How far the parts of the first slice have been sent.
    cursor: Cursor,
    /// Records that went into parts since the batch began.
    taken: u64,
    hot_keys: Share,
    next: N,
}

impl<K, T, A, N> Splitter<K, T, A, N>
where
    K: Key,
    T: 'static,
    A: Aggregate<T>,
    N: Operator<Split<K, T, A::Acc>>,
{
    /// No key is hot yet.
    pub fn new(
        settings: Settings,
        aggregate: Rc<A>,
        keys: Rc<dyn KeyColumn<K, T>>,
        detector: Detector<K>,
        next: N,
    ) -> Self {
        Self {
            aggregate,
            keys,
            column: Vec::with_capacity(settings.batch_max),
            detector,
            parts: Panes::new(settings.hash_seed),
            held: 0,
            watermark: Watermark::START,
            progress: Progress::new(),
            cursor: Cursor::default(),
            taken: 0,
            hot_keys: Share::of(Counter::HotKeys),
            settings,
            next,
        }
    }

    /// Takes over the parts of the keys that are this shard's now, which go to it in any case. What
    /// is hot on another number of shards each finds out anew.
    fn take_share(&mut self, to: &Rescale, from: &mut Saved) {
        from.take_unless_rescaled("hot keys", &mut self.detector);
        let (all, aggregate) =
            (from.take_parts("hot keys", Panes::<K, A::Acc>::bulk), &self.aggregate);
        for (_, other) in &all {
            self.parts.take_over(other, |parts, other| {
                let combine = |acc: &mut A::Acc, other: &A::Acc| aggregate.combine(acc, other);
                parts.merge(other, |key| to.owns(key), combine);
            });
        }
        from.take_unless_rescaled("hot keys", &mut self.held);
        self.held = self.parts.keys();
        for pane in self.parts.iter() {
            let begun = |key, _: &A::Acc| self.detector.on_part_begun(key);
            pane.table.visit(&mut Cursor::default(), usize::MAX, begun);
        }
        from.rescale_watermark("hot keys", &mut self.watermark);
        from.rescale_by("hot keys", &mut self.progress, Progress::of_all);
    }

    #[inline(always)]
    fn split(&mut self, key: K, record: Record<T>, cx: &mut Context) {
        if self.detector.see(key) {
            let hot = self.detector.decide();
            self.hot_keys.show(&cx.counters, hot as u64);
        }
        if let Some(known) = self.detector.known(key)
            && self.take(key, known, &record)
        {
            self.taken += 1;
            return;
        }
        let part = Part::Record(record.value);
        self.next.on_record(Record::new(record.at, Split { key, part }), cx);
    }

    /// Adds a record to the part of its key and slice, if it may have one.
    fn take(&mut self, key: K, known: Known, record: &Record<T>) -> bool {
        let may_begin = known.is_hot && self.held < PARTS_MAX;
        if !self.find_slice(record.at.0, may_begin) {
            return false;
        }
        let table = &mut self.parts.recent_mut().table;
        let acc = match table.get_mut(key) {
            Some(acc) => acc,
            None if may_begin => {
                self.held += 1;
                self.detector.on_part_begun(key);
                table.entry(key)
            }
            None => return false,
        };
        self.aggregate.accumulate(acc, record.at, &record.value);
        true
    }

    /// Finds the pane for a record, or opens it if that is allowed; it is the recent one then.
    /// There is none for a record behind its slice or in a gap.
    #[inline]
    fn find_slice(&mut self, at: i64, may_open: bool) -> bool {
        if self.parts.recent(at).or_else(|| self.parts.holding(at)).is_some() {
            return true;
        }
        if !may_open {
            return false;
        }
        let Stretch::Slice(span) = self.settings.cuts.stretch(at) else { return false };
        let (start, end) = (span.start.0, span.end.0);
        if end <= self.watermark.at.0 {
            return false;
        }
        // No look-up finds the pane of the last instant, which is not before its own end.
        if self.parts.find(start).is_none() {
            self.parts.open(start, end, end, end);
        }
        true
    }

    /// Whether parts are to be sent before downstream may be told how far event time has come.
    fn is_due(&self) -> bool {
        let target = self.progress.target();
        self.parts.oldest_expires().is_some_and(|end| target.idle || end <= target.at.0)
    }

    /// Sends the parts of slices that the watermark has passed while there is room, some `budget`
    /// of them; then tells the watermark.
    fn send_parts(&mut self, cx: &mut Context, budget: usize) -> Work {
        if self.next.pressure() == Pressure::Full {
            return Work::NONE;
        }
        self.progress.blame(cx);
        // After one look there is room for one batch.
        let between_looks = BETWEEN_LOOKS.min(self.settings.batch_max);
        let mut left = budget;
        while left > 0 && self.next.pressure() != Pressure::Full {
            if !self.is_due() {
                let told = self.progress.finish();
                self.next.on_watermark(told, cx);
                self.next.on_batch_end(cx);
                break;
            }
            let slice = left.min(between_looks);
            left -= slice;
            self.send_slice(slice, cx);
            self.next.on_batch_end(cx);
        }
        Work((budget - left) as u64 + 1)
    }

    fn send_slice(&mut self, budget: usize, cx: &mut Context) {
        let Self { parts, cursor, detector, held, next, .. } = self;
        let pane = parts.get_mut(0);
        let at = Timestamp(pane.end).offset(-1);
        let done = pane.table.drain(cursor, budget, |key, acc| {
            *held -= 1;
            detector.on_part_sent(key);
            next.on_record(Record::new(at, Split { key, part: Part::Aggregated(*acc) }), cx);
        });
        if done {
            *cursor = Cursor::default();
            parts.retire_oldest();
        }
    }
}

impl<K, T, A, N> Operator<T> for Splitter<K, T, A, N>
where
    K: Key,
    T: 'static,
    A: Aggregate<T>,
    N: Operator<Split<K, T, A::Acc>>,
{
    fn on_record(&mut self, record: Record<T>, cx: &mut Context) {
        self.keys.extract(std::slice::from_ref(&record), &mut self.column);
        if let Some(key) = self.column.pop() {
            self.split(key, record, cx);
        }
    }

    fn on_batch(&mut self, batch: Batch<'_, T>, cx: &mut Context) {
        self.keys.extract(batch.as_slice(), &mut self.column);
        for (place, record) in batch.enumerate() {
            self.split(self.column[place], record, cx);
        }
        if self.taken > 0 {
            cx.count(Counter::HotRecords, self.taken);
            cx.reached_state(self.taken);
            self.taken = 0;
        }
    }

    fn on_watermark(&mut self, watermark: Watermark, cx: &mut Context) {
        self.watermark = watermark;
        self.progress.begin(watermark, cx);
        if !self.is_due() {
            let told = self.progress.finish();
            self.next.on_watermark(told, cx);
        }
    }

    fn on_batch_end(&mut self, cx: &mut Context) {
        if self.progress.is_pending() {
            self.send_parts(cx, self.settings.fire_max);
        }
        self.next.on_batch_end(cx);
    }

    fn resume(&mut self, cx: &mut Context) -> Work {
        let mut work = self.next.resume(cx);
        if self.progress.is_pending() {
            work += self.send_parts(cx, self.settings.fire_max);
        }
        work
    }

    /// What arrives while parts are sent belongs behind the watermark that is not told yet.
    #[inline]
    fn pressure(&self) -> Pressure {
        let here = if self.progress.is_pending() { Pressure::Full } else { Pressure::Clear };
        here.max(self.next.pressure())
    }

    /// The keys that are hot, and each part with what a window of its slice alone would yield.
    fn inspect(&self, each: &mut dyn FnMut(Shown<'_>)) {
        for key in self.detector.hot() {
            each(Shown::value("hot keys", key, &true));
        }
        for pane in self.parts.iter() {
            let slice = (Timestamp(pane.start), Timestamp(pane.end));
            pane.table.visit(&mut Cursor::default(), usize::MAX, |key, acc| {
                each(Shown::in_slice("hot keys", slice, &key, &self.aggregate.finish(acc)));
            });
        }
        self.next.inspect(each);
    }

    fn on_checkpoint(&mut self, checkpoint: Checkpoint, cx: &mut Context) {
        self.next.on_checkpoint(checkpoint, cx);
    }

    fn save(&self, out: &mut Saved) {
        out.at_rest("hot keys", !self.progress.is_pending(), "sends parts");
        out.put("hot keys", &self.detector);
        out.put("hot keys", &self.parts);
        out.put("hot keys", &self.held);
        out.put("hot keys", &self.watermark);
        out.put("hot keys", &self.progress);
        self.next.save(out);
    }

    fn load(&mut self, from: &mut Saved) {
        match from.shares() {
            Some(to) => self.take_share(&to, from),
            None => {
                from.take("hot keys", &mut self.detector);
                from.take("hot keys", &mut self.parts);
                from.take("hot keys", &mut self.held);
                from.take("hot keys", &mut self.watermark);
                from.take("hot keys", &mut self.progress);
            }
        }
        self.next.load(from);
    }

    fn bulk(&mut self, each: &mut EachBulk<'_>) {
        self.parts.bulk(each);
        self.next.bulk(each);
    }
}
