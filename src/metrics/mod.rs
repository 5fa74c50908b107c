//! What a shard says about itself: counters, and latency as a distribution and over time.
//!
//! A counter has one writer, its shard, and any number of readers on other cores. Latency belongs
//! to its shard alone and is merged when a report is made. Both are allocated when they are built,
//! and recording neither allocates, nor blocks, nor fails.
//!
//! May not know what a record or a shard is: it knows numbers and `crate::time`. Start with
//! `counter.rs`.

mod breakdown;
mod counter;
#[cfg(any(feature = "net", feature = "web"))]
mod counts;
mod histogram;
mod series;

pub use breakdown::{Breakdown, Stamps};
pub use counter::{Counter, Counters, Kind, ShardCounters, Share};
#[cfg(any(feature = "net", feature = "web"))]
pub(crate) use counts::counts;
#[cfg(feature = "cli")]
pub use histogram::write_log;
pub use histogram::{Latency, Percentiles};
pub use series::{Point, Series};
