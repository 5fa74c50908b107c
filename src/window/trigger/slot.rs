//! One window of one key: its contents, its trigger, what it has yielded.

use std::cell::Cell;

use serde::{Deserialize, Serialize};

use crate::dataflow::Record;
use crate::state::State;
use crate::time::Timestamp;
use crate::time::{Deadlines, Popped};
use crate::window::trigger::condition::{Moment, Trigger, Verdict};
use crate::window::trigger::contents::Contents;
use crate::window::{Timing, Windowed};

/// A window of a key.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
pub struct Slot<H, S> {
    /// What it keeps of its records.
    pub held: H,
    /// What its trigger remembers.
    pub state: S,
    /// Records since it was opened or purged.
    pub records: u64,
    /// The latest time of its records.
    pub latest: i64,
    early: u32,
    late: u32,
    /// It has been opened: what is to be done at its end is in the deadlines.
    pub is_open: bool,
    /// The watermark has reached its end, and its trigger knows.
    pub is_over: bool,
    /// When its trigger is asked by processing time; the end of time is never.
    pub armed: i64,
}

impl<H: State, S: State> Slot<H, S> {
    /// Does what a trigger said; returns the result if there is one. `at_end` says that the
    /// watermark has just reached the end of the window.
    pub fn settle<K: Copy, T, C: Contents<K, T, Held = H>>(
        &mut self,
        verdict: Verdict,
        at_end: bool,
        contents: &mut C,
        key: K,
        moment: &Moment,
        is_global: bool,
    ) -> Option<Record<Windowed<K, C::Out>>> {
        if !verdict.fire || self.records == 0 {
            return None;
        }
        let timing = match () {
            () if at_end => Timing::OnTime,
            () if self.is_over => {
                self.late += 1;
                Timing::Late(self.late)
            }
            () => {
                self.early += 1;
                Timing::Early(self.early - 1)
            }
        };
        let span = moment.span;
        let value = contents.result(&key, span, &mut self.held);
        if verdict.purge {
            contents.clear(&mut self.held);
            self.records = 0;
        }
        // A window without an end has no last instant.
        let at = if is_global { Timestamp(self.latest) } else { span.end.offset(-1) };
        Some(Record::new(at, Windowed { key, span, value, timing }))
    }
}

/// When which triggers are asked by processing time.
#[derive(Clone, Serialize, Deserialize)]
pub struct Wall<K> {
    deadlines: Deadlines<(K, i64)>,
    len: usize,
}

impl<K: Copy> Wall<K> {
    /// None is.
    pub fn new() -> Self {
        Self { deadlines: Deadlines::new(), len: 0 }
    }

    /// What several ask for, of windows that are to be here.
    pub fn of(all: impl IntoIterator<Item = Self>, is_here: impl Fn(&K) -> bool) -> Self {
        let len = Cell::new(0);
        let count = |here: bool| len.set(len.get() + usize::from(here));
        let deadlines = Deadlines::of(all.into_iter().map(|wall| wall.deadlines), |(key, _)| {
            let here = is_here(key);
            count(here);
            here
        });
        Self { deadlines, len: len.get() }
    }

    /// Whether there is nobody to ask, at no time.
    #[inline(always)]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Sees to it that the trigger of a window is asked when it wants to be.
    #[inline]
    pub fn arm<T, G: Trigger<T>, H>(
        &mut self,
        trigger: &G,
        slot: &mut Slot<H, G::State>,
        window: (K, i64),
        moment: &Moment,
    ) {
        let deadline = trigger.deadline(&slot.state, moment).0;
        if deadline < slot.armed {
            slot.armed = deadline;
            self.deadlines.set(deadline, window);
            self.len += 1;
        }
    }

    /// One unit of work towards what is due at `now`.
    pub fn pop(&mut self, now: i64) -> Popped<(K, i64)> {
        let popped = self.deadlines.pop(now);
        self.len -= usize::from(matches!(popped, Popped::Due(..)));
        popped
    }
}
