//! Where "now" comes from. The only file that reads a clock.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::Timestamp;

/// Tells the time. A shard reads it at the end of a batch, to measure latency; the driver reads it
/// for `step`.
pub trait Clock: 'static {
    /// The current time.
    fn now(&self) -> Timestamp;
}

/// The processor's time-stamp counter, anchored once to the system's clock: monotonic, about 10 ns
/// a reading, and no system call. It does not follow later corrections of the system clock.
#[derive(Clone, Debug)]
pub struct SystemClock {
    clock: quanta::Clock,
    origin_raw: u64,
    origin: Timestamp,
}

impl SystemClock {
    /// Calibrates against the system clock; the first call in a process takes some milliseconds.
    pub fn new() -> Self {
        let clock = quanta::Clock::new();
        let origin_raw = clock.raw();
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let origin = Timestamp(super::nanos(since_epoch));
        Self { clock, origin_raw, origin }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[inline]
    fn now(&self) -> Timestamp {
        let elapsed = self.clock.delta_as_nanos(self.origin_raw, self.clock.raw());
        self.origin.offset(elapsed as i64)
    }
}

/// A clock that its owner moves. Clones show the same time.
#[derive(Clone, Debug, Default)]
pub struct ManualClock(Rc<Cell<Timestamp>>);

impl ManualClock {
    /// Shows `start` until it is moved.
    pub fn new(start: Timestamp) -> Self {
        Self(Rc::new(Cell::new(start)))
    }

    /// Shows `now` from here on.
    #[inline]
    pub fn set(&self, now: Timestamp) {
        self.0.set(now);
    }
}

impl Clock for ManualClock {
    #[inline]
    fn now(&self) -> Timestamp {
        self.0.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_clock_goes_forward_from_the_epoch() {
        let clock = SystemClock::new();
        let first = clock.now();
        assert!(first > Timestamp::from_millis(1_700_000_000_000));
        assert!((0..1000).fold(first, |last, _| clock.now().max(last)) >= first);
    }

    #[test]
    fn clones_of_a_manual_clock_agree() {
        let clock = ManualClock::new(Timestamp(5));
        let other = clock.clone();
        clock.set(Timestamp(9));
        assert_eq!(other.now(), Timestamp(9));
    }
}
