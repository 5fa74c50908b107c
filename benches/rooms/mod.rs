//! What the rooms of the engine do on a small input, and how one would write it by hand: timed by
//! the benches of the rooms, and counted in instructions by `benches/instructions.rs`.
#![allow(dead_code, reason = "each bench uses some of it")]

pub mod joins;
pub mod panes;
pub mod ring;
pub mod slices;
pub mod table;
pub mod wheel;

use std::cell::Cell;
use std::rc::Rc;

use millstream::{Config, Pipeline, Shard, Timestamp};

/// What came out, the same for the same results in any order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// How many results.
    pub results: u64,
    mix: u64,
}

impl Found {
    /// Adds one result.
    pub fn add(&mut self, key: u64, at: i64, one: u64, other: u64) {
        self.results += 1;
        let odd = (key * 8 + one * 2) | 1;
        self.mix = self.mix.wrapping_add(odd.wrapping_mul(at as u64 ^ (other << 20)));
    }
}

/// Where a pipeline adds up what it found.
#[derive(Clone, Default)]
pub struct Total(Rc<Cell<Found>>);

impl Total {
    /// Adds one result.
    pub fn add(&self, key: u64, at: i64, one: u64, other: u64) {
        let mut found = self.0.get();
        found.add(key, at, one, other);
        self.0.set(found);
    }
}

/// An embedded shard that is to run a pipeline, and where that adds up what it found.
pub struct Ready {
    shard: Shard,
    total: Total,
}

impl Ready {
    /// Builds the pipeline.
    pub fn new(build: impl FnOnce(Pipeline<'_>, Total)) -> Self {
        let total = Total::default();
        let into = total.clone();
        let config = Config { batch_max: 256, ..Config::embedded() };
        let (shard, ()) = Shard::embed(config, |p| {
            build(p, into);
            Ok(())
        })
        .expect("the pipeline is sound");
        Self { shard, total }
    }

    /// Runs it until its input has ended.
    pub fn run(mut self) -> Found {
        while !self.shard.is_done() {
            self.shard.step(Timestamp(0));
        }
        assert!(self.shard.failure().is_none());
        self.total.0.get()
    }
}
