//! What comes next, when a watermark has passed records and timers.

use crate::dataflow::{Context, Operator, Record};
use crate::operators::process::operator::{FAR, ProcessOperator};
use crate::operators::process::timers::TimerClock;
use crate::operators::process::{AtEnd, Process};
use crate::time::{Timestamp, Watermark};

impl<P: Process, N: Operator<P::Out>> ProcessOperator<P, N> {
    /// Event time has come so far, and all that was due before has been done.
    #[inline]
    pub(super) fn reach(&mut self, watermark: Watermark) {
        self.shared.watermark = watermark;
        self.early.reach(watermark);
    }

    /// Goes on, in order, with all there is to do, while there is room and budget; says how much
    /// that was.
    pub(super) fn go_on(&mut self, cx: &mut Context) -> u64 {
        let mut done = 0;
        while self.flush(cx) && self.outlets_have_room() {
            match self.do_next(cx) {
                0 => break,
                some => done += some,
            }
        }
        done
    }

    /// Does what is next; says how much there was that could be done.
    fn do_next(&mut self, cx: &mut Context) -> u64 {
        match (self.due_timer(), self.due_record()) {
            (Some(timer), record) if record.is_none_or(|record| timer <= record) => {
                return self.fire_next(TimerClock::EventTime, self.shared.watermark.at, cx).into();
            }
            (_, Some(_)) => return self.release(cx),
            _ => (),
        }
        if self.shared.told != self.shared.watermark {
            let lingers = self.shared.timers.next_processing().is_some();
            if self.shared.watermark.is_end() && P::AT_END == AtEnd::Fire && lingers {
                return self.fire_next(TimerClock::ProcessingTime, Timestamp::MAX, cx).into();
            }
            return self.tell(cx).into();
        }
        if let Some((key, record)) = self.held.records.pop_front() {
            self.receive(key, record, cx);
            return 1;
        }
        match self.held.watermark.take() {
            Some(watermark) => {
                self.reach(watermark);
                1
            }
            None => 0,
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

    /// Takes records that have waited for the watermark, while they come first and the budget
    /// allows it; says how many.
    fn release(&mut self, cx: &mut Context) -> u64 {
        let (mut done, is_far) = (0, self.table.len() > FAR);
        while self.budget > 0 {
            if self.early.is_unforeseen() {
                self.table.warm(self.early.foresee());
            } else if is_far && let Some(key) = self.early.ahead() {
                self.table.warm(&[key]);
            }
            let Some((at, key, value)) = self.early.pop(self.shared.watermark.at) else { break };
            self.budget -= 1;
            done += 1;
            self.take(key, Record::new(at, value), cx);
            // What was emitted is handed on before the next.
            if !self.shared.out.is_empty() || !self.is_released_next() || !self.outlets_have_room()
            {
                break;
            }
        }
        done
    }

    /// Whether a record that has waited comes before all timers.
    #[inline(always)]
    fn is_released_next(&self) -> bool {
        let comes_first = |record: Timestamp| self.due_timer().is_none_or(|timer| timer > record);
        self.due_record().is_some_and(comes_first)
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
    pub(super) fn fire_processing(&mut self, cx: &mut Context) -> u64 {
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
}
