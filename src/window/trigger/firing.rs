//! The operator of windows with triggers: what happens when time moves on.

use crate::dataflow::{BETWEEN_LOOKS, MOVES};
use crate::dataflow::{Context, Operator, Pressure, Record, Work};
use crate::metrics::Counter;
use crate::state::Key;
use crate::time::Popped;
use crate::window::Windowed;
use crate::window::trigger::condition::Trigger;
use crate::window::trigger::contents::Contents;
use crate::window::trigger::operator::TriggerOperator;

/// Which clock something is due by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Watermark,
    Clock,
}

impl<K, T, G, C, N> TriggerOperator<K, T, G, C, N>
where
    K: Key,
    T: 'static,
    G: Trigger<T>,
    C: Contents<K, T>,
    N: Operator<Windowed<K, C::Out>>,
{
    /// Ends windows in order of their ends while there is room, at most `fire_max`; then tells the
    /// watermark.
    pub(super) fn fire(&mut self, cx: &mut Context) -> Work {
        if self.next.pressure() == Pressure::Full {
            return Work::NONE;
        }
        self.firing.blame(cx);
        let (work, is_done) = self.look_at_what_is_due(By::Watermark, cx);
        if is_done {
            let told = self.firing.finish();
            self.held_keys.show(&cx.counters, self.slots.len() as u64);
            self.tell(told, cx);
        }
        Work(work + 1)
    }

    /// Asks the triggers that wanted to be asked by processing time, while there is room.
    pub(super) fn fire_by_the_clock(&mut self, cx: &mut Context) -> Work {
        if self.next.pressure() == Pressure::Full {
            return Work::NONE;
        }
        let (work, _) = self.look_at_what_is_due(By::Clock, cx);
        Work(work)
    }

    /// Does what is due, a slice of it; returns how much that was, and whether it was all.
    fn look_at_what_is_due(&mut self, by: By, cx: &mut Context) -> (u64, bool) {
        // After one look there is room for one batch.
        let between_looks = BETWEEN_LOOKS.min(self.settings.batch_max);
        let budget = self.settings.fire_max.saturating_mul(MOVES);
        let (mut left, mut unseen, mut is_done) = (budget, 0, false);
        while left > 0 && !is_done {
            if unseen == between_looks {
                self.next.on_batch_end(cx);
                unseen = 0;
                if self.next.pressure() == Pressure::Full {
                    break;
                }
            }
            let popped = match by {
                By::Watermark => self.ends.pop(self.watermark.at.0),
                By::Clock => self.wall.pop(cx.now.0),
            };
            let result = match popped {
                Popped::Due(_, slot) if by == By::Watermark => self.end(slot, cx),
                Popped::Due(at, slot) => self.ask(at, slot, cx),
                Popped::Moved => {
                    left -= 1;
                    continue;
                }
                Popped::Nothing => {
                    is_done = true;
                    continue;
                }
            };
            left = left.saturating_sub(MOVES);
            if let Some(result) = result {
                unseen += 1;
                cx.count(Counter::WindowsFired, 1);
                self.next.on_record(result, cx);
            }
        }
        if unseen > 0 {
            self.next.on_batch_end(cx);
        }
        ((budget - left).div_ceil(MOVES) as u64, is_done)
    }

    /// The watermark has reached the end of a window, or the end of its lateness too.
    fn end(
        &mut self,
        (key, end): (K, i64),
        cx: &mut Context,
    ) -> Option<Record<Windowed<K, C::Out>>> {
        let moment = self.moment(end, cx.now);
        let Self { settings, trigger, contents, slots, ends, wall, .. } = self;
        let slot = slots.get_mut((key, end))?;
        let mut result = None;
        if !slot.is_over {
            slot.is_over = true;
            let verdict = Self::verdict_at_end(settings, trigger, &mut slot.state, &moment);
            let is_global = settings.shape.is_global();
            result = slot.settle(verdict, true, contents, key, &moment, is_global);
        }
        let closes = settings.closes(end);
        if closes <= moment.watermark.0 {
            contents.clear(&mut slot.held);
            slots.remove((key, end));
        } else {
            ends.set(closes, (key, end));
            wall.arm(trigger, slot, (key, end), &moment);
        }
        result
    }

    /// Processing time has come to what a trigger once asked for.
    fn ask(
        &mut self,
        at: i64,
        (key, end): (K, i64),
        cx: &mut Context,
    ) -> Option<Record<Windowed<K, C::Out>>> {
        let moment = self.moment(end, cx.now);
        let Self { settings, trigger, contents, slots, wall, .. } = self;
        let slot = slots.get_mut((key, end)).filter(|slot| slot.armed == at)?;
        slot.armed = i64::MAX;
        let verdict = trigger.on_processing_time(&mut slot.state, &moment);
        let is_global = settings.shape.is_global();
        let result = slot.settle(verdict, false, contents, key, &moment, is_global);
        wall.arm(trigger, slot, (key, end), &moment);
        result
    }
}
