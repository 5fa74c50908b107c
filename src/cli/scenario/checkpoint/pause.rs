//! The steps of one shard during a checkpoint.

use std::thread;
use std::time::{Duration, Instant};

use super::{Amount, sums};
use crate::checkpoint::ShardState;
use crate::cli::workload::mix;
use crate::config::Config;
use crate::dataflow::Epoch;
use crate::error::Result;
use crate::shard::{Input, Shard};
use crate::time::Timestamp;

/// Records that a step takes in.
pub const BATCH: u64 = 64;
/// Checkpoints.
pub const ROUNDS: u64 = 5;

/// How long steps took, in microseconds; medians of some checkpoints.
pub struct Pauses {
    /// The step in which the barrier came through.
    pub barrier_us: f64,
    /// The longest step from that one to the one that ended the checkpoint.
    pub worst_us: f64,
    /// The longest step of as many without a checkpoint.
    pub undisturbed_us: f64,
    /// From the barrier to the last slice.
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
    let (mut rounds, mut last) = (Vec::new(), None);
    for round in 1..=ROUNDS {
        let (pauses, state) = steps.checkpoint(Epoch(round))?;
        rounds.push(pauses);
        // As an engine does, somewhere else: giving memory back takes its time.
        if let Some(before) = last.replace(state) {
            let _ = thread::spawn(move || drop(before)).join();
        }
    }
    let median = |of: fn(&Pauses) -> f64| {
        let mut values: Vec<f64> = rounds.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    let Some(state) = last else { unreachable!("there is more than one round") };
    let pauses = Pauses {
        barrier_us: median(|of| of.barrier_us),
        worst_us: median(|of| of.worst_us),
        undisturbed_us: median(|of| of.undisturbed_us),
        lasted: Duration::from_secs_f64(median(|of| of.lasted.as_secs_f64())),
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
    /// Takes in a batch and returns how long that took, in microseconds.
    fn batch(&mut self, account: impl Fn(u64) -> u64) -> Result<f64> {
        for _ in 0..BATCH {
            self.input.push(Timestamp(self.index as i64), (account(self.index), 1))?;
            self.index += 1;
        }
        Ok(self.step())
    }

    fn step(&mut self) -> f64 {
        let started = Instant::now();
        self.shard.step(Timestamp(self.index as i64));
        started.elapsed().as_secs_f64() * 1e6
    }

    fn checkpoint(&mut self, epoch: Epoch) -> Result<(Pauses, ShardState)> {
        let keys = self.keys;
        let random = move |index| ((u128::from(mix(index)) * u128::from(keys)) >> 64) as u64;
        self.shard.begin_checkpoint(epoch);
        let started = Instant::now();
        let barrier_us = self.step();
        let (mut worst_us, mut steps) = (barrier_us, 1);
        let snapshot = loop {
            if let Some((_, snapshot)) = self.shard.take_checkpoint() {
                break snapshot?;
            }
            worst_us = worst_us.max(self.batch(random)?);
            steps += 1;
        };
        let (lasted, mut undisturbed_us) = (started.elapsed(), 0f64);
        for _ in 0..steps {
            undisturbed_us = undisturbed_us.max(self.batch(random)?);
        }
        let (state, filled) = (ShardState::from(snapshot), Duration::ZERO);
        let bytes = state.bytes();
        Ok((Pauses { barrier_us, worst_us, undisturbed_us, lasted, bytes, filled }, state))
    }
}
