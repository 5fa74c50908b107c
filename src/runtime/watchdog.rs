//! Notices a shard that does not come back from a step.

use std::time::{Duration, Instant};

use crate::metrics::Counter;
use crate::runtime::monitor::Monitor;

/// It looks so often while its patience lasts, and no more often than each millisecond: a shard on
/// the same core would lose that for some microseconds each time.
const LOOKS: u32 = 8;
const LOOK_MIN: Duration = Duration::from_millis(1);

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

    /// Waits until all shards have ended, or one is stuck: which, then. Sleeps meanwhile, all the
    /// time if it finds no shard stuck anyway.
    pub fn wait(&mut self) -> Option<usize> {
        let look = self.patience.map(|patience| (patience / LOOKS).max(LOOK_MIN));
        while !self.monitor.wait_for_ends(look) {
            if let Some(stuck) = (0..self.seen.len()).find(|&shard| self.is_stuck(shard)) {
                return Some(stuck);
            }
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    /// How often this thread has gone to sleep so far.
    fn sleeps() -> u64 {
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.unwrap().trim().parse().unwrap()
    }

    /// Who has nothing to look for wakes when the last shard ends, and not before: on one core each
    /// wake-up takes that from a shard.
    #[test]
    fn whoever_waits_sleeps_until_the_end() {
        let monitor = Monitor::new(2);
        let (ends, (waited, waits)) = (monitor.clone(), channel());
        std::thread::spawn(move || {
            let before = sleeps();
            let stuck = Watchdog::new(monitor.clone(), None).wait();
            let ended = monitor.has_ended(0) && monitor.has_ended(1);
            waited.send((stuck, ended, sleeps() - before)).unwrap();
        });
        std::thread::sleep(Duration::from_millis(150));
        ends.end(1);
        std::thread::sleep(Duration::from_millis(150));
        ends.end(0);
        let (stuck, ended, slept) = waits.recv_timeout(Duration::from_secs(20)).unwrap();
        assert_eq!((stuck, ended), (None, true));
        assert!(slept < 30, "{slept} times within 300 ms");
    }

    /// One that stands is found, also where the others end meanwhile; before its first step none
    /// is missed.
    #[test]
    fn a_shard_that_stands_is_found() {
        let monitor = Monitor::new(3);
        monitor.shard(2).add(Counter::Steps, 5);
        monitor.end(0);
        let mut watchdog = Watchdog::new(monitor.clone(), Some(Duration::from_millis(20)));
        assert_eq!(watchdog.wait(), Some(2));
        monitor.end(2);
        monitor.end(1);
        assert_eq!(watchdog.wait(), None);
    }
}
