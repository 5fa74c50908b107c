//! Clocks that jump.

use fastrand::Rng;

use crate::time::Timestamp;

/// One step in so many comes after a jump.
const EVERY: u64 = 300;

/// The furthest back that a clock is set, in nanoseconds.
const BACK_NS: i64 = 200_000;

/// The furthest ahead: now and then an hour, mostly less than a second.
const AHEAD_NS: [i64; 4] = [50_000, 5_000_000, 900_000_000, 3_600_000_000_000];

/// What the clock of each shard is ahead of the time, in nanoseconds.
pub struct Jumps {
    rng: Rng,
    ahead: Vec<i64>,
}

impl Jumps {
    /// Clocks that are right.
    pub fn new(seed: u64) -> Self {
        Self { rng: Rng::with_seed(seed ^ 0x3a3b), ahead: Vec::new() }
    }

    /// What the clock of a shard shows at a time.
    pub fn shown(&mut self, shard: usize, now: Timestamp) -> Timestamp {
        // There may be more of them after a crash.
        self.ahead.resize(self.ahead.len().max(shard + 1), 0);
        if self.rng.u64(..EVERY) == 0 {
            let by = match self.rng.bool() {
                true => -self.rng.i64(0..BACK_NS),
                false => {
                    let most = AHEAD_NS[self.rng.usize(..AHEAD_NS.len())];
                    self.rng.i64(0..most)
                }
            };
            self.ahead[shard] = self.ahead[shard].saturating_add(by);
        }
        now.offset(self.ahead[shard])
    }
}
