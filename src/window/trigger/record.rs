//! Triggers that look at the records of a window.

use crate::dataflow::Record;
use crate::error::ConfigError;
use crate::time::Timestamp;
use crate::window::trigger::condition::{Moment, Trigger, Verdict, Ways};

/// Fires at every so-manieth record: see [`count`](super::triggers::count).
#[derive(Clone, Copy, Debug)]
pub struct EveryCount(pub(super) u64);

impl<T> Trigger<T> for EveryCount {
    /// Records since it fired.
    type State = u64;

    #[inline]
    fn on_record(&self, since: &mut u64, _record: &Record<T>, _moment: &Moment) -> Verdict {
        *since += 1;
        let full = *since >= self.0;
        if full {
            *since = 0;
        }
        Verdict::fire_if(full)
    }

    fn ways(&self, _is_global: bool) -> Ways {
        Ways::SOME
    }

    fn check(&self) -> Result<(), ConfigError> {
        if self.0 == 0 {
            return Err(ConfigError::setting("count trigger", 0, "it could never fire"));
        }
        Ok(())
    }
}

/// Fires when a value has moved: see [`delta`](super::triggers::delta).
#[derive(Clone, Copy, Debug)]
pub struct Delta<F> {
    pub(super) threshold: f64,
    pub(super) value: F,
}

impl<T, F: Fn(&T) -> f64 + 'static> Trigger<T> for Delta<F> {
    /// The value that others are compared with.
    type State = Option<f64>;

    #[inline]
    fn on_record(&self, from: &mut Option<f64>, record: &Record<T>, _moment: &Moment) -> Verdict {
        let value = (self.value)(&record.value);
        let moved = from.is_some_and(|from| (value - from).abs() > self.threshold);
        if from.is_none() || moved {
            *from = Some(value);
        }
        Verdict::fire_if(moved)
    }

    fn ways(&self, _is_global: bool) -> Ways {
        Ways::SOME
    }

    fn check(&self) -> Result<(), ConfigError> {
        if self.threshold.is_nan() || self.threshold == f64::INFINITY {
            let reason = "no value moves further than that";
            return Err(ConfigError::setting("delta trigger", self.threshold, reason));
        }
        Ok(())
    }
}

/// Fires every so often in event time: see [`continuous`](super::triggers::continuous).
#[derive(Clone, Copy, Debug)]
pub struct Continuous {
    pub(super) every: i64,
}

impl<T> Trigger<T> for Continuous {
    /// From when on a record makes it fire; `None` before the first.
    type State = Option<i64>;

    #[inline]
    fn on_record(&self, next: &mut Option<i64>, record: &Record<T>, _: &Moment) -> Verdict {
        let at = record.at.0;
        let due = next.is_some_and(|next| next <= at);
        if next.is_none() || due {
            *next = Some(multiple_after(at, self.every));
        }
        Verdict::fire_if(due)
    }

    fn ways(&self, _is_global: bool) -> Ways {
        Ways::SOME
    }

    fn check(&self) -> Result<(), ConfigError> {
        check_span("continuous trigger", self.every)
    }
}

/// The first multiple of `every` after `at`, counted from the epoch; saturates.
pub(super) fn multiple_after(at: i64, every: i64) -> i64 {
    at.saturating_sub(at.rem_euclid(every.max(1))).saturating_add(every.max(1))
}

/// Triggers that come again and again need a while to wait.
pub(super) fn check_span(setting: &'static str, span: i64) -> Result<(), ConfigError> {
    if span == 0 {
        return Err(ConfigError::setting(setting, "0 ns", "there is no time between two results"));
    }
    Ok(())
}

/// Whether a deadline has come.
#[inline(always)]
pub(super) fn is_due(deadline: Option<Timestamp>, moment: &Moment) -> bool {
    deadline.is_some_and(|deadline| deadline <= moment.now)
}
