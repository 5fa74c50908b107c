//! A point in time, and the short names for spans of it.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point in time: nanoseconds since the Unix epoch, negative before it.
///
/// Arithmetic saturates at both ends, so a poisoned clock can make a result wrong but never wrap
/// it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[repr(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Before everything. No record carries it as a watermark: it means "nothing is known yet".
    pub const MIN: Self = Self(i64::MIN);
    /// After everything. As a watermark it says that the input has ended.
    pub const MAX: Self = Self(i64::MAX);

    /// From nanoseconds since the epoch.
    #[inline]
    pub const fn from_nanos(ns: i64) -> Self {
        Self(ns)
    }

    /// From milliseconds since the epoch; saturates.
    #[inline]
    pub const fn from_millis(ms: i64) -> Self {
        Self(ms.saturating_mul(1_000_000))
    }

    /// Nanoseconds since the epoch.
    #[inline]
    pub const fn as_nanos(self) -> i64 {
        self.0
    }

    /// This point moved by a signed number of nanoseconds; saturates.
    #[inline]
    pub const fn offset(self, ns: i64) -> Self {
        Self(self.0.saturating_add(ns))
    }

    /// Nanoseconds from `earlier` to `self`, zero if `earlier` is the later one.
    #[inline]
    pub const fn since(self, earlier: Self) -> u64 {
        if self.0 <= earlier.0 { 0 } else { self.0.abs_diff(earlier.0) }
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;
    #[inline]
    fn add(self, span: Duration) -> Self {
        self.offset(nanos(span))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;
    #[inline]
    fn sub(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(nanos(span)))
    }
}

impl Sub for Timestamp {
    type Output = Duration;
    /// The span from `earlier` to `self`, zero if `earlier` is the later one.
    #[inline]
    fn sub(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.since(earlier))
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::MIN => f.write_str("-inf"),
            Self::MAX => f.write_str("+inf"),
            Self(ns) => write!(f, "{ns}ns"),
        }
    }
}

/// A span as signed nanoseconds; spans beyond 292 years saturate.
#[inline]
pub fn nanos(span: Duration) -> i64 {
    i64::try_from(span.as_nanos()).unwrap_or(i64::MAX)
}

/// `n` nanoseconds.
pub const fn ns(n: u64) -> Duration {
    Duration::from_nanos(n)
}

/// `n` microseconds.
pub const fn us(n: u64) -> Duration {
    Duration::from_micros(n)
}

/// `n` milliseconds.
pub const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// `n` seconds.
pub const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        assert_eq!(Timestamp::MAX + secs(1), Timestamp::MAX);
        assert_eq!(Timestamp::MIN - secs(1), Timestamp::MIN);
        assert_eq!(Timestamp::from_millis(i64::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::MAX.since(Timestamp::MIN), u64::MAX);
        assert_eq!(Timestamp(5) - Timestamp(9), Duration::ZERO);
    }
}
