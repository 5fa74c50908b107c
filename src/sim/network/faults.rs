//! How bad a simulated network is.

use std::ops::Range;
use std::time::Duration;

use fastrand::Rng;

/// What a [`SimNetwork`](crate::sim::SimNetwork) does to those who use it. What happens one time in
/// so many never does where that is 0.
#[derive(Clone, Debug, PartialEq)]
pub struct NetFaults {
    /// How long bytes and datagrams take, in nanoseconds.
    pub latency_ns: Range<u64>,
    /// Bytes that a connection carries in a millisecond, each way.
    pub bytes_per_ms: u64,
    /// Bytes that were sent and not read, each way: then the window is closed.
    pub window: usize,
    /// One advance of time in so many resets a connection, somewhere within what it carries.
    pub reset_every: u64,
    /// One in so many leaves a connection without one of its ends, and the other is not told.
    pub vanish_every: u64,
    /// One in so many parts the network in two for a while.
    pub part_every: u64,
    /// How long that is at most.
    pub part_max: Duration,
    /// One attempt to connect in so many is refused.
    pub refuse_every: u64,
    /// When the end of a connection whose other end is gone hears of it, which is what the
    /// kernel's keep-alive is for.
    pub dead_after: Duration,
    /// One datagram in so many is lost, comes twice, or is cut.
    pub lose_every: u64,
    /// See above.
    pub twice_every: u64,
    /// See above.
    pub cut_every: u64,
    /// Datagrams that wait at an address until there is no room for more.
    pub datagrams_max: usize,
}

impl NetFaults {
    /// A network on which nothing goes wrong, though it takes its time.
    pub fn none() -> Self {
        Self {
            latency_ns: 1_000..20_000,
            bytes_per_ms: 1 << 20,
            window: 16 << 10,
            reset_every: 0,
            vanish_every: 0,
            part_every: 0,
            part_max: Duration::from_micros(500),
            refuse_every: 0,
            dead_after: Duration::from_millis(1),
            lose_every: 0,
            twice_every: 0,
            cut_every: 0,
            datagrams_max: 1 << 10,
        }
    }

    /// Some of everything, under a seed.
    pub fn random(rng: &mut Rng) -> Self {
        let mut one_in = |choices: [u64; 4]| choices[rng.usize(..4)];
        let (reset_every, vanish_every) =
            (one_in([0, 400, 2_000, 8_000]), one_in([0, 0, 2_000, 8_000]));
        let (part_every, refuse_every) = (one_in([0, 0, 4_000, 10_000]), one_in([0, 0, 2, 10]));
        let (lose_every, twice_every) = (one_in([0, 3, 10, 100]), one_in([0, 3, 10, 100]));
        let cut_every = one_in([0, 0, 10, 50]);
        let far = [5_000, 50_000, 300_000][rng.usize(..3)];
        let latest = rng.u64(1_001..far);
        Self {
            latency_ns: rng.u64(1..1_001)..latest,
            bytes_per_ms: 1 << rng.u32(12..24),
            window: [1, 17, 300, 4 << 10, 64 << 10][rng.usize(..5)],
            reset_every,
            vanish_every,
            part_every,
            refuse_every,
            lose_every,
            twice_every,
            cut_every,
            datagrams_max: [3, 50, 1_000][rng.usize(..3)],
            ..Self::none()
        }
    }
}

/// Whether it is that one time in so many.
pub fn strikes(rng: &mut Rng, every: u64) -> bool {
    every > 0 && rng.u64(..every) == 0
}
