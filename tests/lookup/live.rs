//! A shard under a real clock, in the test's own thread.
#![allow(dead_code)] // Without servers there is less to ask.

use std::time::Instant;

use millstream::io::MemorySource;
use millstream::time::{Clock, SystemClock};
use millstream::{Config, Input, Output, Pipeline, Record, Result, Shard, Timestamp};

use crate::eventually::LONGEST;

/// The numbers, a nanosecond apart.
pub fn numbers(numbers: std::ops::Range<u64>) -> MemorySource<u64> {
    let record = |n: u64| Record::new(Timestamp(n as i64), n);
    MemorySource::new(numbers.map(record).collect::<Vec<_>>())
}

/// A shard that the test steps.
pub struct Live<T> {
    pub shard: Shard,
    input: Option<Input<u64>>,
    output: Output<T>,
    clock: SystemClock,
    /// What has come out.
    pub values: Vec<T>,
}

impl<T: 'static> Live<T> {
    pub fn new(build: impl for<'p> FnOnce(Pipeline<'p>) -> Result<Output<T>>) -> Self {
        let (shard, output) = Shard::embed(Config::embedded(), build).expect("it builds");
        Self { shard, input: None, output, clock: SystemClock::new(), values: Vec::new() }
    }

    /// One whose input is what the test asks.
    pub fn asking(
        build: impl for<'p> FnOnce(Pipeline<'p>) -> Result<(Input<u64>, Output<T>)>,
    ) -> Self {
        let built = Shard::embed(Config::embedded(), build);
        let (shard, (input, output)) = built.expect("it builds");
        let (input, clock) = (Some(input), SystemClock::new());
        Self { shard, input, output, clock, values: Vec::new() }
    }

    /// Asks about these, and waits for what comes of them all.
    pub fn ask(&mut self, numbers: impl IntoIterator<Item = u64>) -> Vec<T> {
        let mut asked = 0;
        for number in numbers {
            asked += 1;
            let input = self.input.as_mut().expect("it is asked");
            input.push(Timestamp(0), number).expect("there is room");
        }
        self.until(|values| values.len() >= asked);
        std::mem::take(&mut self.values)
    }

    /// Steps until so much has come out, or the input has ended.
    pub fn until(&mut self, mut enough: impl FnMut(&[T]) -> bool) {
        let begun = Instant::now();
        while !enough(&self.values) && !self.shard.is_done() {
            self.shard.step(self.clock.now());
            if let Some(error) = self.shard.take_failure() {
                panic!("{error}");
            }
            self.values.extend(std::iter::from_fn(|| self.output.pop()).map(|record| record.value));
            assert!(begun.elapsed() < LONGEST, "only {} have come", self.values.len());
            std::thread::yield_now();
        }
        self.values.extend(std::iter::from_fn(|| self.output.pop()).map(|record| record.value));
    }

    /// Steps until the input has ended and all is out.
    pub fn finish(mut self) -> Vec<T> {
        self.until(|_| false);
        self.values
    }
}
