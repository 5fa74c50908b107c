//! The keyed window operator: what happens to a record.

use std::rc::Rc;

use crate::dataflow::{
    Batch, Checkpoint, Context, KeyColumn, Operator, Pressure, Record, Saved, Shown, Work,
};
use crate::error::Error;
use crate::exchange::LateRecords;
use crate::exchange::Side;
use crate::metrics::{Counter, Share};
use crate::state::{Cursor, EachBulk, Key, Pane, Panes, Rescale, Rescaled};
use crate::time::{Timestamp, Watermark};
use crate::window::again::Again;
use crate::window::deferred::Deferred;
use crate::window::firing::Firing;
use crate::window::{Aggregate, Cuts, Span, Stretch, Timing, Windowed};

/// What a window operator is told.
#[derive(Clone)]
pub struct Settings {
    /// How time is cut.
    pub cuts: Rc<dyn Cuts>,
    /// How long after its end a window still takes records, in nanoseconds.
    pub lateness_ns: i64,
    /// Keys that a closing window emits at most a step.
    pub fire_max: usize,
    /// Keys that may be held at most, over all open panes.
    pub keys_max: usize,
    /// Records of a batch at most.
    pub batch_max: usize,
    /// Seeds the tables' hash.
    pub hash_seed: u64,
}

/// What becomes of late records.
pub enum Late<T> {
    /// They are counted and dropped.
    Dropped,
    /// They are counted and go to a stream of their own.
    Output(Side<T>),
    /// Each makes a result of its own, for somebody who knows better whether it is late.
    Alone,
}

/// How many slices a window has, by one of them, and two more.
fn slices_of(cuts: &dyn Cuts) -> usize {
    let window = cuts.window(cuts.end_after(0));
    match cuts.stretch(window.start.as_nanos()) {
        Stretch::Slice(slice) => {
            let slices = window.end.since(window.start) / slice.end.since(slice.start).max(1);
            usize::try_from(slices).unwrap_or(usize::MAX).saturating_add(2)
        }
        Stretch::Gap(_) => 2,
    }
}

/// What is to become of a record.
enum Place {
    /// It belongs to the recent pane: its slice, and when the first window that holds it closes.
    Pane { start: i64, end: i64, closes: i64 },
    /// All its windows are gone, or it never had one.
    Late,
    /// A window that it belongs to is just firing.
    Wait,
}

/// Keyed event-time windows with an aggregate.
///
/// A record goes into the pane of its slice, once. Windows fire in order of their ends when the
/// watermark reaches them, some keys a step; records that belong to open slices go on being taken
/// meanwhile. A record behind the watermark whose window is just firing waits until it has fired:
/// what it leads to must not depend on how far the firing was.
pub struct WindowOperator<K: Key, T, A: Aggregate<T>, N> {
    pub(super) settings: Settings,
    pub(super) aggregate: A,
    keys: Rc<dyn KeyColumn<K, T>>,
    /// The keys of the batch in hand.
    column: Vec<K>,
    pub(super) panes: Panes<K, A::Acc>,
    /// Keys held over all open panes.
    pub(super) held: usize,
    /// How far event time has come here.
    pub(super) watermark: Watermark,
    pub(super) firing: Firing<K, A::Acc>,
    /// What a late record makes fire again, where there was no room for all of it.
    pub(super) again: Option<Again<K>>,
    /// How often each key of a window has fired again, by the end of the window.
    pub(super) revisions: Panes<K, u32>,
    deferred: Deferred<T>,
    /// The last gap between windows that a record fell into.
    gap: Span,
    pub(super) late: LateRecords<T>,
    /// A late record makes a result of its own instead.
    late_alone: bool,
    pub(super) held_keys: Share,
    pub(super) next: N,
}

impl<K, T, A, N> WindowOperator<K, T, A, N>
where
    K: Key,
    T: 'static,
    A: Aggregate<T>,
    N: Operator<Windowed<K, A::Out>>,
{
    /// An operator without any window yet.
    pub fn new(
        settings: Settings,
        aggregate: A,
        keys: Rc<dyn KeyColumn<K, T>>,
        late: Late<T>,
        next: N,
    ) -> Self {
        let panes = Panes::with_room(settings.hash_seed, slices_of(&*settings.cuts));
        let (late, late_alone) = match late {
            Late::Dropped => (None, false),
            Late::Output(side) => (Some(side), false),
            Late::Alone => (None, true),
        };
        Self {
            aggregate,
            keys,
            column: Vec::with_capacity(settings.batch_max),
            panes,
            held: 0,
            watermark: Watermark::START,
            firing: Firing::new(&settings),
            again: None,
            revisions: Panes::new(settings.hash_seed),
            deferred: Deferred::new(settings.batch_max),
            gap: Span { start: Timestamp::MIN, end: Timestamp::MIN },
            late: LateRecords::new(late, settings.batch_max),
            late_alone,
            held_keys: Share::of(Counter::Keys),
            settings,
            next,
        }
    }

    /// Takes over the windows of the keys that are this shard's now. Where records were aggregated
    /// on whatever shard they came to, several may have a part of the same window.
    fn take_share(&mut self, to: &Rescale, from: &mut Saved) {
        let (panes, aggregate) =
            (from.take_parts("window", Panes::<K, A::Acc>::bulk), &self.aggregate);
        for (_, other) in &panes {
            self.panes.take_over(other, |table, other| {
                let combine = |acc: &mut A::Acc, other: &A::Acc| aggregate.combine(acc, other);
                table.merge(other, |key| to.owns(key), combine);
            });
        }
        from.take_unless_rescaled("window", &mut self.held);
        self.held = self.panes.keys();
        from.rescale_watermark("window", &mut self.watermark);
        let firing = from.take_parts("window", Firing::<K, A::Acc>::bulk);
        let firing = firing.into_iter().map(|(_, firing)| firing).collect();
        match Firing::rescaled(firing, to) {
            Ok(firing) => self.firing = firing,
            Err(reason) => from.not_rescaled("window", &reason),
        }
        for (_, other) in from.take_parts("window", Panes::<K, u32>::bulk) {
            self.revisions.take_over(&other, |table, other| {
                table.merge(other, |key| to.owns(key), |here, other| *here = *other.max(here));
            });
        }
        self.turn_all();
    }

    /// Takes records by runs that fall into the same slice; returns how many of them, stopping at
    /// one that must wait.
    fn take(&mut self, records: &[Record<T>], cx: &mut Context) -> usize {
        self.keys.extract(records, &mut self.column);
        let mut taken = 0;
        while let Some(record) = records.get(taken) {
            let (start, end, closes) = match self.pane_of(record.at.0) {
                Place::Pane { start, end, closes } => (start, end, closes),
                Place::Late => {
                    self.late.note(taken);
                    taken += 1;
                    continue;
                }
                Place::Wait => break,
            };
            if closes <= self.watermark.at.0 {
                // One at a time: each shows its own new result.
                self.accumulate_late(&records[taken], taken);
                let last = self.settings.cuts.last_end(start);
                self.again = Some(Again { key: self.column[taken], end: closes, last });
                taken += 1;
                self.fire_again(cx);
                if self.again.is_some() {
                    break;
                }
                continue;
            }
            // At the end of time a slice holds its last instant too.
            let run = run_within(&records[taken..], start, end).max(1);
            self.accumulate(&records[taken..taken + run], taken);
            taken += run;
        }
        taken
    }

    /// Finds or opens the pane for a record; it is the recent one then.
    #[inline]
    fn pane_of(&mut self, at: i64) -> Place {
        let watermark = self.watermark.at.0;
        let Some(index) = self.panes.recent(at).or_else(|| self.panes.holding(at)) else {
            return self.open_pane(at);
        };
        let Pane { start, end, closes, expires, .. } = *self.panes.get(index);
        match closes <= watermark {
            true if self.firing.is_pending() => Place::Wait,
            true if self.is_expired(expires) => Place::Late,
            _ => Place::Pane { start, end, closes },
        }
    }

    fn open_pane(&mut self, at: i64) -> Place {
        if self.gap.start.0 <= at && at < self.gap.end.0 {
            return Place::Late;
        }
        let cuts = &self.settings.cuts;
        let (start, end) = match cuts.stretch(at) {
            Stretch::Slice(Span { start, end }) => (start.0, end.0),
            Stretch::Gap(gap) => {
                self.gap = gap;
                return Place::Late;
            }
        };
        let (closes, expires) = (cuts.first_end(start), cuts.last_end(start));
        if closes <= self.watermark.at.0 {
            if self.firing.is_pending() {
                return Place::Wait;
            }
            if self.is_expired(expires) {
                return Place::Late;
            }
        }
        // No look-up finds the pane of the last instant, which is not before its own end.
        if self.panes.find(start).is_none() {
            self.panes.open(start, end, closes, expires);
        }
        Place::Pane { start, end, closes }
    }

    /// Adds a run of records to the recent pane. The inner loop of the engine.
    #[inline]
    fn accumulate(&mut self, run: &[Record<T>], from: usize) {
        let aggregate = &self.aggregate;
        let keys = &self.column[from..from + run.len()];
        let table = &mut self.panes.recent_mut().table;
        let before = table.len();
        table.update_batch(run, keys, |acc, record| {
            aggregate.accumulate(acc, record.at, &record.value);
        });
        self.held += table.len() - before;
    }

    /// Adds a late record to the recent pane, and to what windows to come have in common with it.
    #[cold]
    fn accumulate_late(&mut self, record: &Record<T>, place: usize) {
        let (before, fired) = (self.held, self.watermark.at.0);
        self.accumulate(std::slice::from_ref(record), place);
        if self.panes.recent_mut().expires <= fired {
            return;
        }
        let new = self.held > before;
        let window = self.panes.needed_after(fired)..self.panes.closed_by(fired);
        let Self { firing, panes, aggregate, column, .. } = self;
        firing.running.correct(aggregate, (column[place], record), new, panes, window);
    }

    /// Whether a slice whose last window ends at `last` is beyond its allowed lateness.
    pub(super) fn is_expired(&self, last: i64) -> bool {
        last.saturating_add(self.settings.lateness_ns) <= self.watermark.at.0
    }

    /// Does with the late records of the batch what is to be done with them.
    #[cold]
    fn put_aside(&mut self, batch: impl Iterator<Item = Record<T>>, cx: &mut Context) {
        let Self { late, late_alone, column, aggregate, settings, next, .. } = self;
        late.take_out(batch, |late, place, record| match settings.cuts.stretch(record.at.0) {
            Stretch::Slice(span) if *late_alone => {
                let mut acc = A::Acc::default();
                aggregate.accumulate(&mut acc, record.at, &record.value);
                let result = result(column[place], span, aggregate.finish(&acc));
                next.on_record(Record::new(record.at, result.value), cx);
            }
            Stretch::Slice(_) => late.count_and_send(record, cx),
            // It never had a window to be late for.
            Stretch::Gap(_) => late.send(record, cx),
        });
    }

    #[cold]
    fn fail_on_keys(&self, cx: &mut Context) {
        cx.fail(Error::Limit {
            operator: "window",
            what: "keys in open windows",
            limit: self.settings.keys_max,
            setting: "keys_max",
        });
    }

    /// Whether tables wait to be cleaned.
    fn has_spent(&self) -> bool {
        self.panes.has_spent() || self.revisions.has_spent()
    }

    /// Whether what arrives has to wait.
    fn defers(&self) -> bool {
        self.again.is_some() || self.deferred.holds_records()
    }

    /// Once nothing fires any more: takes what had to wait, if there is room for what it leads to.
    fn take_deferred(&mut self, cx: &mut Context) -> Work {
        if self.deferred.is_empty() || self.firing.is_pending() || self.again.is_some() {
            return Work::NONE;
        }
        if self.late.pressure().max(self.next.pressure()) == Pressure::Full {
            return Work::NONE;
        }
        let mut waited = self.deferred.take();
        self.on_batch(waited.drain(..), cx);
        if let Some(watermark) = self.deferred.give_back(waited) {
            self.on_watermark(watermark, cx);
        }
        self.publish(cx);
        Work::ONE
    }

    /// Ends a batch downstream and in the late output.
    pub(super) fn publish(&mut self, cx: &mut Context) {
        self.late.on_batch_end(cx);
        self.next.on_batch_end(cx);
    }
}

impl<K, T, A, N> Operator<T> for WindowOperator<K, T, A, N>
where
    K: Key,
    T: 'static,
    A: Aggregate<T>,
    N: Operator<Windowed<K, A::Out>>,
{
    fn on_record(&mut self, record: Record<T>, cx: &mut Context) {
        self.on_batch(vec![record].drain(..), cx); // tidy: edges deliver batches; this is for tests only
    }

    fn on_batch(&mut self, mut batch: Batch<'_, T>, cx: &mut Context) {
        let count = batch.len();
        let taken = self.take(batch.as_slice(), cx);
        cx.reached_state(taken as u64);
        if self.held > self.settings.keys_max {
            self.fail_on_keys(cx);
        }
        if self.late.is_empty() && taken == count {
            return;
        }
        self.put_aside(batch.by_ref().take(taken), cx);
        self.deferred.defer(batch);
    }

    fn on_watermark(&mut self, watermark: Watermark, cx: &mut Context) {
        if self.defers() {
            self.deferred.defer_watermark(watermark);
            return;
        }
        self.watermark = watermark;
        self.firing.progress.begin(watermark, cx);
    }

    fn on_batch_end(&mut self, cx: &mut Context) {
        if self.firing.is_pending() {
            self.fire(cx, self.settings.fire_max);
        }
        self.publish(cx);
    }

    fn resume(&mut self, cx: &mut Context) -> Work {
        let mut work = self.next.resume(cx);
        work += self.late.resume(cx);
        if self.again.is_some() {
            work += self.fire_again(cx);
            self.publish(cx);
        }
        if self.firing.is_pending() {
            work += self.fire(cx, self.settings.fire_max);
        }
        if self.panes.clean_slice(self.settings.fire_max)
            || self.revisions.clean_slice(self.settings.fire_max)
        {
            work += Work::ONE;
        }
        work += self.take_deferred(cx);
        work
    }

    #[inline]
    fn pressure(&self) -> Pressure {
        let here = match () {
            () if self.again.is_some() || !self.deferred.is_empty() => Pressure::Full,
            () if self.firing.is_behind() => Pressure::Full,
            () if self.firing.is_pending() || self.has_spent() => Pressure::Pending,
            () => Pressure::Clear,
        };
        here.max(self.late.pressure()).max(self.next.pressure())
    }

    /// Each slice by itself, with what a window of that slice alone would yield.
    fn inspect(&self, each: &mut dyn FnMut(Shown<'_>)) {
        for pane in self.panes.iter() {
            let slice = (Timestamp(pane.start), Timestamp(pane.end));
            pane.table.visit(&mut Cursor::default(), usize::MAX, |key, acc| {
                each(Shown::in_slice("window", slice, &key, &self.aggregate.finish(acc)));
            });
        }
        self.next.inspect(each);
    }

    fn on_checkpoint(&mut self, checkpoint: Checkpoint, cx: &mut Context) {
        self.late.on_checkpoint(checkpoint, cx);
        self.next.on_checkpoint(checkpoint, cx);
    }

    fn save(&self, out: &mut Saved) {
        let waits = self.again.is_some() || !self.deferred.is_empty();
        out.at_rest("window", !waits && !self.firing.is_pending(), "fires");
        out.put("window", &self.panes);
        out.put("window", &self.held);
        out.put("window", &self.watermark);
        out.put("window", &self.firing);
        out.put("window", &self.revisions);
        self.late.save(out);
        self.next.save(out);
    }

    fn load(&mut self, from: &mut Saved) {
        match from.shares() {
            Some(to) => self.take_share(&to, from),
            None => {
                from.take("window", &mut self.panes);
                from.take("window", &mut self.held);
                from.take("window", &mut self.watermark);
                from.take("window", &mut self.firing);
                from.take("window", &mut self.revisions);
            }
        }
        self.late.load(from);
        self.next.load(from);
    }

    fn bulk(&mut self, each: &mut EachBulk<'_>) {
        self.panes.bulk(each);
        self.firing.bulk(each);
        self.revisions.bulk(each);
        self.next.bulk(each);
    }
}

/// How many records there are before the first one that is not in `[start, end)`.
///
/// Eight at a time and without a branch for each: most batches are of one slice, and to find that
/// out cost as much as to take the keys out of it.
#[inline]
fn run_within<T>(records: &[Record<T>], start: i64, end: i64) -> usize {
    // What is before the start wraps around to beyond the length.
    let length = end.wrapping_sub(start) as u64;
    let is_in = |record: &Record<T>| (record.at.0.wrapping_sub(start) as u64) < length;
    let (eights, _) = records.as_chunks::<8>();
    let all_in = |eight: &&[Record<T>; 8]| eight.iter().fold(true, |all, one| all & is_in(one));
    let whole = 8 * eights.iter().take_while(all_in).count();
    whole + records[whole..].iter().take_while(|record| is_in(record)).count()
}

/// The result of a window for one key.
pub(super) fn result<K, R>(key: K, span: Span, value: R) -> Record<Windowed<K, R>> {
    let timing = Timing::OnTime;
    Record::new(span.end.offset(-1), Windowed { key, span, value, timing })
}
