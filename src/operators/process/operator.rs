//! The operator around a process function: what comes when.

use std::ops::Range;
use std::rc::Rc;

use crate::dataflow::{
    Batch, Checkpoint, Context, KeyColumn, Operator, Pressure, Record, Saved, Shown, Work,
};
use crate::error::Error;
use crate::metrics::{Counter, Share};
use crate::operators::process::context::{Held, KeyContext, Shared, Slot};
use crate::operators::process::side::Outlet;
use crate::operators::process::timers::{Timer, TimerClock};
use crate::operators::process::{AtEnd, Order, Process, moved};
use crate::state::{Cursor, EachBulk, Rescaled, Sweep, TOGETHER, Table};
use crate::time::{TimerWheel, Timestamp, Watermark};

/// So many keys, or timers, do not fit into the caches of a core.
const FAR: usize = 1 << 14;

/// What the operator is told.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Timers that fire at most a step, and for each batch.
    pub fire_max: usize,
    pub keys_max: usize,
    pub batch_max: usize,
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
    pub early: TimerWheel<(P::Key, P::In)>,
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
    fn due_timer(&self) -> Option<Timestamp> {
        let watermark = self.shared.watermark.at;
        self.shared.timers.next_event().filter(|at| *at <= watermark)
    }

    /// The first record that has waited and that the watermark has passed: its time.
    #[inline(always)]
    fn due_record(&self) -> Option<Timestamp> {
        if P::ORDER == Order::Arrival {
            return None;
        }
        let watermark = self.shared.watermark;
        self.early.next().filter(|at| *at < watermark.at || watermark.is_end())
    }

    /// Whether the watermark has come to something.
    #[inline(always)]
    fn is_due(&self) -> bool {
        self.due_timer().is_some() || self.due_record().is_some()
    }

    /// Whether something is to be done before the next record.
    #[inline(always)]
    fn is_busy(&self) -> bool {
        !self.shared.out.is_empty() || self.is_due() || self.shared.told != self.shared.watermark
    }

    /// Whether what arrives has to wait.
    #[inline(always)]
    fn holds(&self) -> bool {
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
    #[inline]
    fn take(&mut self, key: P::Key, record: Record<P::In>, cx: &mut Context) {
        let lease_now = match self.settings.expires {
            Some(TimerClock::ProcessingTime) => cx.now,
            _ => record.at.max(self.shared.told.at),
        };
        let slot = self.table.entry(key);
        let (at, now, shared) = (record.at, cx.now, &mut self.shared);
        let mut ctx = KeyContext { key, at, now, lease_now, slot, shared };
        self.process.on_record(record.value, &mut ctx);
        let is_vacant = ctx.slot.is_vacant();
        self.taken += 1;
        self.leave(key, is_vacant, cx);
    }

    /// Takes a record, or lets it wait for the watermark if it is not behind that and records come
    /// in the order of time.
    #[inline(always)]
    fn receive(&mut self, key: P::Key, record: Record<P::In>, cx: &mut Context) {
        if P::ORDER == Order::Arrival || record.at < self.shared.told.at {
            self.take(key, record, cx);
        } else if self.early.set(record.at, (key, record.value)).is_err() {
            self.shared.breaks("records ahead of the watermark", "timers_max");
            self.leave(key, false, cx);
        }
    }

    /// Shows the function one timer.
    fn fire(&mut self, key: P::Key, timer: Timer, cx: &mut Context) {
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
        if let Some(error) = self.shared.broken.take() {
            cx.fail(error);
        }
    }

    /// Hands on what was emitted; says whether all of it went.
    #[inline(always)]
    fn flush(&mut self, cx: &mut Context) -> bool {
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
    fn finds_room(&mut self, cx: &mut Context) -> bool {
        if self.unpublished > 0 {
            self.publish(cx);
        }
        let has_room = self.next.pressure() != Pressure::Full;
        self.credit = if has_room { self.settings.batch_max } else { 0 };
        has_room
    }

    /// Whether one more call may emit to all side outputs.
    #[inline(always)]
    fn outlets_have_room(&self) -> bool {
        self.outlets.iter().all(|outlet| outlet.pressure() != Pressure::Full)
    }

    /// Goes on, in order, with all there is to do, while there is room and budget; says how much
    /// that was.
    fn go_on(&mut self, cx: &mut Context) -> u64 {
        let mut done = 0;
        while self.flush(cx) && self.outlets_have_room() && self.do_next(cx) {
            done += 1;
        }
        done
    }

    /// Notes the latency of the records that the function has seen.
    #[inline]
    fn note_latency(&mut self, cx: &mut Context) {
        if self.taken > 0 {
            cx.reached_state(std::mem::take(&mut self.taken));
        }
    }

    /// Does what is next; says whether there was something and it could be done.
    fn do_next(&mut self, cx: &mut Context) -> bool {
        match (self.due_timer(), self.due_record()) {
            (Some(timer), record) if record.is_none_or(|record| timer <= record) => {
                return self.fire_next(TimerClock::EventTime, self.shared.watermark.at, cx);
            }
            (_, Some(_)) => return self.release_next(cx),
            _ => (),
        }
        if self.shared.told != self.shared.watermark {
            let lingers = self.shared.timers.next_processing().is_some();
            if self.shared.watermark.is_end() && P::AT_END == AtEnd::Fire && lingers {
                return self.fire_next(TimerClock::ProcessingTime, Timestamp::MAX, cx);
            }
            return self.tell(cx);
        }
        if let Some((key, record)) = self.held.records.pop_front() {
            self.receive(key, record, cx);
            return true;
        }
        match self.held.watermark.take() {
            Some(watermark) => {
                self.shared.watermark = watermark;
                true
            }
            None => false,
        }
    }

    /// Fires the first timer, if it is due and the budget allows it.
    fn fire_next(&mut self, clock: TimerClock, now: Timestamp, cx: &mut Context) -> bool {
        if self.budget == 0 {
            return false;
        }
        let timers = &mut self.shared.timers;
        let due = match clock {
            TimerClock::EventTime => timers.pop_event(now),
            TimerClock::ProcessingTime => timers.pop_processing(now),
        };
        let Some((key, timer)) = due else { return false };
        self.budget -= 1;
        if self.table.len() > FAR
            && let Some(key) = self.shared.timers.ahead()
        {
            self.table.warm(&[key]);
        }
        self.fire(key, timer, cx);
        true
    }

    /// Takes the first record that has waited for the watermark, if the budget allows it.
    fn release_next(&mut self, cx: &mut Context) -> bool {
        if self.budget == 0 {
            return false;
        }
        let Some((at, (key, value))) = self.early.pop(self.shared.watermark.at) else {
            return false;
        };
        self.budget -= 1;
        if self.table.len() > FAR
            && let Some((key, _)) = self.early.ahead()
        {
            self.table.warm(&[*key]);
        }
        self.take(key, Record::new(at, value), cx);
        true
    }

    /// All timers have fired: event time has come this far for everybody downstream too.
    fn tell(&mut self, cx: &mut Context) -> bool {
        if self.credit == 0 && !self.finds_room(cx) {
            return false;
        }
        self.shared.told = self.shared.watermark;
        self.outlets.iter().for_each(|outlet| outlet.on_watermark(self.shared.told));
        self.next.on_watermark(self.shared.told, cx);
        true
    }

    /// Fires timers by processing time, between everything else.
    fn fire_processing(&mut self, cx: &mut Context) -> u64 {
        let mut done = 0;
        if self.holds() || self.shared.timers.next_processing().is_none_or(|at| at > cx.now) {
            return done;
        }
        cx.ingress = cx.now;
        self.held.ingress = cx.now;
        while !self.holds() && !self.shared.told.is_end() && self.outlets_have_room() {
            if !self.fire_next(TimerClock::ProcessingTime, cx.now, cx) {
                break;
            }
            done += 1 + self.go_on(cx);
        }
        done
    }

    /// Ends a batch downstream and in the side outputs.
    fn publish(&mut self, cx: &mut Context) {
        self.unpublished = 0;
        self.held_keys.show(&cx.counters, self.table.len() as u64);
        self.outlets.iter().for_each(|outlet| outlet.on_batch_end(cx));
        self.next.on_batch_end(cx);
    }

    /// Takes back places of expired state, and looks at how many keys there are.
    fn tidy_up(&mut self, records: usize, cx: &mut Context) {
        if let Some(clock) = self.settings.expires {
            let now = match clock {
                TimerClock::EventTime => self.shared.told.at,
                TimerClock::ProcessingTime => cx.now,
            };
            self.sweep.pay(records, &mut self.table, |_, slot| slot.is_needed(now));
        }
        if self.table.len() > self.settings.keys_max {
            cx.fail(Error::Limit {
                operator: P::NAME,
                what: "keys",
                limit: self.settings.keys_max,
                setting: "keys_max",
            });
        }
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
        }
        while !self.holds()
            && self.outlets_have_room()
            && let Some(record) = batch.next()
        {
            if taken % TOGETHER == 0 {
                self.warm(taken..count.min(taken + TOGETHER));
            }
            self.receive(self.column[taken], record, cx);
            taken += 1;
            if self.is_busy() {
                self.go_on(cx);
            }
        }
        self.note_latency(cx);
        let rest = self.column[taken..].iter().copied();
        self.held.records.extend(rest.zip(batch));
        self.tidy_up(count, cx);
    }

    fn on_watermark(&mut self, watermark: Watermark, cx: &mut Context) {
        if self.holds() {
            self.held.watermark = Some(watermark);
            return;
        }
        self.begin(cx);
        self.shared.watermark = watermark;
        self.go_on(cx);
        self.note_latency(cx);
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
        let mut done = 0;
        if self.holds() {
            cx.ingress = self.held.ingress;
            done += self.go_on(cx);
            self.note_latency(cx);
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
        out.at_rest(P::NAME, !self.holds() && self.unpublished == 0, "has something left to do");
        self.process.save(out);
        out.put(P::NAME, &self.table);
        out.put(P::NAME, &self.shared.timers);
        out.put(P::NAME, &self.shared.watermark);
        out.put(P::NAME, &self.sweep);
        out.put(P::NAME, &self.early);
        out.put(P::NAME, &(self.budget, self.credit)); // or the next slices would be others
        self.outlets.iter().for_each(|outlet| outlet.save(out));
        self.next.save(out);
    }

    fn load(&mut self, from: &mut Saved) {
        let Shared { timers, watermark, told, .. } = &mut self.shared;
        self.process.load(from);
        moved::load(&mut self.process, &mut self.table, from);
        from.rescale(P::NAME, timers);
        from.rescale_watermark(P::NAME, watermark);
        *told = *watermark;
        from.take_unless_rescaled(P::NAME, &mut self.sweep);
        from.rescale(P::NAME, &mut self.early);
        let mut slice = (self.budget, self.credit);
        from.take_unless_rescaled(P::NAME, &mut slice);
        (self.budget, self.credit) = slice;
        self.outlets.iter().for_each(|outlet| outlet.load(from));
        self.next.load(from);
    }

    fn bulk(&mut self, each: &mut EachBulk<'_>) {
        each(&mut self.table);
        self.shared.timers.bulk(each);
        self.early.bulk(each);
        self.next.bulk(each);
    }

    fn is_at_rest(&self) -> bool {
        let is_clear = |outlet: &Rc<dyn Outlet>| outlet.pressure() == Pressure::Clear;
        let is_done = !self.holds() && self.unpublished == 0;
        is_done && self.outlets.iter().all(is_clear) && self.next.is_at_rest()
    }

    fn pressure(&self) -> Pressure {
        let waits = self.shared.timers.next_processing().is_some() && !self.shared.told.is_end();
        let here = match waits {
            _ if self.holds() => Pressure::Full,
            true => Pressure::Pending,
            false => Pressure::Clear,
        };
        let here = here.max(self.next.pressure());
        self.outlets.iter().fold(here, |most, outlet| most.max(outlet.pressure()))
    }
}
