//! The operator around a process function: what comes when.

use std::ops::Range;
use std::rc::Rc;

use crate::dataflow::{
    Batch, Checkpoint, Context, KeyColumn, Operator, Pressure, Record, Saved, Shown, Work,
};
use crate::metrics::{Counter, Share};
use crate::operators::process::context::{Held, KeyContext, Shared, Slot};
use crate::operators::process::early::Early;
use crate::operators::process::side::Outlet;
use crate::operators::process::timers::{Timer, TimerClock};
use crate::operators::process::{Order, Process, moved};
use crate::state::{Cursor, EachBulk, Rescaled, Sweep, TOGETHER, Table};
use crate::time::{Timestamp, Watermark};

/// So many keys, or timers, do not fit into the caches of a core.
pub(super) const FAR: usize = 1 << 14;

/// What the operator is told.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Timers that fire and records that leave their wait, at most a step and for each batch.
    pub fire_max: usize,
    pub keys_max: usize,
    pub batch_max: usize,
    /// Records that wait for a watermark that is near, at most; none where they come on arrival.
    pub passing_max: usize,
    /// Whether state has a time to live, and by which clock.
    pub expires: Option<TimerClock>,
}

/// Calls a process function with records and timers, in their one order.
///
/// A watermark arrives; the timers it has passed fire, in the order of their times, under the
/// watermark before it; it goes on downstream; the next record is looked at. Whatever there is no
/// room or no budget for leaves all of that where it is, and it goes on from there later. So what
/// comes out does not depend on how the work was cut.
pub struct ProcessOperator<P: Process, N> {
    pub process: P,
    pub keys: Rc<dyn KeyColumn<P::Key, P::In>>,
    /// The keys of the batch in hand.
    pub column: Vec<P::Key>,
    pub table: Table<P::Key, Slot<P::State>>,
    pub shared: Shared<P>,
    pub outlets: Vec<Rc<dyn Outlet>>,
    pub settings: Settings,
    /// The walk that takes back the places of expired state.
    pub sweep: Sweep,
    pub held: Held<P>,
    /// Records that wait for the watermark, where they come in the order of time.
    pub early: Early<P::Key, P::In>,
    /// Records for which there is room downstream, as far as is known.
    pub credit: usize,
    /// Records that went downstream since the last end of a batch.
    pub unpublished: usize,
    /// Timers that may still fire, and records that may leave their wait, in this slice of work.
    pub budget: usize,
    /// Records shown to the function since their latency was noted.
    pub taken: u64,
    /// How many keys there are, for all to see.
    pub held_keys: Share,
    pub next: N,
}

impl<P: Process, N: Operator<P::Out>> ProcessOperator<P, N> {
    /// The first timer that the watermark has reached: its time.
    #[inline(always)]
    pub(super) fn due_timer(&self) -> Option<Timestamp> {
        let watermark = self.shared.watermark.at;
        self.shared.timers.next_event().filter(|at| *at <= watermark)
    }

    /// The first record that has waited and that the watermark has passed: its time.
    #[inline(always)]
    pub(super) fn due_record(&self) -> Option<Timestamp> {
        if P::ORDER == Order::Arrival {
            return None;
        }
        let watermark = self.shared.watermark;
        self.early.next().filter(|at| *at < watermark.at || watermark.is_end())
    }

    /// Whether the watermark has come to something.
    #[inline(always)]
    pub(super) fn is_due(&self) -> bool {
        self.due_timer().is_some() || self.due_record().is_some()
    }

    /// Whether something is to be done before the next record.
    #[inline(always)]
    pub(super) fn is_busy(&self) -> bool {
        !self.shared.out.is_empty() || self.is_due() || self.shared.told != self.shared.watermark
    }

    /// Whether nothing is left but to wait for what comes.
    fn is_done(&self) -> bool {
        !self.holds() && self.early.is_settled() && self.unpublished == 0
    }

    /// Whether what arrives has to wait.
    #[inline(always)]
    pub(super) fn holds(&self) -> bool {
        self.is_busy() || !self.held.records.is_empty() || self.held.watermark.is_some()
    }

    /// What comes now belongs to this batch, and room has to be asked for anew.
    #[inline(always)]
    fn begin(&mut self, cx: &Context) {
        self.held.ingress = cx.ingress;
        self.credit = 0;
    }

    /// Starts loading what these records of the batch in hand will need.
    #[inline]
    fn warm(&self, records: Range<usize>) {
        let keys = &self.column[records];
        self.table.warm(keys);
        if self.shared.timers.len() > FAR {
            let slots = keys.iter().filter_map(|key| self.table.get(*key));
            slots.for_each(|slot| self.shared.timers.warm(&slot.pending));
        }
    }

    /// Shows the function one record.
    #[inline(always)]
    pub(super) fn take(&mut self, key: P::Key, record: Record<P::In>, cx: &mut Context) {
        let lease_now = match self.settings.expires {
            Some(TimerClock::ProcessingTime) => cx.now,
            _ => record.at.max(self.shared.told.at),
        };
        let Some(slot) = self.table.get_mut(key) else {
            return self.take_first(key, record, lease_now, cx);
        };
        let (at, now, shared) = (record.at, cx.now, &mut self.shared);
        let mut ctx = KeyContext { key, at, now, lease_now, slot, shared };
        self.process.on_record(record.value, &mut ctx);
        let is_vacant = ctx.slot.is_vacant();
        self.taken += 1;
        self.leave(key, is_vacant, cx);
    }

    /// The same for a key that has no place yet. Many a record finds nothing and leaves nothing: no
    /// place is made for those.
    #[inline(never)]
    fn take_first(
        &mut self,
        key: P::Key,
        record: Record<P::In>,
        lease_now: Timestamp,
        cx: &mut Context,
    ) {
        let mut slot = Slot::default();
        let (at, now, shared) = (record.at, cx.now, &mut self.shared);
        let mut ctx = KeyContext { key, at, now, lease_now, slot: &mut slot, shared };
        self.process.on_record(record.value, &mut ctx);
        if !slot.is_vacant() {
            *self.table.entry(key) = slot;
            // Where state expires, some may be there no longer: that is looked at by the batch.
            if self.settings.expires.is_none() {
                self.check_keys();
            }
        }
        self.taken += 1;
        self.leave(key, false, cx);
    }

    /// Shows the function a record that is not one of many.
    #[inline(never)]
    fn take_one(&mut self, key: P::Key, record: Record<P::In>, cx: &mut Context) {
        self.take(key, record, cx);
    }

    /// Takes a record, or lets it wait for the watermark if it is not behind that and records come
    /// in the order of time.
    pub(super) fn receive(&mut self, key: P::Key, record: Record<P::In>, cx: &mut Context) {
        if P::ORDER == Order::Arrival || record.at < self.shared.told.at {
            self.take_one(key, record, cx);
        } else if self.early.push(record.at, key, record.value).is_err() {
            let limit = self.shared.timers_max;
            self.shared.exceed("records ahead of the watermark", limit, "timers_max");
            self.leave(key, false, cx);
        }
    }

    /// Shows the function one timer.
    pub(super) fn fire(&mut self, key: P::Key, timer: Timer, cx: &mut Context) {
        let at = match timer.clock {
            TimerClock::EventTime => timer.at,
            TimerClock::ProcessingTime => self.shared.told.at,
        };
        let lease_now = match self.settings.expires {
            Some(TimerClock::ProcessingTime) => cx.now,
            // What the watermark did not expire before is there until the time of the timer.
            _ => at.max(self.shared.told.at),
        };
        let slot = self.table.entry(key);
        self.shared.timers.forget(key, &mut slot.pending, timer);
        let (now, shared) = (cx.now, &mut self.shared);
        let mut ctx = KeyContext { key, at, now, lease_now, slot, shared };
        self.process.on_timer(timer, &mut ctx);
        let is_vacant = ctx.slot.is_vacant();
        self.leave(key, is_vacant, cx);
    }

    /// After a call: a key without state and timers takes no place.
    #[inline(always)]
    fn leave(&mut self, key: P::Key, is_vacant: bool, cx: &mut Context) {
        self.shared.emitted = 0;
        if self.shared.late > 0 {
            cx.count(Counter::Late, std::mem::take(&mut self.shared.late));
        }
        if is_vacant {
            self.table.remove(key);
        }
        if self.shared.broken.is_some() {
            self.fail(cx);
        }
    }

    #[cold]
    fn fail(&mut self, cx: &mut Context) {
        self.shared.broken.take().into_iter().for_each(|error| cx.fail(error));
    }

    /// Hands on what was emitted; says whether all of it went.
    #[inline(always)]
    pub(super) fn flush(&mut self, cx: &mut Context) -> bool {
        while !self.shared.out.is_empty() {
            if self.credit == 0 && !self.finds_room(cx) {
                return false;
            }
            if let Some(record) = self.shared.out.pop_front() {
                self.credit -= 1;
                self.unpublished += 1;
                self.next.on_record(record, cx);
            }
        }
        true
    }

    /// Looks whether there is room for a batch downstream.
    #[inline]
    pub(super) fn finds_room(&mut self, cx: &mut Context) -> bool {
        if self.unpublished > 0 {
            self.publish(cx);
        }
        let has_room = self.next.pressure() != Pressure::Full;
        self.credit = if has_room { self.settings.batch_max } else { 0 };
        has_room
    }

    /// Whether one more call may emit to all side outputs.
    #[inline(always)]
    pub(super) fn outlets_have_room(&self) -> bool {
        self.outlets.iter().all(|outlet| outlet.pressure() != Pressure::Full)
    }

    /// After some records: notes their latency, and takes back places of expired state.
    #[inline]
    fn tidy_up(&mut self, cx: &mut Context) {
        if self.taken == 0 {
            return;
        }
        let taken = std::mem::take(&mut self.taken);
        cx.reached_state(taken);
        if let Some(clock) = self.settings.expires {
            let now = match clock {
                TimerClock::EventTime => self.shared.told.at,
                TimerClock::ProcessingTime => cx.now,
            };
            let is_needed = |_, slot: &Slot<P::State>| slot.is_needed(now);
            self.sweep.pay(taken as usize, &mut self.table, is_needed);
            self.check_keys();
            if self.shared.broken.is_some() {
                self.fail(cx);
            }
        }
    }

    /// Notes that there are more keys than there may be.
    fn check_keys(&mut self) {
        let limit = self.settings.keys_max;
        if self.table.len() > limit {
            self.shared.exceed("keys", limit, "keys_max");
        }
    }

    /// Ends a batch downstream and in the side outputs.
    fn publish(&mut self, cx: &mut Context) {
        self.unpublished = 0;
        self.held_keys.show(&cx.counters, self.table.len() as u64);
        self.outlets.iter().for_each(|outlet| outlet.on_batch_end(cx));
        self.next.on_batch_end(cx);
    }
}

impl<P: Process, N: Operator<P::Out>> Operator<P::In> for ProcessOperator<P, N> {
    fn on_record(&mut self, record: Record<P::In>, cx: &mut Context) {
        self.on_batch(vec![record].drain(..), cx); // tidy: edges deliver batches; this is for tests only
    }

    fn on_batch(&mut self, mut batch: Batch<'_, P::In>, cx: &mut Context) {
        self.keys.extract(batch.as_slice(), &mut self.column);
        let (count, mut taken) = (batch.len(), 0);
        if !self.holds() {
            self.begin(cx);
            if P::ORDER == Order::Time {
                taken = self.early.push_some(self.shared.told.at, &self.column, &mut batch);
            }
        }
        while !self.holds()
            && self.outlets_have_room()
            && let Some(record) = batch.next()
        {
            if taken % TOGETHER == 0 && P::ORDER == Order::Arrival {
                self.warm(taken..count.min(taken + TOGETHER));
            }
            match P::ORDER {
                Order::Arrival => self.take(self.column[taken], record, cx),
                Order::Time => self.receive(self.column[taken], record, cx),
            }
            taken += 1;
            if self.is_busy() {
                self.go_on(cx);
            }
        }
        let rest = self.column[taken..].iter().copied();
        self.held.records.extend(rest.zip(batch));
        self.tidy_up(cx);
    }

    fn on_watermark(&mut self, watermark: Watermark, cx: &mut Context) {
        if self.holds() {
            self.held.watermark = Some(watermark);
            return;
        }
        self.begin(cx);
        self.reach(watermark);
        self.go_on(cx);
        self.tidy_up(cx);
    }

    fn on_batch_end(&mut self, cx: &mut Context) {
        self.budget = self.settings.fire_max;
        self.publish(cx);
    }

    fn resume(&mut self, cx: &mut Context) -> Work {
        let mut work = self.next.resume(cx);
        for outlet in &self.outlets {
            work += outlet.resume(cx);
        }
        (self.budget, self.credit) = (self.settings.fire_max, 0);
        self.early.settle();
        let mut done = 0;
        if self.holds() {
            cx.ingress = self.held.ingress;
            done += self.go_on(cx);
            self.tidy_up(cx);
        }
        done += self.fire_processing(cx);
        if done > 0 || self.unpublished > 0 {
            self.publish(cx);
        }
        work += Work(done);
        work
    }

    fn inspect(&self, each: &mut dyn FnMut(Shown<'_>)) {
        // A lease by processing time is shown until its place is taken back.
        let by_event_time = self.settings.expires != Some(TimerClock::ProcessingTime);
        let watermark = if by_event_time { self.shared.told.at } else { Timestamp::MIN };
        self.table.visit(&mut Cursor::default(), usize::MAX, |key, slot| {
            if let Some(value) = slot.lease.shown(watermark) {
                each(Shown::value(P::NAME, &key, value));
            }
        });
        self.shared.timers.visit(|key, at| each(Shown::timer(P::NAME, &key, at)));
        self.next.inspect(each);
    }

    fn on_checkpoint(&mut self, checkpoint: Checkpoint, cx: &mut Context) {
        self.outlets.iter().for_each(|outlet| outlet.on_checkpoint(checkpoint, cx));
        self.next.on_checkpoint(checkpoint, cx);
    }

    fn save(&self, out: &mut Saved) {
        out.at_rest(P::NAME, self.is_done(), "has something left to do");
        self.process.save(out);
        out.put(P::NAME, &self.table);
        out.put(P::NAME, &self.shared.timers);
        out.put(P::NAME, &self.shared.watermark);
        out.put(P::NAME, &self.sweep);
        out.put(P::NAME, self.early.wheel());
        out.put(P::NAME, &(self.budget, self.credit)); // or the next slices would be others
        self.outlets.iter().for_each(|outlet| outlet.save(out));
        self.next.save(out);
    }

    fn load(&mut self, from: &mut Saved) {
        let Shared { timers, watermark, told, timers_max, .. } = &mut self.shared;
        self.process.load(from);
        moved::load(&mut self.process, &mut self.table, from);
        from.rescale(P::NAME, timers);
        timers.limit(*timers_max);
        from.rescale_watermark(P::NAME, watermark);
        *told = *watermark;
        from.take_unless_rescaled(P::NAME, &mut self.sweep);
        from.rescale(P::NAME, self.early.wheel_mut());
        self.early.wheel_mut().set_capacity(*timers_max);
        // The keys of several shards have come together.
        if from.shares().is_some() && timers.len().max(self.early.wheel().len()) > *timers_max {
            from.not_rescaled(P::NAME, "more timers than `timers_max` for one shard");
        }
        let mut slice = (self.budget, self.credit);
        from.take_unless_rescaled(P::NAME, &mut slice);
        (self.budget, self.credit) = slice;
        self.outlets.iter().for_each(|outlet| outlet.load(from));
        self.next.load(from);
    }

    fn bulk(&mut self, each: &mut EachBulk<'_>) {
        each(&mut self.table);
        self.shared.timers.bulk(each);
        self.early.wheel_mut().bulk(each);
        self.next.bulk(each);
    }

    fn is_at_rest(&self) -> bool {
        let is_clear = |outlet: &Rc<dyn Outlet>| outlet.pressure() == Pressure::Clear;
        self.is_done() && self.outlets.iter().all(is_clear) && self.next.is_at_rest()
    }

    fn pressure(&self) -> Pressure {
        let waits = self.shared.timers.next_processing().is_some() && !self.shared.told.is_end();
        let here = match () {
            _ if self.holds() => Pressure::Full,
            _ if waits || !self.early.is_settled() => Pressure::Pending,
            _ => Pressure::Clear,
        };
        let here = here.max(self.next.pressure());
        self.outlets.iter().fold(here, |most, outlet| most.max(outlet.pressure()))
    }
}
