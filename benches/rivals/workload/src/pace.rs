//! An open loop: each record has a time at which it is due, and one that is late is not skipped.

use hdrhistogram::Histogram;
use millstream::time::{Clock, SystemClock};

use crate::args::Args;
use crate::readings::{Reading, reading};

/// Meters that are read where latency is asked for.
pub const KEYS: u64 = 1_000;
/// The length of a window, in nanoseconds.
pub const WINDOW: i64 = 10_000_000;
/// So much later than it is made does a loop begin, so that all threads are there.
const LEAD: i64 = 300_000_000;
/// Nothing is later: a hundred seconds.
const LATEST: u64 = 100_000_000_000;

/// When records are due. Record `n` is due `n` periods after the start, and its event time is that
/// number of periods; thread `t` of `threads` has the records `t`, `t + threads`, and so on.
#[derive(Clone, Debug)]
pub struct Pace {
    /// One for all threads: two that are set apart from each other are some hundred ns apart.
    clock: SystemClock,
    /// When the first one is due, in nanoseconds since the Unix epoch: a multiple of the window.
    pub start: i64,
    /// Between two records of all threads together, in nanoseconds.
    pub period: i64,
    /// How many there are in all.
    pub records: u64,
    /// Windows that end by then are not measured.
    pub warm_up: i64,
}

impl Pace {
    /// One that begins soon.
    pub fn new(args: &Args) -> Self {
        let period = 1_000_000_000 / args.rate as i64;
        let records = (args.rate as f64 * args.seconds) as u64;
        let clock = SystemClock::new();
        let start = (clock.now().as_nanos() + LEAD) / WINDOW * WINDOW;
        Self { clock, start, period, records, warm_up: records as i64 * period / 5 }
    }

    /// The record of this number.
    #[inline(always)]
    pub fn reading(&self, number: u64) -> Reading {
        reading(number, KEYS, self.period)
    }

    /// When it is due.
    #[inline(always)]
    pub fn due(&self, number: u64) -> i64 {
        self.start + number as i64 * self.period
    }

    /// What time it is, in nanoseconds since the Unix epoch.
    #[inline(always)]
    pub fn now(&self) -> i64 {
        self.clock.now().as_nanos()
    }

    /// The records of one of several threads.
    pub fn share(&self, thread: usize, threads: usize) -> Share {
        Share { pace: self.clone(), next: thread as u64, stride: threads as u64 }
    }
}

/// The records of one thread, as they are due.
#[derive(Clone, Debug)]
pub struct Share {
    pace: Pace,
    next: u64,
    stride: u64,
}

impl Share {
    /// Gives the records that are due by now, at most so many of them.
    #[inline(always)]
    pub fn due(&mut self, now: i64, most: usize, mut give: impl FnMut(Reading)) {
        for _ in 0..most {
            if self.is_over() || self.pace.due(self.next) > now {
                return;
            }
            give(self.pace.reading(self.next));
            self.next += self.stride;
        }
    }

    /// The event time of the next record, which is known before it is due.
    #[inline(always)]
    pub fn next_at(&self) -> i64 {
        self.next as i64 * self.pace.period
    }

    /// Whether all have been given.
    #[inline(always)]
    pub fn is_over(&self) -> bool {
        self.next >= self.pace.records
    }
}

/// How late results were: from when the last record of a window was due until somebody had its
/// result.
#[derive(Clone, Debug)]
pub struct Stamps {
    pace: Pace,
    /// In nanoseconds.
    pub late: Histogram<u64>,
}

impl Stamps {
    /// None yet.
    pub fn new(pace: Pace) -> Self {
        // Bounds that a histogram can always be made with: whatever is later is so late.
        let late = Histogram::new_with_max(LATEST, 3).unwrap_or_else(|error| panic!("{error}"));
        Self { pace, late }
    }

    /// What time it is.
    #[inline(always)]
    pub fn now(&self) -> i64 {
        self.pace.now()
    }

    /// So many results of the window that ends at this event time are there now.
    #[inline(always)]
    pub fn results(&mut self, end: i64, now: i64, count: u64) {
        let due = self.pace.start + end - self.pace.period;
        if end > self.pace.warm_up && end < self.pace.records as i64 * self.pace.period {
            self.late.saturating_record_n((now - due).max(0) as u64, count);
        }
    }

    /// Takes in those of another thread.
    pub fn merge(&mut self, other: &Self) {
        self.late += &other.late;
    }
}
