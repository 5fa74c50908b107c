//! The session operator: what happens when event time moves on.

use crate::dataflow::{BETWEEN_LOOKS, MOVES};
use crate::dataflow::{Context, Operator, Pressure, Work};
use crate::metrics::Counter;
use crate::state::Key;
use crate::time::Popped;
use crate::window::session::gap::Gap;
use crate::window::session::operator::{SessionOperator, result};
use crate::window::{Aggregate, Timing, Windowed};

impl<K, T, G, A, N> SessionOperator<K, T, G, A, N>
where
    K: Key,
    T: 'static,
    G: Gap<T>,
    A: Aggregate<T>,
    N: Operator<Windowed<K, A::Out>>,
{
    /// Fires sessions in order of their ends while there is room, at most `fire_max`; then tells
    /// the watermark.
    pub(super) fn fire(&mut self, cx: &mut Context) -> Work {
        if self.next.pressure() == Pressure::Full {
            return Work::NONE;
        }
        self.firing.blame(cx);
        // After one look there is room for one batch.
        let between_looks = BETWEEN_LOOKS.min(self.settings.batch_max);
        let budget = self.settings.fire_max.saturating_mul(MOVES);
        let (mut left, mut unseen) = (budget, 0);
        while left > 0 {
            if unseen == between_looks {
                self.next.on_batch_end(cx);
                unseen = 0;
                if self.next.pressure() == Pressure::Full {
                    break;
                }
            }
            match self.deadlines.pop(self.firing.target().at.0) {
                Popped::Due(at, key) => {
                    left = left.saturating_sub(MOVES);
                    unseen += usize::from(self.look_at(at, key, cx));
                }
                Popped::Moved => left -= 1,
                Popped::Nothing => {
                    self.finish_firing(cx);
                    unseen = 0;
                    break;
                }
            }
        }
        if unseen > 0 {
            self.next.on_batch_end(cx);
        }
        Work((budget - left).div_ceil(MOVES) as u64 + 1)
    }

    /// Does what there is to do with a key at `at`; returns whether something was emitted.
    fn look_at(&mut self, at: i64, key: K, cx: &mut Context) -> bool {
        let Self { settings, aggregate, table, pool, deadlines, held, next, .. } = self;
        let watermark = self.watermark.at.0;
        let Some(sessions) = table.get_mut(key).filter(|sessions| sessions.armed == at) else {
            return false;
        };
        let before = sessions.count;
        let mut fired = None;
        let left = pool.visit_first(
            sessions,
            |session| settings.look(session),
            |session| {
                // It may have been prolonged since.
                if settings.look(session) > at {
                    return false;
                }
                if !session.fired {
                    (session.fired, session.late) = (true, 0);
                    fired = Some(result(aggregate, key, session, Timing::OnTime));
                }
                settings.closes(session.end) <= watermark
            },
        );
        *held -= (before - sessions.count) as usize;
        match left {
            Some(at) => {
                sessions.armed = at;
                deadlines.set(at, key);
            }
            None => _ = table.remove(key),
        }
        let Some(fired) = fired else { return false };
        cx.count(Counter::WindowsFired, 1);
        next.on_record(fired, cx);
        true
    }

    /// Nothing is left to fire: event time has come this far for everybody downstream too.
    fn finish_firing(&mut self, cx: &mut Context) {
        let told = self.firing.finish();
        self.held_keys.show(&cx.counters, self.held as u64);
        self.tell(told, cx);
    }
}
