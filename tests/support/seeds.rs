//! Tests under many seeds, and the same again under one that has failed.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// After so many failures of a test the rest would say nothing new.
const FAILURES_MAX: usize = 10;

/// The seeds to try, and whether somebody has asked for just one.
fn seeds(default: u64) -> Range<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = number("MILLSTREAM_SEED") {
        return seed..seed + 1;
    }
    let from = number("MILLSTREAM_SEEDS_FROM").unwrap_or(0);
    from..from + number("MILLSTREAM_SEEDS").unwrap_or(default)
}

/// Calls `check` with each seed, and goes on after one that fails; those that did are named.
pub fn each_seed(default: u64, check: impl Fn(u64)) {
    let mut failed = Vec::new();
    for seed in seeds(default) {
        if catch_unwind(AssertUnwindSafe(|| check(seed))).is_err() {
            eprintln!("seed {seed} fails; MILLSTREAM_SEED={seed} replays it");
            failed.push(seed);
            if failed.len() == FAILURES_MAX {
                eprintln!("as many as {FAILURES_MAX} fail; the rest is not tried");
                break;
            }
        }
    }
    assert!(failed.is_empty(), "failing seeds: {failed:?}; scripts/simulate --seed N replays one");
}
