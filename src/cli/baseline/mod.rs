//! Hand-written programs that do what a pipeline does, and nothing else: what the engine is
//! measured beside. Each is what a careful programmer writes in an afternoon, with the obvious
//! tools; none is slowed down on purpose.

pub mod advertising;
pub mod asof;
pub mod codecs;
pub mod disk;
pub mod exchange;
pub mod joins;
pub mod ping_pong;
pub mod process;
pub mod sessions;
pub mod sliding;
#[cfg(feature = "net")]
pub mod sockets;
pub mod tables;
pub mod window;

/// What a keyed count and sum came to, in a form that does not depend on the order of results.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Checksum {
    /// How many results there were.
    pub results: u64,
    hash: u64,
}

impl Checksum {
    /// Takes in the result of one window for one key.
    #[inline]
    pub fn add(&mut self, key: u64, end: i64, count: u64, sum: u64) {
        self.results += 1;
        let mixed = super::workload::mix(key ^ (end as u64).rotate_left(17));
        self.hash = self.hash.wrapping_add(mixed ^ count.rotate_left(40) ^ sum);
    }

    /// Takes in the result of one session for one key.
    #[inline]
    pub fn add_session(&mut self, key: u64, [start, end]: [i64; 2], count: u64, sum: u64) {
        self.add(key ^ (start as u64).rotate_left(31), end, count, sum);
    }

    /// Takes in a pair of two readings of one key, whichever of them came first.
    #[inline]
    pub fn add_pair(&mut self, key: u64, at: i64, one: u32, other: u32) {
        self.add(key, at, u64::from(one) + u64::from(other), u64::from(one) * u64::from(other));
    }

    /// Takes in what happened to a row. What it comes to is that of the rows that are left,
    /// whatever they were before.
    #[inline]
    pub fn change(&mut self, key: u64, before: Option<u64>, after: Option<u64>) {
        let hash = |row| super::workload::mix(key ^ super::workload::mix(row));
        let (old, new) = (before.map_or(0, hash), after.map_or(0, hash));
        self.hash = self.hash.wrapping_add(new).wrapping_sub(old);
        self.results = self.results + u64::from(after.is_some()) - u64::from(before.is_some());
    }

    /// The number that results come to, beside how many there are.
    pub const fn hash(&self) -> u64 {
        self.hash
    }

    /// Takes in what another shard or thread found.
    pub fn merge(&mut self, other: Self) {
        self.results += other.results;
        self.hash = self.hash.wrapping_add(other.hash);
    }
}
