//! The keyed window operator: what happens when event time moves on. Windows fire a slice at a
//! time.

use crate::dataflow::{Context, Operator, Pressure, Work};
use crate::metrics::Counter;
use crate::state::{Cursor, Key, State, Table};
use crate::time::{Timestamp, Watermark};
use crate::window::operator::{WindowOperator, result};
use crate::window::{Aggregate, Windowed};

/// Keys between two looks at the clock and at the room downstream.
const BETWEEN_LOOKS: usize = 64;

/// How many windows may wait behind the one that fires before input has to wait as well.
const BEHIND_MAX: usize = 4;

/// How far the firing of windows has come.
pub struct Firing<K, V> {
    /// Every window that ends here or before has fired.
    fired: i64,
    /// The last watermark that went on downstream.
    told: Watermark,
    /// The watermark up to which windows are to fire.
    target: Watermark,
    /// The ingress of the batch that moved the target.
    ingress: Timestamp,
    /// The window in hand.
    window: Option<Open>,
    /// Where the slices of a window are combined.
    combined: Table<K, V>,
    behind: bool,
}

/// A window that fires.
struct Open {
    end: i64,
    phase: Phase,
    cursor: Cursor,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Its slices are combined; this one is next.
    Combine(usize),
    /// What was combined is emitted, and cleared on the way.
    EmitCombined,
    /// It has one pane, which is emitted as it is.
    Emit(usize),
    /// It has one pane, which no other window needs: it is emptied on the way.
    Drain(usize),
}

impl<K: Key, V: State> Firing<K, V> {
    /// Nothing has fired; `combined` is an empty table to work with.
    pub fn new(combined: Table<K, V>) -> Self {
        Self {
            fired: i64::MIN,
            told: Watermark::START,
            target: Watermark::START,
            ingress: Timestamp::MIN,
            window: None,
            combined,
            behind: false,
        }
    }

    /// Windows up to `watermark` are to fire, because of a batch with this ingress. While others
    /// still fire their older ingress stays, so that latency is never under-reported.
    #[inline]
    pub fn begin(&mut self, watermark: Watermark, ingress: Timestamp) {
        if !self.is_pending() {
            self.ingress = ingress;
        }
        self.target = watermark;
    }

    /// Whether windows are still to fire, or a watermark is still to be told.
    #[inline(always)]
    pub fn is_pending(&self) -> bool {
        self.told != self.target
    }

    /// Whether too many windows wait.
    #[inline(always)]
    pub fn is_behind(&self) -> bool {
        self.behind
    }
}

impl<K, T, A, N> WindowOperator<K, T, A, N>
where
    K: Key,
    T: 'static,
    A: Aggregate<T>,
    N: Operator<Windowed<K, A::Out>>,
{
    /// Fires windows while there is room, some `budget` keys; then drops what is no longer needed
    /// and tells the watermark.
    pub(super) fn fire(&mut self, cx: &mut Context, budget: usize) -> Work {
        if self.next.pressure() == Pressure::Full {
            return Work::NONE;
        }
        cx.ingress = self.firing.ingress;
        // After one look there is room for one batch.
        let between_looks = BETWEEN_LOOKS.min(self.settings.batch_max);
        let mut left = budget;
        while left > 0 && self.next.pressure() != Pressure::Full {
            let Some(open) = self.firing.window.take().or_else(|| self.next_window()) else {
                self.finish_firing(cx);
                break;
            };
            let slice = left.min(between_looks);
            left -= slice;
            self.firing.window = self.fire_slice(open, slice, cx);
            self.next.on_batch_end(cx);
        }
        Work((budget - left) as u64 + 1)
    }

    /// The first window that has not fired, holds a pane, and has been passed by the watermark.
    fn next_window(&mut self) -> Option<Open> {
        let slices = self.settings.slices;
        let fired = self.firing.fired;
        let first = self.panes.needed_after(fired);
        if first == self.panes.len() {
            return None;
        }
        let pane = self.panes.get(first);
        let end = if pane.closes > fired { pane.closes } else { slices.end_after(fired) };
        if end > self.firing.target.at.0 {
            return None;
        }
        let window = slices.window(end);
        let panes = self.panes.within(window.start.0, end);
        let phase = match panes.len() {
            1 if self.panes.get(panes.start).expires == end && self.drains() => {
                Phase::Drain(panes.start)
            }
            1 => Phase::Emit(panes.start),
            _ => Phase::Combine(panes.start),
        };
        Some(Open { end, phase, cursor: Cursor::default() })
    }

    /// Whether a window's state is not needed once it has fired.
    fn drains(&self) -> bool {
        self.settings.lateness_ns == 0
    }

    /// Goes on with a window; returns it unless that was the last of it.
    fn fire_slice(&mut self, mut open: Open, budget: usize, cx: &mut Context) -> Option<Open> {
        let Self { panes, firing, aggregate, next, settings, held, .. } = self;
        let (cursor, end) = (&mut open.cursor, Timestamp(open.end));
        let mut emitted = 0;
        let mut emit = |key, acc: &A::Acc| {
            emitted += 1;
            next.on_record(result(key, end, &settings.slices, aggregate.finish(acc)), cx);
        };
        let done = match open.phase {
            Phase::Combine(index) => {
                let combined = &mut firing.combined;
                panes.get(index).table.visit(cursor, budget, |key, acc| {
                    aggregate.combine(combined.entry(key), acc);
                })
            }
            Phase::EmitCombined => firing.combined.drain(cursor, budget, emit),
            Phase::Emit(index) => panes.get(index).table.visit(cursor, budget, emit),
            Phase::Drain(index) => {
                let table = &mut panes.get_mut(index).table;
                let before = table.len();
                let done = table.drain(cursor, budget, &mut emit);
                *held -= before - table.len();
                done
            }
        };
        cx.count(Counter::WindowsFired, emitted);
        if done { self.next_phase(open) } else { Some(open) }
    }

    /// What follows a phase that is done; nothing after the last.
    fn next_phase(&mut self, open: Open) -> Option<Open> {
        let window = self.settings.slices.window(open.end);
        let phase = match open.phase {
            Phase::Combine(index) => {
                let panes = self.panes.within(window.start.0, open.end);
                if index + 1 < panes.end { Phase::Combine(index + 1) } else { Phase::EmitCombined }
            }
            _ => {
                self.firing.fired = open.end;
                self.retire(open.end);
                return None;
            }
        };
        Some(Open { phase, cursor: Cursor::default(), ..open })
    }

    /// Drops the panes that no window to come and no allowed lateness needs.
    fn retire(&mut self, fired: i64) {
        while let Some(last) = self.panes.oldest_expires() {
            if last > fired || !self.is_expired(last) {
                break;
            }
            self.held -= self.panes.retire_oldest();
        }
        let waiting = self.panes.needed_after(self.firing.target.at.0)
            - self.panes.needed_after(fired.min(self.firing.target.at.0));
        self.firing.behind = waiting > BEHIND_MAX;
    }

    /// Nothing is left to fire: event time has come this far for everybody downstream too.
    fn finish_firing(&mut self, cx: &mut Context) {
        self.firing.fired = self.firing.fired.max(self.firing.target.at.0);
        self.retire(self.firing.fired);
        self.firing.told = self.firing.target;
        self.firing.behind = false;
        cx.counters.set(Counter::Keys, self.held as u64);
        self.tell_late(self.firing.told);
        self.next.on_watermark(self.firing.told, cx);
        self.publish(cx);
    }
}
