//! What a window that keeps its records drops before each result.

use std::time::Duration;

use crate::dataflow::Record;
use crate::error::ConfigError;
use crate::time::{Timestamp, nanos};

/// What evictors compare the records of a window with.
#[derive(Clone, Copy, Debug)]
pub struct Newest<T> {
    /// The record that came last.
    pub record: Record<T>,
    /// The latest time of all records.
    pub latest: Timestamp,
}

/// Drops records from a window, for good, before a result is made of the others.
pub trait Evictor<T>: 'static {
    /// Whether it drops any at all.
    const EVICTS: bool = true;

    /// Whether a record stays; `behind` came after it, and the last one must stay.
    fn keeps(&self, record: &Record<T>, behind: usize, last: &Newest<T>) -> bool;

    /// Why it cannot be.
    fn check(&self) -> Result<(), ConfigError> {
        Ok(())
    }
}

/// Keeps all records.
#[derive(Clone, Copy, Debug)]
pub struct KeepAll;

impl<T> Evictor<T> for KeepAll {
    const EVICTS: bool = false;

    fn keeps(&self, _record: &Record<T>, _behind: usize, _last: &Newest<T>) -> bool {
        true
    }
}

/// See [`count`].
#[derive(Clone, Copy, Debug)]
pub struct KeepCount(usize);

/// Keeps the `n` records that came last.
pub const fn count(n: usize) -> KeepCount {
    KeepCount(n)
}

impl<T> Evictor<T> for KeepCount {
    fn keeps(&self, _record: &Record<T>, behind: usize, _last: &Newest<T>) -> bool {
        behind < self.0
    }

    fn check(&self) -> Result<(), ConfigError> {
        if self.0 == 0 {
            return Err(ConfigError::setting("evictor", 0, "nothing would be left of a window"));
        }
        Ok(())
    }
}

/// See [`time`].
#[derive(Clone, Copy, Debug)]
pub struct KeepTime(i64);

/// Keeps what is less than `span` behind the latest time in the window.
pub fn time(span: Duration) -> KeepTime {
    KeepTime(nanos(span))
}

impl<T> Evictor<T> for KeepTime {
    fn keeps(&self, record: &Record<T>, behind: usize, last: &Newest<T>) -> bool {
        behind == 0 || record.at > last.latest.offset(-self.0)
    }
}

/// See [`delta`].
#[derive(Clone, Copy, Debug)]
pub struct KeepDelta<F> {
    threshold: f64,
    value: F,
}

/// Keeps the records whose value is less than `threshold` away from that of the last one.
pub const fn delta<T, F: Fn(&T) -> f64 + 'static>(threshold: f64, value: F) -> KeepDelta<F> {
    KeepDelta { threshold, value }
}

impl<T, F: Fn(&T) -> f64 + 'static> Evictor<T> for KeepDelta<F> {
    fn keeps(&self, record: &Record<T>, behind: usize, last: &Newest<T>) -> bool {
        let away = ((self.value)(&record.value) - (self.value)(&last.record.value)).abs();
        behind == 0 || away < self.threshold
    }
}
