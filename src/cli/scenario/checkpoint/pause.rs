//! The steps of one shard during a checkpoint.

use std::thread;
use std::time::{Duration, Instant};

use super::{Amount, sums};
use crate::checkpoint::ShardState;
use crate::cli::workload::mix;
use crate::config::Config;
use crate::dataflow::Epoch;
use crate::error::Result;
use crate::metrics::Latency;
use crate::shard::{Input, Shard};
use crate::time::Timestamp;

/// Records that a step takes in.
pub const BATCH: u64 = 64;
/// Steps that are looked at, at least: so many that a few in which the host was away are above
/// their p99.9.
const STEPS: u64 = 20_000;

/// How long steps took, over some checkpoints.
pub struct Pauses {
    /// The step in which the barrier came through, in microseconds; median.
    pub barrier_us: f64,
    /// Steps from the one behind the barrier to the one that ended the checkpoint.
    pub during: Latency,
    /// As many without a checkpoint.
    pub without: Latency,
    /// From the barrier to the last slice; median.
    pub lasted: Duration,
    /// How much was copied.
    pub bytes: usize,
    /// How long it took to fill the state.
    pub filled: Duration,
}

/// A shard with the sums of some accounts.
pub(super) fn shard() -> Result<(Shard, Input<Amount>)> {
    Shard::embed(Config::embedded(), |p| {
        let (input, amounts) = p.input();
        sums(amounts).for_each(drop);
        Ok(input)
    })
}

/// Takes checkpoints of the sums of so many accounts, and returns the last one too.
pub fn of(keys: u32) -> Result<(Pauses, ShardState)> {
    let (shard, input) = shard()?;
    let mut steps = Steps { shard, input, keys: keys.into(), index: 0 };
    let started = Instant::now();
    while steps.index < steps.keys {
        steps.batch(|index| index)?;
    }
    let filled = started.elapsed();
    // The first one takes fresh memory, which those behind it use again.
    steps.checkpoint(Epoch(1), &mut Latency::new())?;
    let (mut during, mut without) = (Latency::new(), Latency::new());
    let (mut barriers, mut lasted, mut round) = (Vec::new(), Vec::new(), 1);
    let state = loop {
        round += 1;
        let (barrier, copied, state) = steps.checkpoint(Epoch(round), &mut during)?;
        barriers.push(barrier);
        lasted.push(copied);
        while without.samples() < during.samples() {
            steps.measured(&mut without)?;
        }
        if during.samples() >= STEPS && round >= 4 {
            break state;
        }
        // As an engine does, somewhere else: giving memory back takes its time.
        let _ = thread::spawn(move || drop(state)).join();
    };
    barriers.sort_unstable();
    lasted.sort_unstable();
    let pauses = Pauses {
        barrier_us: barriers[barriers.len() / 2].as_secs_f64() * 1e6,
        during,
        without,
        lasted: lasted[lasted.len() / 2],
        bytes: state.bytes(),
        filled,
    };
    Ok((pauses, state))
}

struct Steps {
    shard: Shard,
    input: Input<Amount>,
    keys: u64,
    index: u64,
}

impl Steps {
    /// Takes in a batch and returns how long that took.
    fn batch(&mut self, account: impl Fn(u64) -> u64) -> Result<Duration> {
        for _ in 0..BATCH {
            self.input.push(Timestamp(self.index as i64), (account(self.index), 1))?;
            self.index += 1;
        }
        Ok(self.step())
    }

    fn step(&mut self) -> Duration {
        let started = Instant::now();
        self.shard.step(Timestamp(self.index as i64));
        started.elapsed()
    }

    /// Takes in a batch of accounts at random.
    fn measured(&mut self, into: &mut Latency) -> Result<()> {
        let keys = self.keys;
        let random = |index| ((u128::from(mix(index)) * u128::from(keys)) >> 64) as u64;
        let took = self.batch(random)?;
        into.record(Timestamp(self.index as i64), took.as_nanos() as u64, 1);
        Ok(())
    }

    /// Takes a checkpoint. Returns how long the step of the barrier took, how long it was until all
    /// was copied, and what was.
    fn checkpoint(
        &mut self,
        epoch: Epoch,
        during: &mut Latency,
    ) -> Result<(Duration, Duration, ShardState)> {
        self.shard.begin_checkpoint(epoch);
        let started = Instant::now();
        let barrier = self.step();
        loop {
            if let Some((_, snapshot)) = self.shard.take_checkpoint() {
                return Ok((barrier, started.elapsed(), snapshot?.into()));
            }
            self.measured(during)?;
        }
    }
}
