//! The records of the throughput scenarios, the same for the engine and for the baselines.

/// A reading of one of many meters.
#[derive(Clone, Copy, Debug)]
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
