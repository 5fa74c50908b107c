//! The keyed window operator: what happens when event time moves on. Windows fire a slice at a
//! time.

use serde::{Deserialize, Serialize};

use crate::dataflow::{BETWEEN_LOOKS, Progress};
use crate::dataflow::{Context, Operator, Pressure, Work};
use crate::metrics::Counter;
use crate::state::{Cursor, EachBulk, Key, Panes, Rescale, Rescaled, State};
use crate::window::operator::{Settings, WindowOperator, result};
use crate::window::running::Running;
use crate::window::{Aggregate, Windowed};

/// How many windows may wait behind the one that fires before input has to wait as well.
const BEHIND_MAX: usize = 4;

/// How far the firing of windows has come.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Firing<K: Key, V: State> {
    /// Every window that ends here or before has fired.
    fired: i64,
    pub(super) progress: Progress,
    /// The window in hand.
    window: Option<Open>,
    /// What the windows have in common.
    pub(super) running: Running<K, V>,
    behind: bool,
}

/// A window that fires.
#[derive(Clone, Serialize, Deserialize)]
struct Open {
    end: i64,
    phase: Phase,
    cursor: Cursor,
    /// The part in hand: a run of hashes, from the first of them to the one behind the last, which
    /// is 0 at the end of all.
    part: (u64, u64),
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    /// The slices that came are added to the running values; this one is next.
    Add(usize),
    /// The running values are emitted.
    Emit,
    /// They are emitted, and cleared on the way: windows to come have nothing in common with it.
    Drain,
    /// The slices that go are taken out of the running values; this one is next.
    Evict(usize),
    /// It has one pane, which no other window has, and which is emitted as it is.
    EmitPane(usize),
    /// That pane is not needed any more: it is emptied on the way.
    DrainPane(usize),
}

impl Phase {
    /// How many keys the pane holds that is emptied.
    fn spends<K: Key, V: State>(self, panes: &Panes<K, V>) -> usize {
        match self {
            Self::Evict(index) | Self::DrainPane(index) => panes.get(index).table.len(),
            _ => 0,
        }
    }
}

impl<K: Key, V: State> Firing<K, V> {
    /// Nothing has fired.
    pub fn new(settings: &Settings) -> Self {
        Self {
            fired: i64::MIN,
            progress: Progress::new(),
            window: None,
            running: Running::new(settings.hash_seed, settings.cuts.overlap(), BETWEEN_LOOKS),
            behind: false,
        }
    }

    /// Whether windows are still to fire, or a watermark is still to be told.
    #[inline(always)]
    pub fn is_pending(&self) -> bool {
        self.progress.is_pending()
    }

    /// Whether too many windows wait.
    #[inline(always)]
    pub fn is_behind(&self) -> bool {
        self.behind
    }
}

impl<K: Key, V: State> Rescaled for Firing<K, V> {
    fn bulk(&mut self, each: &mut EachBulk<'_>) {
        self.running.bulk(each);
    }

    /// At rest, all shards have fired the same windows where each key has its shard, and where it
    /// has not none has any left that another has fired.
    fn rescaled(from: Vec<Self>, to: &Rescale) -> Result<Self, String> {
        let (mut all, mut running, mut fired) = (Vec::new(), Vec::new(), i64::MAX);
        for one in from {
            fired = fired.min(one.fired);
            all.push(one.progress);
            running.push(one.running);
        }
        let progress = Progress::earliest(all).ok_or("there was no shard")?;
        let running = Running::rescaled(running, to)?;
        Ok(Self { fired, progress, window: None, running, behind: false })
    }
}

impl<K, T, A, N> WindowOperator<K, T, A, N>
where
    K: Key,
    T: 'static,
    A: Aggregate<T>,
    N: Operator<Windowed<K, A::Out>>,
{
    /// After a move to another number of shards: each key has its turn now, since the shards it
    /// comes from were not at the same one.
    pub(super) fn turn_all(&mut self) {
        let fired = self.watermark.at.0;
        let window = self.panes.needed_after(fired)..self.panes.closed_by(fired);
        self.firing.running.turn_all(&self.aggregate, &mut self.panes, window);
    }

    /// Fires windows while there is room, some `budget` keys; then drops what is no longer needed
    /// and tells the watermark.
    pub(super) fn fire(&mut self, cx: &mut Context, budget: usize) -> Work {
        if self.next.pressure() == Pressure::Full {
            return Work::NONE;
        }
        self.firing.progress.blame(cx);
        // After one look there is room for one batch.
        let between_looks = BETWEEN_LOOKS.min(self.settings.batch_max);
        let mut left = budget;
        while left > 0 && self.next.pressure() != Pressure::Full {
            let Some(open) = self.firing.window.take().or_else(|| self.next_window()) else {
                self.finish_firing(cx);
                break;
            };
            let slice = left.min(between_looks);
            let (mut rest, mut more) = (slice, 0);
            self.firing.window = self.fire_slice(open, &mut rest, &mut more, cx);
            left = (left + rest).saturating_sub(slice + more);
            self.next.on_batch_end(cx);
        }
        Work((budget - left) as u64 + 1)
    }

    /// The first window that has not fired, holds a pane, and has been passed by the watermark.
    fn next_window(&mut self) -> Option<Open> {
        let fired = self.firing.fired;
        let first = self.panes.needed_after(fired);
        if first == self.panes.len() {
            return None;
        }
        let pane = self.panes.get(first);
        let end = match pane.closes > fired {
            true => pane.closes,
            false => self.settings.cuts.end_after(fired),
        };
        if end > self.firing.progress.target().at.0 {
            return None;
        }
        let panes = self.panes.due_at(end);
        let only = self.panes.get(panes.start);
        let mut part = (0, 0);
        let phase = match panes.len() {
            1 if only.closes == only.expires && self.drains() => Phase::DrainPane(panes.start),
            1 if only.closes == only.expires => Phase::EmitPane(panes.start),
            _ => {
                part.1 = self.part_behind(0, end);
                self.add_or_emit(self.panes.closed_by(fired), end)
            }
        };
        Some(Open { end, phase, cursor: Cursor::default(), part })
    }

    /// Where the part ends that begins with a hash, of the window that ends at `end`.
    ///
    /// The window adds, emits and takes out by parts, so that what all three need of the running
    /// values is fetched once.
    fn part_behind(&self, hash: u64, end: i64) -> u64 {
        let due = self.panes.due_at(end);
        let first = self.panes.closed_by(self.firing.fired);
        let comes_or_goes =
            |index: &usize| *index >= first || self.panes.get(*index).expires == end;
        let panes = due.filter(comes_or_goes).map(|index| self.panes.get(index));
        self.firing.running.part_behind::<T, A>(hash, panes)
    }

    /// What is to be done with the window that ends at `end` from its slice at `index` on: that is
    /// to be added, if it is one of the window, and else the window is ready.
    fn add_or_emit(&self, index: usize, end: i64) -> Phase {
        let panes = self.panes.due_at(end);
        match panes.last() {
            Some(last) if index <= last => Phase::Add(index),
            Some(last) if self.panes.get(last).expires > end => Phase::Emit,
            _ => Phase::Drain,
        }
    }

    /// Whether a window's state is not needed once it has fired.
    fn drains(&self) -> bool {
        self.settings.lateness_ns == 0
    }

    /// Goes on with a window within a budget; returns it unless that was the last of it. Adds to
    /// `more` what was done beyond the budget.
    fn fire_slice(
        &mut self,
        mut open: Open,
        budget: &mut usize,
        more: &mut usize,
        cx: &mut Context,
    ) -> Option<Open> {
        while *budget > 0 {
            if self.fire_phase(&mut open, budget, more, cx) {
                open = self.next_phase(open)?;
            }
        }
        Some(open)
    }

    /// Goes on with a phase of a window; true when it is done.
    fn fire_phase(
        &mut self,
        open: &mut Open,
        budget: &mut usize,
        more: &mut usize,
        cx: &mut Context,
    ) -> bool {
        let spent = self.drains();
        let Self { panes, firing: Firing { running, .. }, aggregate, next, settings, held, .. } =
            self;
        let (cursor, span) = (&mut open.cursor, settings.cuts.window(open.end));
        let (mut emitted, before) = (0, open.phase.spends(panes));
        let emit = |key, acc: &A::Acc| {
            emitted += 1;
            next.on_record(result(key, span, aggregate.finish(acc)), cx);
        };
        let until = open.part.1;
        let done = match open.phase {
            Phase::Add(index) => running.add(aggregate, panes.get(index), (cursor, until), budget),
            Phase::Drain => running.drain((cursor, until), budget, emit),
            Phase::Emit => {
                let window = panes.due_at(open.end);
                let keys = running.keys_within::<T, A>(*budget, window.len());
                let mut left = keys;
                let done = running.visit::<T, A>((cursor, until), &mut left, emit);
                *budget -= if keys == *budget { keys - left } else { *budget };
                *more += running.take_turns(aggregate, panes, window);
                done
            }
            Phase::Evict(index) => {
                running.evict(aggregate, panes.get_mut(index), spent, (cursor, until), budget)
            }
            Phase::EmitPane(index) => panes.get(index).table.visit_until(0, cursor, budget, emit),
            Phase::DrainPane(index) => {
                panes.get_mut(index).table.drain_until(0, cursor, budget, emit)
            }
        };
        *held -= before - open.phase.spends(panes);
        cx.count(Counter::WindowsFired, emitted);
        done
    }

    /// What follows a phase that is done; nothing after the last.
    fn next_phase(&mut self, open: Open) -> Option<Open> {
        let panes = self.panes.due_at(open.end);
        let goes = |index: usize| {
            let goes = panes.contains(&index) && self.panes.get(index).expires == open.end;
            goes.then_some(Phase::Evict(index))
        };
        let phase = match open.phase {
            Phase::Add(index) => Some(self.add_or_emit(index + 1, open.end)),
            Phase::Emit => goes(panes.start),
            Phase::Evict(index) => goes(index + 1),
            Phase::Drain | Phase::EmitPane(_) | Phase::DrainPane(_) => None,
        };
        if let Some(phase) = phase {
            return Some(Open { phase, cursor: Cursor::at(open.part.0), ..open });
        }
        let from = open.part.1;
        if from != 0 {
            let part = (from, self.part_behind(from, open.end));
            let phase = self.add_or_emit(self.panes.closed_by(self.firing.fired), open.end);
            return Some(Open { phase, cursor: Cursor::at(from), part, ..open });
        }
        if matches!(open.phase, Phase::Emit | Phase::Evict(_)) {
            self.firing.running.end_turn();
        }
        self.firing.fired = open.end;
        self.retire(open.end);
        None
    }

    /// Drops the panes that no window to come and no allowed lateness needs.
    fn retire(&mut self, fired: i64) {
        while let Some(last) = self.panes.oldest_expires() {
            if last > fired || !self.is_expired(last) {
                break;
            }
            self.held -= self.panes.retire_oldest();
        }
        let target = self.firing.progress.target().at.0;
        let waiting = self.panes.needed_after(target) - self.panes.needed_after(fired.min(target));
        self.firing.behind = waiting > BEHIND_MAX;
    }

    /// Nothing is left to fire: event time has come this far for everybody downstream too.
    fn finish_firing(&mut self, cx: &mut Context) {
        self.firing.fired = self.firing.fired.max(self.firing.progress.target().at.0);
        self.retire(self.firing.fired);
        self.retire_revisions();
        let told = self.firing.progress.finish();
        self.firing.behind = false;
        self.held_keys.show(&cx.counters, self.held as u64);
        self.late.on_watermark(told);
        self.next.on_watermark(told, cx);
        self.publish(cx);
    }
}
