//! Everything a pipeline run can be told, with its limits and what they cost.

use std::time::Duration;

use crate::error::ConfigError;

/// Which cores the shards run on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shards {
    /// This many, each on a core of its own, chosen by the host's topology.
    Count(usize),
    /// One on each of these CPUs, in this order.
    Pinned(Vec<usize>),
}

impl Shards {
    /// How many shards there are.
    pub fn count(&self) -> usize {
        match self {
            Self::Count(count) => *count,
            Self::Pinned(cpus) => cpus.len(),
        }
    }
}

/// What a shard does when a step found nothing to do. The choice is the driver's; `step` knows
/// nothing of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// Steps again at once, for ever: the shortest reaction, and a core at 100 % day and night.
    Spin,
    /// Spins this long after the last work, then sleeps until a peer wakes it, at most 1 ms at a
    /// time.
    SpinThenPark(Duration),
    /// Sleeps as soon as there is nothing to do, at most 1 ms at a time: an idle shard costs next
    /// to nothing, and the first record after a pause waits for a wake-up (tens of microseconds; up
    /// to 1 ms from a source that must be polled).
    Park,
}

/// Everything a pipeline run can be told.
///
/// A plain struct with named presets: take one and change what differs.
///
/// ```
/// use millstream::{Config, Shards};
/// let config = Config { shards: Shards::Pinned(vec![0, 1]), ..Config::low_latency() };
/// assert!(config.check().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Which cores the shards run on.
    pub shards: Shards,
    /// What a shard does when there is nothing to do.
    pub idle: Idle,
    /// Slots of each ring between two shards; a record takes one, a batch one more. At least 1.
    pub ring_capacity: usize,
    /// Records that a source gives, and a lane delivers, at most a step. At least 1.
    pub batch_max: usize,
    /// Keys that a closing window emits, sub-tables that are cleaned, timers that fire and records
    /// that leave their wait for the watermark, and keys that are copied for a checkpoint, at most
    /// in one slice of work: one slice a step, and one for each batch that the operator takes in
    /// it. At least 1.
    pub fire_max: usize,
    /// Keys that one keyed operator may hold on one shard, over all its open panes; one more is an
    /// error.
    pub keys_max: usize,
    /// Timers that one process function may have set on one shard, over all its keys; one more is
    /// an error.
    pub timers_max: usize,
    /// Records that one call of a process function may emit, over all its outputs; one more is an
    /// error. They wait in buffers while there is no room for them; those take memory for a call
    /// that emits more than `batch_max`, and than any before it.
    pub emits_max: usize,
    /// Records that one operator may hold in window state on one shard, over all its keys, where it
    /// keeps records rather than one accumulator a window; one more is an error. At most 2^27.
    pub records_max: usize,
    /// Records that an embedded input and output hold at most. At least 1.
    pub embedded_capacity: usize,
    /// Seeds the hash of keys, and so the order in which a window's keys come out.
    pub hash_seed: u64,
    /// What the bounded queues of all shards may take together, in bytes.
    pub memory_bytes_max: usize,
    /// Measures where the time of records and results goes, from stamp to stamp. Costs 6 MB a
    /// shard, a look at the clock and seven more entries a batch; without it, nothing is looked at.
    pub breakdown: bool,
    /// Allows more spinning shards than there are cores.
    pub oversubscribe: bool,
}

impl Config {
    /// One shard per core asked for, spinning for ever. Reacts within a microsecond and keeps each
    /// of its cores at 100 % day and night: for hosts whose cores are set apart for it.
    pub fn low_latency() -> Self {
        Self { idle: Idle::Spin, ..Self::default() }
    }

    /// One shard in the caller's own thread, no thread of ours.
    pub fn embedded() -> Self {
        Self { shards: Shards::Count(1), ..Self::default() }
    }

    /// `shards` simulated shards in one thread.
    pub fn simulation(shards: usize) -> Self {
        Self { shards: Shards::Count(shards), ..Self::default() }
    }

    /// Whether this can run, before any thread starts. Whether the CPUs exist is the runtime's
    /// question.
    pub fn check(&self) -> Result<(), ConfigError> {
        let count = self.shards.count();
        if count == 0 {
            return Err(ConfigError::setting("shards", count, "at least one shard is needed"));
        }
        if count > SHARDS_MAX {
            let reason = format!("at most {SHARDS_MAX} shards are supported");
            return Err(ConfigError::setting("shards", count, reason));
        }
        if let Shards::Pinned(cpus) = &self.shards {
            check_distinct(cpus)?;
        }
        within("ring_capacity", self.ring_capacity, QUEUE_MAX)?;
        within("batch_max", self.batch_max, BATCH_MAX)?;
        within("fire_max", self.fire_max, usize::MAX)?;
        within("keys_max", self.keys_max, usize::MAX)?;
        within("timers_max", self.timers_max, TIMERS_MAX)?;
        within("emits_max", self.emits_max, QUEUE_MAX)?;
        within("records_max", self.records_max, RECORDS_MAX)?;
        within("embedded_capacity", self.embedded_capacity, QUEUE_MAX)
    }
}

impl Default for Config {
    /// One shard that spins 50 us after the last work and then sleeps: fit for a laptop and for CI.
    fn default() -> Self {
        Self {
            shards: Shards::Count(1),
            idle: Idle::SpinThenPark(Duration::from_micros(50)),
            ring_capacity: 4096,
            batch_max: 256,
            fire_max: 256,
            keys_max: 1 << 26,
            timers_max: 1 << 26,
            emits_max: 1 << 16,
            records_max: 1 << 26,
            embedded_capacity: 1024,
            hash_seed: 0x6d69_6c6c_7374_7265,
            memory_bytes_max: 1 << 30,
            breakdown: false,
            oversubscribe: false,
        }
    }
}

/// Rings grow with the square of the number of shards.
const SHARDS_MAX: usize = 256;

/// A queue longer than this is a mistake, and would be allocated before it could be refused.
const QUEUE_MAX: usize = 1 << 22;

/// What addresses of 32 bits reach even if each record of it has two chunks of eight to itself.
const RECORDS_MAX: usize = 1 << 27;

/// A batch longer than this is a step longer than anybody wants to wait for.
const BATCH_MAX: usize = 1 << 16;

/// Timers are numbered by 32 bits.
const TIMERS_MAX: usize = u32::MAX as usize - 1;

fn within(setting: &'static str, value: usize, most: usize) -> Result<(), ConfigError> {
    if value == 0 {
        return Err(ConfigError::setting(setting, value, "must be at least 1"));
    }
    if value > most {
        return Err(ConfigError::setting(setting, value, format!("must be at most {most}")));
    }
    Ok(())
}

fn check_distinct(cpus: &[usize]) -> Result<(), ConfigError> {
    let mut sorted = cpus.to_vec();
    sorted.sort_unstable();
    match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(ConfigError::setting("shards", pair[0], "two shards on one CPU")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(config: Config) -> String {
        config.check().map_or_else(|error| error.to_string(), |()| "accepted".to_owned())
    }

    #[test]
    fn impossible_configs_are_named() {
        let none = Config { shards: Shards::Count(0), ..Config::default() };
        assert_eq!(refused(none), "shards = 0: at least one shard is needed");
        let twice = Config { shards: Shards::Pinned(vec![1, 0, 1]), ..Config::default() };
        assert_eq!(refused(twice), "shards = 1: two shards on one CPU");
        let ring = Config { ring_capacity: 0, ..Config::default() };
        assert_eq!(refused(ring), "ring_capacity = 0: must be at least 1");
        let huge = Config { batch_max: usize::MAX, ..Config::default() };
        assert!(refused(huge).ends_with("must be at most 65536"));
        let timers = Config { timers_max: u32::MAX as usize, ..Config::default() };
        assert_eq!(refused(timers), "timers_max = 4294967295: must be at most 4294967294");
        assert_eq!(refused(Config::low_latency()), "accepted");
    }
}
