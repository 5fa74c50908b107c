//! How the records of a scenario come: as fast as they are taken, or each when it is due.

use std::time::Duration;

use super::open_loop::{FASTEST, Times};
use crate::cli::args::BenchArgs;
use crate::cli::workload::PERIOD_NS;
use crate::error::ConfigError;
use crate::io::{Arrival, Generator};
use crate::time::{Clock, SystemClock, Timestamp, ns};

/// What the generators of all shards have in common.
#[derive(Clone, Copy, Debug)]
pub struct Feed {
    /// Records that make a second of event time, which in an open loop is a second.
    per_s: f64,
    pace: Pace,
}

#[derive(Clone, Copy, Debug)]
enum Pace {
    /// So many in all.
    FlatOut { records: u64 },
    /// From a moment on, for so long.
    Due { arrival: Arrival, start: Timestamp, span: Duration },
}

impl Feed {
    /// So many records, one every [`PERIOD_NS`] of event time, as fast as they are taken.
    pub fn flat_out(records: u64) -> Self {
        Self { per_s: 1e9 / PERIOD_NS as f64, pace: Pace::FlatOut { records } }
    }

    /// Records as they are due, by the arrivals asked for, from a moment on.
    pub fn due(args: &BenchArgs, per_s: f64, span: Times) -> Self {
        let start = SystemClock::new().now() + span.lead;
        let pace = Pace::Due { arrival: args.load.arrival(), start, span: span.whole() };
        Self { per_s, pace }
    }

    /// As many as can be made, for as long as they are asked for.
    pub fn fastest(args: &BenchArgs) -> Self {
        let (arrival, start) = (args.load.arrival(), Timestamp(0));
        Self { per_s: FASTEST, pace: Pace::Due { arrival, start, span: Duration::MAX } }
    }

    /// One of several streams at the same time, which has this part of the rate.
    pub fn part(self, part: f64) -> Self {
        Self { per_s: self.per_s * part, ..self }
    }

    /// Whether records come when they are due, and not whenever they are taken.
    pub fn is_due(self) -> bool {
        matches!(self.pace, Pace::Due { .. })
    }

    /// How much event time it takes until there were so many records, on average.
    pub fn time_of(self, records: f64) -> Duration {
        ns((records * 1e9 / self.per_s).round().max(1.0) as u64)
    }

    /// What makes every `of`-th of the records, from `index` on.
    ///
    /// # Errors
    /// A rate or arrivals that cannot be.
    pub fn share<T, F>(
        self,
        (index, of): (usize, usize),
        make: F,
    ) -> Result<Generator<F>, ConfigError>
    where
        F: FnMut(u64, Timestamp) -> T,
    {
        let all = match self.pace {
            Pace::FlatOut { records } => Generator::flat_out(self.per_s, make)?.count(records),
            Pace::Due { arrival, start, span } => Generator::at_rate(self.per_s, make)?
                .arrival(arrival)?
                .start_at(start)
                .duration(span),
        };
        Ok(all.share(index, of))
    }
}
