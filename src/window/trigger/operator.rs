//! The operator of windows with triggers: what happens to a record.

use std::rc::Rc;

use crate::dataflow::{
    Batch, Checkpoint, Context, KeyColumn, Operator, Pressure, Record, Saved, Shown, Work,
};
use crate::dataflow::{Growth, Progress};
use crate::error::Error;
use crate::exchange::LateRecords;
use crate::exchange::Side;
use crate::metrics::{Counter, Share};
use crate::state::{Cursor, EachBulk, Key, Rescale, Table};
use crate::time::Deadlines;
use crate::time::{Timestamp, Watermark};
use crate::window::Windowed;
use crate::window::deferred::Deferred;
use crate::window::trigger::condition::{Moment, Trigger, Verdict};
use crate::window::trigger::contents::Contents;
use crate::window::trigger::putting::Putting;
use crate::window::trigger::shape::Shape;
use crate::window::trigger::slot::{Slot, Wall};

/// What an operator of windows with triggers is told.
#[derive(Clone)]
pub struct Settings {
    /// Which windows a record falls into.
    pub shape: Shape,
    /// Windows fire at their end, whatever the trigger says.
    pub fires_at_end: bool,
    /// How long after its end a window still takes records, in nanoseconds.
    pub lateness_ns: i64,
    /// Windows of keys that fire at most in a slice of work.
    pub fire_max: usize,
    /// Windows of keys, and records in them, that may be held at most.
    pub keys_max: usize,
    /// Records of a batch at most.
    pub batch_max: usize,
    /// Seeds the table's hash.
    pub hash_seed: u64,
}

/// The end of the window of a record that falls into none. No window ends at the beginning of time.
const NO_WINDOW: i64 = i64::MIN;

impl Settings {
    /// When a window is dropped that ends at `end`.
    #[inline(always)]
    pub const fn closes(&self, end: i64) -> i64 {
        end.saturating_add(self.lateness_ns)
    }
}

/// What became of a record.
enum Taken {
    /// It is in its windows.
    Placed,
    /// All its windows are gone.
    Late,
    /// It has to wait.
    Not,
}

/// The windows of keys, by key and end.
type Slots<K, T, C, G> =
    Table<(K, i64), Slot<<C as Contents<K, T>>::Held, <G as Trigger<T>>::State>>;

/// Keyed windows whose trigger decides when they yield results.
///
/// Each window of each key is a slot of its own in one table: a record goes into every window that
/// holds it. What is to be done at the end of windows is in one list of deadlines, what triggers
/// ask for by processing time in another.
pub struct TriggerOperator<K: Key, T, G: Trigger<T>, C: Contents<K, T>, N> {
    pub(super) settings: Settings,
    pub(super) trigger: G,
    pub(super) contents: C,
    keys: Rc<dyn KeyColumn<K, T>>,
    /// The keys of the batch in hand, and the window of each record if there is but one.
    column: Vec<K>,
    windows: Vec<(K, i64)>,
    pub(super) slots: Slots<K, T, C, G>,
    /// The ends of windows, and when they are dropped.
    pub(super) ends: Deadlines<(K, i64)>,
    /// What triggers ask for by processing time.
    pub(super) wall: Wall<K>,
    /// How far event time has come here.
    pub(super) watermark: Watermark,
    pub(super) firing: Progress,
    growth: Growth,
    /// The next window of the first record that waits, if it is in some of its windows already.
    next_end: Option<i64>,
    /// Results for which there is room downstream.
    room: usize,
    deferred: Deferred<T>,
    late: LateRecords<T>,
    pub(super) held_keys: Share,
    pub(super) next: N,
}

impl<K, T, G, C, N> TriggerOperator<K, T, G, C, N>
where
    K: Key,
    T: 'static,
    G: Trigger<T>,
    C: Contents<K, T>,
    N: Operator<Windowed<K, C::Out>>,
{
    /// An operator without any window yet.
    pub fn new(
        settings: Settings,
        trigger: G,
        contents: C,
        keys: Rc<dyn KeyColumn<K, T>>,
        late: Option<Side<T>>,
        next: N,
    ) -> Self {
        let batch_max = settings.batch_max;
        Self {
            trigger,
            contents,
            keys,
            column: Vec::with_capacity(batch_max),
            windows: Vec::with_capacity(batch_max),
            slots: Table::new(settings.hash_seed),
            settings,
            ends: Deadlines::new(),
            wall: Wall::new(),
            watermark: Watermark::START,
            firing: Progress::new(),
            growth: Growth::default(),
            next_end: None,
            room: 0,
            deferred: Deferred::new(batch_max),
            late: LateRecords::new(late, batch_max),
            held_keys: Share::of(Counter::Keys),
            next,
        }
    }

    /// Takes over the windows of the keys that are this shard's now.
    fn take_share(&mut self, to: &Rescale, from: &mut Saved) {
        let tables: Vec<(usize, Slots<K, T, C, G>)> = from.take_shares("window");
        self.contents.load(from);
        let ends = from.take_shares_of("window", |_: &mut Deadlines<(K, i64)>, _| ());
        let walls = from.take_shares_of("window", |_: &mut Wall<K>, _| ());
        let contents = &mut self.contents;
        for (shard, table) in &tables {
            let is_here = |(key, _): (K, i64)| to.owns(key);
            self.slots
                .take_over(table, is_here, |_, slot| contents.take_over(&mut slot.held, *shard));
        }
        contents.has_moved();
        let ends = ends.into_iter().map(|(_, ends)| ends);
        self.ends = Deadlines::of(ends, |(key, _)| to.owns(*key));
        self.wall = Wall::of(walls.into_iter().map(|(_, wall)| wall), |key| to.owns(*key));
    }

    /// Takes records; returns how many, stopping at one that must wait.
    fn take(&mut self, records: &[Record<T>], cx: &mut Context) -> usize {
        self.keys.extract(records, &mut self.column);
        // Nobody brings a batch unless there is room for one.
        self.room = self.settings.batch_max;
        if self.settings.shape.is_single() {
            return self.take_runs(records, cx);
        }
        for (place, record) in records.iter().enumerate() {
            match self.take_one(record, self.column[place], cx) {
                Taken::Placed => {}
                Taken::Late => self.late.note(place),
                Taken::Not => return place,
            }
        }
        records.len()
    }

    /// Takes records that fall into one window each, side by side as far as none of them is late.
    /// Each leads to one result at most, so there is room for what they lead to.
    fn take_runs(&mut self, records: &[Record<T>], cx: &mut Context) -> usize {
        let (lateness, watermark) = (self.settings.lateness_ns, self.watermark.at.0);
        let shape = &self.settings.shape;
        let end = |record: &Record<T>| shape.ends(record.at.0).map_or(NO_WINDOW, |ends| ends.0);
        self.windows.clear();
        self.windows.extend(self.column.iter().copied().zip(records.iter().map(end)));
        let holds = self.holds_late();
        let waits = |end: i64| holds && end <= watermark && end != NO_WINDOW;
        let takes = |end: i64| end.saturating_add(lateness) > watermark && end != NO_WINDOW;
        let goes = |end: i64| takes(end) && !waits(end);
        let mut taken = 0;
        while taken < records.len() {
            let run = self.windows[taken..].iter().take_while(|(_, end)| goes(*end)).count();
            self.take_run(&records[taken..taken + run], taken, cx);
            taken += run;
            let Some((_, end)) = self.windows.get(taken) else { break };
            if waits(*end) {
                break;
            }
            self.late.note(taken);
            taken += 1;
        }
        taken
    }

    /// Puts records into one window each, side by side.
    fn take_run(&mut self, run: &[Record<T>], from: usize, cx: &mut Context) {
        let Self { settings, trigger, contents, slots, ends, wall, next, .. } = self;
        let windows = &self.windows[from..from + run.len()];
        let (watermark, now) = (self.watermark.at, cx.now);
        let mut putting = Putting { settings, trigger, contents, ends, wall, watermark, now };
        let (mut index, mut fired) = (0, 0);
        slots.update_batch(run, windows, |slot, record| {
            let result = putting.put(slot, record, windows[index]);
            index += 1;
            if let Some(result) = result {
                fired += 1;
                next.on_record(result, cx);
            }
        });
        cx.count(Counter::WindowsFired, fired);
    }

    /// Whether records wait whose windows the watermark has reached: while those fire what such a
    /// record leads to must not depend on how far the firing was.
    fn holds_late(&self) -> bool {
        self.firing.is_pending() && self.settings.lateness_ns > 0
    }

    /// Puts a record into each window that holds it and still takes it.
    fn take_one(&mut self, record: &Record<T>, key: K, cx: &mut Context) -> Taken {
        let Some((first, last)) = self.settings.shape.ends(record.at.0) else {
            return Taken::Late;
        };
        let watermark = self.watermark.at.0;
        if self.holds_late() && first <= watermark {
            return Taken::Not;
        }
        let from = self.next_end.take();
        let (mut end, mut taken) = (from.unwrap_or(first), from.is_some());
        loop {
            if self.settings.closes(end) > watermark {
                if !self.has_room(cx) {
                    self.next_end = Some(end);
                    return Taken::Not;
                }
                self.put(record, (key, end), cx);
                taken = true;
            }
            let following = self.settings.shape.end_after(end);
            if following == end || following > last {
                break;
            }
            end = following;
        }
        if taken { Taken::Placed } else { Taken::Late }
    }

    /// Whether there is room for one more result; looks again once a batch of them is out.
    #[inline]
    fn has_room(&mut self, cx: &mut Context) -> bool {
        if self.room == 0 {
            self.next.on_batch_end(cx);
            if self.next.pressure() != Pressure::Full {
                self.room = self.settings.batch_max;
            }
        }
        self.room > 0
    }

    /// Puts a record into one window.
    fn put(&mut self, record: &Record<T>, window: (K, i64), cx: &mut Context) {
        let Self { settings, trigger, contents, slots, ends, wall, .. } = self;
        let (watermark, now) = (self.watermark.at, cx.now);
        let mut putting = Putting { settings, trigger, contents, ends, wall, watermark, now };
        if let Some(result) = putting.put(slots.entry(window), record, window) {
            self.room -= 1;
            cx.count(Counter::WindowsFired, 1);
            self.next.on_record(result, cx);
        }
    }

    /// What a trigger says when the watermark has reached the end of its window.
    pub(super) fn verdict_at_end(
        settings: &Settings,
        trigger: &G,
        state: &mut G::State,
        moment: &Moment,
    ) -> Verdict {
        let mut verdict = trigger.on_event_time(state, moment);
        verdict.fire |= settings.fires_at_end;
        verdict
    }

    fn check_limits(&self, cx: &mut Context) {
        let limit = self.settings.keys_max;
        let mut fail = |what| {
            cx.fail(Error::Limit { operator: "window", what, limit, setting: "keys_max" });
        };
        if self.slots.len() > limit {
            fail("keys in open windows");
        }
        if self.contents.kept() > limit {
            fail("records in open windows");
        }
    }

    /// Once nothing fires any more: takes what had to wait, if there is room for what it leads to.
    fn take_deferred(&mut self, cx: &mut Context) -> Work {
        if self.deferred.is_empty() || self.firing.is_pending() {
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

    /// Event time has come this far for everybody downstream.
    pub(super) fn tell(&mut self, watermark: Watermark, cx: &mut Context) {
        self.late.on_watermark(watermark);
        self.next.on_watermark(watermark, cx);
        self.publish(cx);
    }

    /// Whether too many windows were opened while others fire.
    #[inline]
    fn is_behind(&self) -> bool {
        self.firing.is_pending() && self.growth.is_too_much(self.slots.len())
    }

    /// Ends a batch downstream and in the late output.
    pub(super) fn publish(&mut self, cx: &mut Context) {
        self.late.on_batch_end(cx);
        self.next.on_batch_end(cx);
    }

    /// The window that ends at `end`, now.
    #[inline]
    pub(super) fn moment(&self, end: i64, now: Timestamp) -> Moment {
        let span = self.settings.shape.window(end);
        Moment { span, watermark: self.watermark.at, now }
    }
}

impl<K, T, G, C, N> Operator<T> for TriggerOperator<K, T, G, C, N>
where
    K: Key,
    T: 'static,
    G: Trigger<T>,
    C: Contents<K, T>,
    N: Operator<Windowed<K, C::Out>>,
{
    fn on_record(&mut self, record: Record<T>, cx: &mut Context) {
        self.on_batch(vec![record].drain(..), cx); // tidy: edges deliver batches; this is for tests only
    }

    fn on_batch(&mut self, mut batch: Batch<'_, T>, cx: &mut Context) {
        let count = batch.len();
        let taken = self.take(batch.as_slice(), cx);
        cx.reached_state(taken as u64);
        self.check_limits(cx);
        if self.late.is_empty() && taken == count {
            return;
        }
        self.late.put_aside(batch.by_ref().take(taken), cx);
        self.deferred.defer(batch);
    }

    fn on_watermark(&mut self, watermark: Watermark, cx: &mut Context) {
        if self.deferred.holds_records() {
            self.deferred.defer_watermark(watermark);
            return;
        }
        self.watermark = watermark;
        if !self.firing.is_pending() {
            self.growth = Growth::from(self.slots.len());
        }
        self.firing.begin(watermark, cx);
    }

    fn on_batch_end(&mut self, cx: &mut Context) {
        if self.firing.is_pending() {
            self.fire(cx);
        }
        self.publish(cx);
    }

    fn resume(&mut self, cx: &mut Context) -> Work {
        let mut work = self.next.resume(cx);
        work += self.late.resume(cx);
        if self.firing.is_pending() {
            work += self.fire(cx);
        }
        work += self.take_deferred(cx);
        if !self.wall.is_empty() && !self.firing.is_pending() {
            work += self.fire_by_the_clock(cx);
        }
        work
    }

    fn is_at_rest(&self) -> bool {
        let is_done = self.deferred.is_empty() && !self.firing.is_pending();
        is_done && self.late.pressure() == Pressure::Clear && self.next.is_at_rest()
    }

    #[inline]
    fn pressure(&self) -> Pressure {
        let asked_for = !self.wall.is_empty() && !self.slots.is_empty();
        let here = match () {
            () if !self.deferred.is_empty() => Pressure::Full,
            () if self.is_behind() => Pressure::Full,
            () if self.firing.is_pending() || asked_for => Pressure::Pending,
            () => Pressure::Clear,
        };
        here.max(self.late.pressure()).max(self.next.pressure())
    }

    /// Each window that holds records, with what it would yield now, or each record that it keeps.
    fn inspect(&self, each: &mut dyn FnMut(Shown<'_>)) {
        self.slots.visit(&mut Cursor::default(), usize::MAX, |(key, end), slot| {
            if slot.records > 0 {
                self.contents.show(&key, self.settings.shape.window(end), &slot.held, each);
            }
        });
        self.next.inspect(each);
    }

    fn on_checkpoint(&mut self, checkpoint: Checkpoint, cx: &mut Context) {
        self.late.on_checkpoint(checkpoint, cx);
        self.next.on_checkpoint(checkpoint, cx);
    }

    fn save(&self, out: &mut Saved) {
        out.at_rest("window", self.deferred.is_empty() && !self.firing.is_pending(), "fires");
        out.put("window", &self.slots);
        self.contents.save(out);
        out.put("window", &self.ends);
        out.put("window", &self.wall);
        out.put("window", &self.watermark);
        out.put("window", &self.firing);
        self.late.save(out);
        self.next.save(out);
    }

    fn load(&mut self, from: &mut Saved) {
        match from.shares() {
            Some(to) => self.take_share(&to, from),
            None => {
                from.take("window", &mut self.slots);
                self.contents.load(from);
                from.take("window", &mut self.ends);
                from.take("window", &mut self.wall);
            }
        }
        from.rescale_watermark("window", &mut self.watermark);
        from.rescale_alike("window", &mut self.firing);
        self.late.load(from);
        self.next.load(from);
    }

    fn bulk(&mut self, each: &mut EachBulk<'_>) {
        each(&mut self.slots);
        self.next.bulk(each);
    }
}
