//! Waiting for what others do.

use std::time::{Duration, Instant};

/// Nothing takes so long but what never comes.
pub const LONGEST: Duration = Duration::from_secs(60);

/// Waits until something holds.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < LONGEST, "{what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
