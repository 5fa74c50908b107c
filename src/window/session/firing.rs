//! The session operator: what happens when event time moves on.

use crate::dataflow::{Context, Operator, Pressure, Work};
use crate::metrics::Counter;
use crate::state::Key;
use crate::time::{Timestamp, Watermark};
use crate::window::deadlines::Popped;
use crate::window::session::gap::Gap;
use crate::window::session::operator::{SessionOperator, result};
use crate::window::{Aggregate, Timing, Windowed};

/// Sessions between two looks at the room downstream.
const BETWEEN_LOOKS: usize = 64;

/// Entries that may come nearer for the time that one session takes to fire.
const MOVES: usize = 8;

/// Sessions that may always be opened while others are still to fire.
const OPENED_MIN: usize = 1 << 16;

/// How far the firing of sessions has come.
pub struct Firing {
    /// The last watermark that went on downstream.
    told: Watermark,
    /// The watermark up to which sessions are to fire.
    target: Watermark,
    /// The ingress of the batch that moved the target.
    ingress: Timestamp,
    /// Sessions held when it began.
    held: usize,
}

impl Firing {
    /// Nothing has fired.
    pub const fn new() -> Self {
        let (told, target) = (Watermark::START, Watermark::START);
        Self { told, target, ingress: Timestamp::MIN, held: 0 }
    }

    /// Sessions up to `watermark` are to fire, because of a batch with this ingress. While others
    /// still fire their older ingress stays, so that latency is never under-reported.
    #[inline]
    pub fn begin(&mut self, watermark: Watermark, ingress: Timestamp, held: usize) {
        if !self.is_pending() {
            (self.ingress, self.held) = (ingress, held);
        }
        self.target = watermark;
    }

    /// Whether sessions are still to fire, or a watermark is still to be told.
    #[inline(always)]
    pub fn is_pending(&self) -> bool {
        self.told != self.target
    }

    /// Whether so many sessions were opened since it began that input has to wait: what is still to
    /// fire may double the sessions, and not more.
    #[inline]
    pub fn is_behind(&self, held: usize) -> bool {
        self.is_pending() && held > (2 * self.held).max(self.held + OPENED_MIN)
    }
}

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
        cx.ingress = self.firing.ingress;
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
            match self.deadlines.pop(self.firing.target.at.0) {
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
        self.firing.told = self.firing.target;
        cx.counters.set(Counter::Keys, self.held as u64);
        self.tell(self.firing.told, cx);
    }
}
