//! Readings of many meters: what windows and joins are given.

use serde::{Deserialize, Serialize};

use crate::digest::mix;

/// Event time between two readings, in nanoseconds: a million of them make a second.
pub const PERIOD: i64 = 1_000;
/// Meters that are read where throughput is asked for.
pub const KEYS: u64 = 100_000;
/// How far apart two readings may be that are joined: each has one partner on average.
pub const REACH: i64 = KEYS as i64 * PERIOD;
/// A second of event time.
pub const SECOND: i64 = 1_000_000_000;

/// A reading of one of many meters.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Reading {
    /// When it was taken, in nanoseconds.
    pub at: i64,
    /// Which meter.
    pub key: u32,
    /// What it showed.
    pub value: u32,
}

/// The `index`-th reading, of one of `keys` meters, each as likely.
#[inline(always)]
pub const fn reading(index: u64, keys: u64, period: i64) -> Reading {
    let bits = mix(index);
    Reading {
        at: index as i64 * period,
        key: (((bits >> 32) * keys) >> 32) as u32,
        value: (bits & 0xff) as u32,
    }
}

/// So many readings, in order of time.
pub fn readings(records: u64) -> Vec<Reading> {
    (0..records).map(|index| reading(index, KEYS, PERIOD)).collect()
}

/// Records in a row that one thread reads before the next are those of another.
pub const CHUNK: usize = 1024;

/// What one of several threads reads of records in memory.
pub fn part<T>(all: &[T], thread: usize, threads: usize) -> impl Iterator<Item = &[T]> {
    all.chunks(CHUNK).skip(thread).step_by(threads)
}
