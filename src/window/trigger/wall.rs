//! Triggers that look at processing time.

use crate::dataflow::Record;
use crate::error::ConfigError;
use crate::time::Timestamp;
use crate::window::trigger::condition::{Moment, Trigger, Verdict, Ways};
use crate::window::trigger::record::{check_span, is_due, multiple_after};

/// Fires every so often in processing time: see [`every`](super::triggers::every).
#[derive(Clone, Copy, Debug)]
pub struct Every {
    pub(super) every: i64,
}

impl<T> Trigger<T> for Every {
    /// When it fires next, if a record has come since it fired.
    type State = Option<Timestamp>;

    #[inline]
    fn on_record(&self, next: &mut Self::State, _record: &Record<T>, moment: &Moment) -> Verdict {
        let due = is_due(*next, moment);
        if due {
            *next = None;
        } else if next.is_none() {
            *next = Some(Timestamp(multiple_after(moment.now.0, self.every)));
        }
        Verdict::fire_if(due)
    }

    fn on_processing_time(&self, next: &mut Self::State, moment: &Moment) -> Verdict {
        Verdict::fire_if(next.take_if(|next| *next <= moment.now).is_some())
    }

    #[inline]
    fn deadline(&self, next: &Self::State, _moment: &Moment) -> Timestamp {
        next.unwrap_or(Timestamp::MAX)
    }

    fn ways(&self, _is_global: bool) -> Ways {
        Ways::SOME
    }

    fn check(&self) -> Result<(), ConfigError> {
        check_span("every trigger", self.every)
    }
}

/// Fires when nothing has come for a while: see [`silence`](super::triggers::silence).
#[derive(Clone, Copy, Debug)]
pub struct Silence {
    pub(super) after: i64,
}

impl<T> Trigger<T> for Silence {
    /// When it has been silent for long enough; `None` once that has been said.
    type State = Option<Timestamp>;

    #[inline]
    fn on_record(&self, until: &mut Self::State, _record: &Record<T>, moment: &Moment) -> Verdict {
        *until = Some(moment.now.offset(self.after));
        Verdict::GO_ON
    }

    fn on_processing_time(&self, until: &mut Self::State, moment: &Moment) -> Verdict {
        Verdict::fire_if(until.take_if(|until| *until <= moment.now).is_some())
    }

    #[inline]
    fn deadline(&self, until: &Self::State, _moment: &Moment) -> Timestamp {
        until.unwrap_or(Timestamp::MAX)
    }

    fn ways(&self, _is_global: bool) -> Ways {
        Ways::SOME
    }

    fn check(&self) -> Result<(), ConfigError> {
        check_span("silence trigger", self.after)
    }
}
