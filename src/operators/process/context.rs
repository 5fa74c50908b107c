//! What a process function sees and can do while it is called.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::dataflow::Record;
use crate::error::{Error, Full};
use crate::operators::process::timers::{Pending, Timer, Timers};
use crate::operators::process::{Process, SideOutput};
use crate::state::{Lease, State, Term};
use crate::time::{Timestamp, Watermark};

/// What is kept for a key. It is there while the key has state or a timer.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Slot<S> {
    pub lease: Lease<S>,
    pub pending: Pending,
}

impl<S> Default for Slot<S> {
    fn default() -> Self {
        Self { lease: Lease::default(), pending: Pending::default() }
    }
}

impl<S: State> Slot<S> {
    /// Whether the key has neither state nor timers.
    #[inline(always)]
    pub fn is_vacant(&self) -> bool {
        self.lease.is_none() && self.pending.is_none()
    }

    /// Whether the key has a timer, or state that is alive.
    #[inline]
    pub fn is_needed(&self, now: Timestamp) -> bool {
        !self.pending.is_none() || self.lease.is_live(now)
    }
}

/// What arrived behind work that is not done: at most the rest of a batch, and a watermark.
pub struct Held<P: Process> {
    pub records: VecDeque<(P::Key, Record<P::In>)>,
    pub watermark: Option<Watermark>,
    /// The ingress of the batch that the work came with.
    pub ingress: Timestamp,
}

impl<P: Process> Held<P> {
    /// Nothing, and room for a batch.
    pub fn new(batch_max: usize) -> Self {
        let records = VecDeque::with_capacity(batch_max);
        Self { records, watermark: None, ingress: Timestamp::MIN }
    }
}

/// What all keys of an operator share.
pub struct Shared<P: Process> {
    pub timers: Timers<P::Key>,
    /// Emitted and not handed on.
    pub out: VecDeque<Record<P::Out>>,
    pub term: Term,
    /// How far event time has come here.
    pub watermark: Watermark,
    /// The watermark that everything up to it has been done for, and that went on downstream.
    pub told: Watermark,
    pub shard: usize,
    pub timers_max: usize,
    pub emits_max: usize,
    /// Records that the call in hand has emitted, over all outputs.
    pub emitted: usize,
    /// Records that the call in hand has found to be late.
    pub late: u64,
    /// A limit that a call ran into.
    pub broken: Option<Error>,
}

impl<P: Process> Shared<P> {
    /// Notes that there was more of something than a setting allows.
    #[cold]
    pub fn exceed(&mut self, what: &'static str, limit: usize, setting: &'static str) {
        let error = Error::Limit { operator: P::NAME, what, limit, setting };
        self.broken.get_or_insert(error);
    }
}

/// What a [`Process`] sees and can do while it is called for one key.
pub struct KeyContext<'a, P: Process> {
    pub(super) key: P::Key,
    pub(super) at: Timestamp,
    pub(super) now: Timestamp,
    /// The time that leases run by.
    pub(super) lease_now: Timestamp,
    pub(super) slot: &'a mut Slot<P::State>,
    pub(super) shared: &'a mut Shared<P>,
}

impl<P: Process> KeyContext<'_, P> {
    /// The key that the call is about.
    #[inline(always)]
    pub fn key(&self) -> P::Key {
        self.key
    }

    /// The timestamp of the record; the time of a timer by event time; how far event time has come
    /// if the timer goes by processing time. What is emitted carries it.
    #[inline(always)]
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// How far event time has come downstream: what is emitted goes out under this watermark. A
    /// record before it is late. A timer that fires is behind it as a rule: event time is about to
    /// come to that timer.
    #[inline(always)]
    pub fn watermark(&self) -> Timestamp {
        self.shared.told.at
    }

    /// Whether the input has ended, and timers fire for the last time.
    #[inline(always)]
    pub fn is_ended(&self) -> bool {
        self.shared.watermark.is_end()
    }

    /// Processing time: the `now` of the step.
    #[inline(always)]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The shard that owns the key.
    #[inline(always)]
    pub fn shard(&self) -> usize {
        self.shared.shard
    }

    /// The state of the key, if it has any: a read, to a time to live.
    #[inline(always)]
    pub fn get(&mut self) -> Option<&P::State> {
        self.slot.lease.get(self.lease_now, self.shared.term)
    }

    /// The state of the key, if it has any, to change it: a write, to a time to live.
    #[inline(always)]
    pub fn get_mut(&mut self) -> Option<&mut P::State> {
        self.slot.lease.get_mut(self.lease_now, self.shared.term)
    }

    /// The state of the key, to change it; it begins as the default. A write, to a time to live.
    #[inline(always)]
    pub fn state(&mut self) -> &mut P::State {
        self.slot.lease.entry(self.lease_now, self.shared.term)
    }

    /// Forgets the state of the key. Its timers stay.
    #[inline(always)]
    pub fn clear(&mut self) {
        self.slot.lease.clear();
    }

    /// Sets a timer of the key, by event time if all that is given is a time; says whether it was
    /// not set already.
    ///
    /// One by event time that the watermark has passed already fires before the next record; under
    /// [`Order::Time`](super::Order::Time), in its place among the records that wait and that the
    /// watermark has passed too. One by processing time fires in a later step, or not at all if the
    /// input ends before; see [`Process::AT_END`].
    #[inline(always)]
    pub fn set_timer(&mut self, timer: impl Into<Timer>) -> bool {
        let Self { key, slot, shared, .. } = self;
        match shared.timers.set(*key, &mut slot.pending, timer.into()) {
            Ok(is_new) => is_new,
            Err(Full(_)) => {
                shared.exceed("timers", shared.timers_max, "timers_max");
                false
            }
        }
    }

    /// Takes a timer of the key back; says whether it was set.
    #[inline(always)]
    pub fn cancel_timer(&mut self, timer: impl Into<Timer>) -> bool {
        let Self { key, slot, shared, .. } = self;
        shared.timers.cancel(*key, &mut slot.pending, timer.into())
    }

    /// Whether the key has this timer.
    #[inline]
    pub fn is_set(&self, timer: impl Into<Timer>) -> bool {
        self.shared.timers.is_set(self.key, &self.slot.pending, timer.into())
    }

    /// Emits a value with the timestamp of this call; see [`at`](Self::at).
    #[inline(always)]
    pub fn emit(&mut self, value: P::Out) {
        self.emit_at(self.at, value);
    }

    /// Emits a value with another timestamp. Those downstream may find it late.
    #[inline]
    pub fn emit_at(&mut self, at: Timestamp, value: P::Out) {
        if self.may_emit() {
            self.shared.out.push_back(Record::new(at, value));
        }
    }

    /// Emits a value to a side output, with the timestamp of this call.
    #[inline]
    pub fn emit_to<V>(&mut self, side: &SideOutput<V>, value: V) {
        if self.may_emit() {
            side.push(Record::new(self.at, value));
        }
    }

    /// Counts the record of this call as late: it came after something that it should have come
    /// before, and nothing has been made of it.
    #[inline]
    pub fn count_late(&mut self) {
        self.shared.late += 1;
    }

    /// Notes that the function holds more of something than a setting allows, which stops the
    /// pipeline.
    #[cold]
    pub(crate) fn exceed(&mut self, what: &'static str, limit: usize, setting: &'static str) {
        self.shared.exceed(what, limit, setting);
    }

    /// Counts one record, if there may be one more.
    #[inline(always)]
    fn may_emit(&mut self) -> bool {
        let most = self.shared.emits_max;
        let may = self.shared.emitted < most;
        match may {
            true => self.shared.emitted += 1,
            false => self.shared.exceed("records from one call", most, "emits_max"),
        }
        may
    }
}
