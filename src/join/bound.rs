//! How far apart in time two records may be that belong together.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::ConfigError;
use crate::time::nanos;

/// One end of an interval around the time of a left record. Included, unless made
/// [`exclusive`](Self::exclusive).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    offset_ns: i64,
    exclusive: bool,
}

/// So long before the left record.
pub fn before(time: Duration) -> Bound {
    Bound { offset_ns: -nanos(time), exclusive: false }
}

/// So long after the left record.
pub fn after(time: Duration) -> Bound {
    Bound { offset_ns: nanos(time), exclusive: false }
}

/// At the time of the left record.
pub fn same_time() -> Bound {
    after(Duration::ZERO)
}

impl Bound {
    /// Leaves the end itself out of the interval.
    ///
    /// ```
    /// use millstream::join::{after, before};
    /// use millstream::ms;
    /// // Less than 5 ms before the left record, at most 20 ms after it.
    /// let (from, to) = (before(ms(5)).exclusive(), after(ms(20)));
    /// # let _ = (from, to);
    /// ```
    pub fn exclusive(self) -> Self {
        Self { exclusive: true, ..self }
    }
}

/// The interval in which the right record must be, both ends included: nanoseconds after the left
/// record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    pub from: i64,
    pub to: i64,
}

impl Interval {
    /// From one bound to another. Time is whole nanoseconds, so that an end is left out by moving
    /// it by one.
    pub fn new(from: Bound, to: Bound) -> Self {
        Self {
            from: from.offset_ns.saturating_add(i64::from(from.exclusive)),
            to: to.offset_ns.saturating_sub(i64::from(to.exclusive)),
        }
    }

    /// Whether some time lies in it.
    pub fn check(self) -> Result<Self, ConfigError> {
        if self.from > self.to {
            let reason = "no right record can be in an interval that ends before it begins";
            return Err(ConfigError::setting("between", self, reason));
        }
        Ok(self)
    }

    /// The same, as a right record sees it: where left records are, after its own time.
    pub fn seen_from_right(self) -> Self {
        Self { from: self.to.saturating_neg(), to: self.from.saturating_neg() }
    }

    /// How far its ends are from the record, in nanoseconds.
    pub fn reach(self) -> u64 {
        self.from.unsigned_abs().max(self.to.unsigned_abs())
    }

    /// Nanoseconds from its beginning to its end.
    pub fn length(self) -> u64 {
        self.to.abs_diff(self.from)
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end =
            |ns: i64| (if ns < 0 { "-" } else { "+" }, Duration::from_nanos(ns.unsigned_abs()));
        let ((from_sign, from), (to_sign, to)) = (end(self.from), end(self.to));
        write!(f, "{from_sign}{from:?} to {to_sign}{to:?}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::ns;

    #[test]
    fn an_end_that_is_left_out_is_a_nanosecond_further_in() {
        let all = Interval::new(before(ns(5)), after(ns(7)));
        assert_eq!(all, Interval { from: -5, to: 7 });
        let inside = Interval::new(before(ns(5)).exclusive(), after(ns(7)).exclusive());
        assert_eq!(inside, Interval { from: -4, to: 6 });
        assert_eq!(all.length(), 12);
    }

    #[test]
    fn an_interval_without_time_is_refused() {
        let empty = Interval::new(after(ns(1)), same_time());
        let error = empty.check().map_err(|error| error.to_string());
        let golden = "between = +1ns to +0ns: no right record can be in an interval that ends \
                      before it begins";
        assert_eq!(error, Err(golden.to_owned()));
        let open = Interval::new(same_time().exclusive(), same_time().exclusive());
        assert!(open.check().is_err());
        assert!(Interval::new(same_time(), same_time()).check().is_ok());
    }

    #[test]
    fn for_ever_is_no_overflow() {
        let all = Interval::new(before(Duration::MAX), after(Duration::MAX));
        assert!(all.check().is_ok());
        assert!(all.length() > i64::MAX as u64);
    }
}
