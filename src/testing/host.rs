//! A program that embeds a shard: it pushes, steps and pops.

use std::fmt::{self, Debug};

use crate::error::{Error, Result};
use crate::shard::{Input, Output, Shard};
use crate::testing::Said;
use crate::time::Timestamp;

/// So many steps without an end are a shard that is stuck.
const STEPS_MAX: u32 = 200_000;

/// How an embedded input is fed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Feed {
    /// A step after each record, and all output taken.
    OneByOne,
    /// As much as it takes before a step, and output taken late and slowly.
    AllAtOnce,
}

impl fmt::Display for Feed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OneByOne => "one record at a time",
            Self::AllAtOnce => "all at once and taken slowly",
        })
    }
}

/// An embedded shard, as it was built.
pub type Made<I, T> = (Shard, (Input<I>, Output<T>));

/// The embedder's own loop.
pub struct Host<T> {
    shard: Shard,
    output: Output<T>,
    now: i64,
    /// What has come out.
    pub popped: Vec<(i64, T)>,
    feed: Feed,
    counting: Option<Counting>,
    /// How often a step has called the allocator.
    pub allocated: u64,
}

/// From which thing said on allocations count, and who counts them.
struct Counting {
    warm_up: usize,
    calls: fn() -> u64,
}

impl<T: 'static> Host<T> {
    pub fn new(shard: Shard, output: Output<T>, feed: Feed) -> Self {
        Self { shard, output, now: 0, popped: Vec::new(), feed, counting: None, allocated: 0 }
    }

    /// Counts the allocations of steps after the first `warm_up` things said.
    pub fn counting(self, warm_up: usize, calls: fn() -> u64) -> Self {
        Self { counting: Some(Counting { warm_up, calls }), ..self }
    }

    /// Says it all, ends the input and waits until everything has come out.
    pub fn feed<I: Clone + Debug + 'static>(
        &mut self,
        mut input: Input<I>,
        said: &[Said<I>],
    ) -> Result<(), String> {
        for one in said {
            self.say(&mut input, one)?;
            if let Some(counting) = &mut self.counting {
                counting.warm_up = counting.warm_up.saturating_sub(1);
            }
        }
        self.end(input)
    }

    /// The same, but after each thing that is said the program begins anew, with another shard made
    /// by `make` and a snapshot of the one before. Returns which steps have something of their own
    /// that is in no snapshot.
    pub fn feed_restored<I: Clone + Debug + 'static>(
        &mut self,
        mut input: Input<I>,
        said: &[Said<I>],
        make: impl Fn() -> Result<Made<I, T>>,
    ) -> Result<Vec<String>, String> {
        let text = |error: Error| error.to_string();
        let mut unseen = Vec::new();
        for one in said {
            self.say(&mut input, one)?;
            self.rest()?;
            let snapshot = self.shard.snapshot().map_err(text)?;
            let (mut shard, (other, output)) = make().map_err(text)?;
            shard.restore(&snapshot).map_err(text)?;
            (self.shard, self.output, input) = (shard, output, other);
            unseen = snapshot.unseen_steps().map(str::to_owned).collect();
        }
        self.end(input)?;
        Ok(unseen)
    }

    /// Says one thing.
    fn say<I: Clone>(&mut self, input: &mut Input<I>, one: &Said<I>) -> Result<(), String> {
        match one {
            Said::Record(at, value) => self.push(input, *at, value)?,
            Said::Watermark(at) => {
                // It is about what is pushed after it, so what was pushed before must be in.
                self.rest()?;
                input.advance_to(Timestamp(*at));
                self.rest()?;
            }
            Said::Silence(steps) => (0..*steps).for_each(|_| self.step()),
        }
        Ok(())
    }

    /// Ends the input and waits until everything has come out.
    fn end<I>(&mut self, input: Input<I>) -> Result<(), String> {
        input.close();
        for _ in 0..STEPS_MAX {
            if let Some(error) = self.shard.failure() {
                return Err(error.to_string());
            }
            if self.shard.is_done() {
                self.pop(usize::MAX);
                return Ok(());
            }
            self.step();
        }
        Err("the input has ended, and the shard is never done".to_owned())
    }

    fn push<I: Clone>(&mut self, input: &mut Input<I>, at: i64, value: &I) -> Result<(), String> {
        let mut steps = 0;
        while input.push(Timestamp(at), value.clone()).is_err() {
            if steps == STEPS_MAX {
                return Err("the input stays full".to_owned());
            }
            steps += 1;
            self.step();
        }
        if self.feed == Feed::OneByOne { self.rest() } else { Ok(()) }
    }

    /// Steps until there is nothing more to do.
    fn rest(&mut self) -> Result<(), String> {
        for _ in 0..STEPS_MAX {
            let is_idle = self.turn();
            if self.pop(usize::MAX) == 0 && is_idle {
                return Ok(());
            }
        }
        Err("the shard never rests".to_owned())
    }

    fn step(&mut self) {
        self.turn();
        match self.feed {
            Feed::OneByOne => self.pop(usize::MAX),
            Feed::AllAtOnce if self.now % 300 == 0 => self.pop(1),
            Feed::AllAtOnce => 0,
        };
    }

    /// One step; returns whether there was nothing to do.
    fn turn(&mut self) -> bool {
        let calls = self.counting.as_ref().filter(|counting| counting.warm_up == 0);
        let calls = calls.map(|counting| counting.calls);
        let before = calls.map_or(0, |calls| calls());
        let work = self.shard.step(Timestamp(self.now));
        self.allocated += calls.map_or(0, |calls| calls()) - before;
        self.now += 100;
        work.is_none()
    }

    fn pop(&mut self, most: usize) -> usize {
        let before = self.popped.len();
        while self.popped.len() - before < most
            && let Some(record) = self.output.pop()
        {
            self.popped.push((record.at.0, record.value));
        }
        self.popped.len() - before
    }
}
