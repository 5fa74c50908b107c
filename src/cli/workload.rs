//! The records of the throughput scenarios, the same for the engine and for the baselines.

use serde::{Deserialize, Serialize};

/// A reading of one of many meters.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Reading {
    /// Which meter.
    pub key: u64,
    /// What it showed.
    pub value: u32,
}

/// Event time between two readings: a million of them make a second.
pub const PERIOD_NS: i64 = 1_000;

/// The length of a window.
pub const WINDOW_NS: i64 = 1_000_000_000;

/// Spreads an integer over all bits (the finaliser of splitmix64, Steele et al., OOPSLA 2014).
#[inline(always)]
pub const fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The `index`-th reading, of one of `keys` meters, each as likely.
#[inline(always)]
pub const fn reading(index: u64, keys: u64) -> Reading {
    let bits = mix(index);
    Reading { key: ((bits >> 32) * keys) >> 32, value: (bits & 0xff) as u32 }
}

/// The `index`-th reading of the share `part` of `parts`: its keys are those that leave the rest
/// `part` when divided by `parts`.
#[inline(always)]
pub const fn reading_of_part(index: u64, keys: u64, part: u64, parts: u64) -> Reading {
    let Reading { key, value } = reading(index, keys / parts);
    Reading { key: key * parts + part, value }
}

/// The `index`-th reading where every other one is of meter 0, at random, and all others are of one
/// of `keys` meters.
#[inline(always)]
pub const fn skewed_reading(index: u64, keys: u64) -> Reading {
    let reading = reading(index, keys);
    let is_hot = mix(index) & 0x100 == 0;
    Reading { key: if is_hot { 0 } else { reading.key }, ..reading }
}

/// A reading that may come behind others that were taken after it.
#[derive(Clone, Copy, Debug)]
pub struct Delayed {
    /// What was read.
    pub reading: Reading,
    /// When, in nanoseconds.
    pub at: i64,
}

/// The `index`-th reading to come, of one of `keys` meters, at this time in nanoseconds. One in ten
/// has been under way for some time, less than `delay_ns`; none was taken before time 0.
#[inline(always)]
pub const fn delayed(index: u64, at: i64, keys: u64, delay_ns: i64) -> Delayed {
    let bits = mix(index ^ 0x9e37_79b9_7f4a_7c15);
    let behind = match ((bits & 0xffff) * 10) >> 16 {
        0 => (((bits >> 32) * delay_ns as u64) >> 32) as i64,
        _ => 0,
    };
    let at = at - behind;
    Delayed { reading: reading(index, keys), at: if at < 0 { 0 } else { at } }
}
