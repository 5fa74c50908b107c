//! Notices a shard that does not come back from a step.

use std::time::{Duration, Instant};

use crate::metrics::Counter;
use crate::runtime::monitor::Monitor;

/// How often it looks.
const LOOK: Duration = Duration::from_millis(1);

/// Watches the shards of one run: each of them steps at least once a millisecond, also when there
/// is nothing to do.
pub struct Watchdog {
    monitor: Monitor,
    patience: Option<Duration>,
    /// The steps of each shard when they were last seen to move, and when that was.
    seen: Vec<(u64, Instant)>,
}

impl Watchdog {
    /// One that finds a shard stuck after so long in one step; never, unless said.
    pub fn new(monitor: Monitor, patience: Option<Duration>) -> Self {
        let now = Instant::now(); // tidy: on the thread that waits for the shards
        let seen = vec![(0, now); monitor.shards()];
        Self { monitor, patience, seen }
    }

    /// Waits until all shards have ended, or one is stuck: which, then.
    pub fn wait(&mut self) -> Option<usize> {
        let shards = 0..self.seen.len();
        while shards.clone().any(|shard| !self.monitor.has_ended(shard)) {
            if let Some(stuck) = shards.clone().find(|&shard| self.is_stuck(shard)) {
                return Some(stuck);
            }
            std::thread::sleep(LOOK);
        }
        None
    }

    fn is_stuck(&mut self, shard: usize) -> bool {
        let Some(patience) = self.patience else { return false };
        let steps = self.monitor.shard(shard).get(Counter::Steps);
        let (before, moved_at) = &mut self.seen[shard];
        // Before its first step it is being built, which may take its time.
        if steps != *before || steps == 0 || self.monitor.has_ended(shard) {
            (*before, *moved_at) = (steps, Instant::now()); // tidy: as above
        }
        moved_at.elapsed() >= patience
    }
}
