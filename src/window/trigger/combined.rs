//! Triggers made of triggers.

use serde::{Deserialize, Serialize};

use crate::dataflow::Record;
use crate::error::ConfigError;
use crate::time::Timestamp;
use crate::window::trigger::condition::{Moment, Trigger, Verdict, Ways};

/// Fires when either does: see [`any`](super::triggers::any).
#[derive(Clone, Copy, Debug)]
pub struct Any<A, B>(pub(super) A, pub(super) B);

impl<T, A: Trigger<T>, B: Trigger<T>> Trigger<T> for Any<A, B> {
    type State = (A::State, B::State);

    #[inline]
    fn on_record(&self, (a, b): &mut Self::State, record: &Record<T>, moment: &Moment) -> Verdict {
        self.0.on_record(a, record, moment) | self.1.on_record(b, record, moment)
    }

    #[inline]
    fn on_event_time(&self, (a, b): &mut Self::State, moment: &Moment) -> Verdict {
        self.0.on_event_time(a, moment) | self.1.on_event_time(b, moment)
    }

    fn on_processing_time(&self, (a, b): &mut Self::State, moment: &Moment) -> Verdict {
        self.0.on_processing_time(a, moment) | self.1.on_processing_time(b, moment)
    }

    #[inline]
    fn deadline(&self, (a, b): &Self::State, moment: &Moment) -> Timestamp {
        self.0.deadline(a, moment).min(self.1.deadline(b, moment))
    }

    fn ways(&self, is_global: bool) -> Ways {
        let (a, b) = (self.0.ways(is_global), self.1.ways(is_global));
        Ways {
            any: a.any | b.any,
            knows_end: a.knows_end | b.knows_end,
            sure: a.sure | b.sure,
            idle: a.idle | b.idle | !a.any | !b.any,
        }
    }

    fn check(&self) -> Result<(), ConfigError> {
        self.0.check().and_then(|()| self.1.check())
    }
}

/// Fires when both have: see [`all`](super::triggers::all).
#[derive(Clone, Copy, Debug)]
pub struct All<A, B>(pub(super) A, pub(super) B);

/// The states of two triggers, and what each has said since both had.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
pub struct Both<A, B> {
    a: A,
    b: B,
    said: (Verdict, Verdict),
}

impl<A, B> Both<A, B> {
    #[inline]
    fn say(&mut self, a: Verdict, b: Verdict) -> Verdict {
        self.said = (self.said.0 | a, self.said.1 | b);
        if !(self.said.0.fire && self.said.1.fire) {
            return Verdict::GO_ON;
        }
        let (a, b) = std::mem::take(&mut self.said);
        a | b
    }
}

impl<T, A: Trigger<T>, B: Trigger<T>> Trigger<T> for All<A, B> {
    type State = Both<A::State, B::State>;

    #[inline]
    fn on_record(&self, both: &mut Self::State, record: &Record<T>, moment: &Moment) -> Verdict {
        let a = self.0.on_record(&mut both.a, record, moment);
        let b = self.1.on_record(&mut both.b, record, moment);
        both.say(a, b)
    }

    fn on_event_time(&self, both: &mut Self::State, moment: &Moment) -> Verdict {
        let a = self.0.on_event_time(&mut both.a, moment);
        let b = self.1.on_event_time(&mut both.b, moment);
        both.say(a, b)
    }

    fn on_processing_time(&self, both: &mut Self::State, moment: &Moment) -> Verdict {
        let a = self.0.on_processing_time(&mut both.a, moment);
        let b = self.1.on_processing_time(&mut both.b, moment);
        both.say(a, b)
    }

    #[inline]
    fn deadline(&self, both: &Self::State, moment: &Moment) -> Timestamp {
        self.0.deadline(&both.a, moment).min(self.1.deadline(&both.b, moment))
    }

    fn ways(&self, is_global: bool) -> Ways {
        let (a, b) = (self.0.ways(is_global), self.1.ways(is_global));
        Ways {
            any: a.any & b.any,
            knows_end: a.knows_end | b.knows_end,
            sure: a.sure & b.sure,
            idle: a.idle | b.idle,
        }
    }

    fn check(&self) -> Result<(), ConfigError> {
        self.0.check().and_then(|()| self.1.check())
    }
}

/// Forgets the records of each result: see [`purging`](super::triggers::purging).
#[derive(Clone, Copy, Debug)]
pub struct Purging<A>(pub(super) A);

impl<T, A: Trigger<T>> Trigger<T> for Purging<A> {
    type State = A::State;

    #[inline]
    fn on_record(&self, state: &mut Self::State, record: &Record<T>, moment: &Moment) -> Verdict {
        purge(self.0.on_record(state, record, moment))
    }

    #[inline]
    fn on_event_time(&self, state: &mut Self::State, moment: &Moment) -> Verdict {
        purge(self.0.on_event_time(state, moment))
    }

    fn on_processing_time(&self, state: &mut Self::State, moment: &Moment) -> Verdict {
        purge(self.0.on_processing_time(state, moment))
    }

    #[inline]
    fn deadline(&self, state: &Self::State, moment: &Moment) -> Timestamp {
        self.0.deadline(state, moment)
    }

    fn ways(&self, is_global: bool) -> Ways {
        self.0.ways(is_global)
    }

    fn check(&self) -> Result<(), ConfigError> {
        self.0.check()
    }
}

/// What fires forgets.
const fn purge(Verdict { fire, purge }: Verdict) -> Verdict {
    Verdict { fire, purge: purge | fire }
}
