//! Simulated worlds: how many shards, how small the queues, which seed.

use std::cell::RefCell;
use std::fmt::Debug;
use std::rc::Rc;

use fastrand::Rng;
use millstream::aggregates::{
    Count, First, Last, Max, Min, Sum, count, first, last, max, min, sum,
};
use millstream::io::MemorySource;
use millstream::sim::Outcome;
use millstream::time::BoundedDisorder;
use millstream::window::Window;
use millstream::{Config, Pipeline, Record, Result, Simulation, Sliding, Stage, Stream, Timestamp};
use millstream::{Watermarks, Windowed, ns};
use proptest::prelude::*;

use super::model::{Cut, Fired, Row, Value};
use super::{Open, Probe, Seen};

/// Everything that must not change the results.
#[derive(Clone, Debug)]
pub struct World {
    pub shards: usize,
    pub ring: usize,
    pub batch: usize,
    pub fire: usize,
    pub seed: u64,
    pub hash_seed: u64,
    /// The shard that reads a source which only one shard reads.
    pub home: usize,
    pub open: Open,
}

const SHARDS: [usize; 4] = [1, 2, 3, 5];
const RINGS: [usize; 4] = [1, 2, 7, 64];
const BATCHES: [usize; 4] = [1, 2, 7, 256];
const FIRES: [usize; 3] = [1, 3, 256];

impl World {
    /// One drawn from a seed.
    pub fn random(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed ^ 0x5eed);
        let mut draw = |choices: &[usize]| choices[rng.usize(..choices.len())];
        let (shards, ring) = (draw(&SHARDS), draw(&RINGS));
        let (batch, fire) = (draw(&BATCHES), draw(&FIRES));
        let open = if rng.bool() { Open::Always } else { Open::Sometimes };
        let home = rng.usize(..shards);
        Self { shards, ring, batch, fire, seed, hash_seed: rng.u64(..), home, open }
    }

    /// Any, with a simpler one to shrink to.
    pub fn any() -> impl Strategy<Value = Self> {
        let sizes = (
            prop::sample::select(&SHARDS[..]),
            prop::sample::select(&RINGS[..]),
            prop::sample::select(&BATCHES[..]),
            prop::sample::select(&FIRES[..]),
        );
        let open = prop_oneof![Just(Open::Always), Just(Open::Sometimes)];
        (sizes, any::<[u64; 2]>(), 0..5usize, open).prop_map(|(sizes, seeds, home, open)| {
            let (shards, ring, batch, fire) = sizes;
            let ([seed, hash_seed], home) = (seeds, home % shards);
            Self { shards, ring, batch, fire, seed, hash_seed, home, open }
        })
    }

    pub fn simulation(&self) -> Simulation {
        let config = Config {
            ring_capacity: self.ring,
            batch_max: self.batch,
            fire_max: self.fire,
            hash_seed: self.hash_seed,
            ..Config::simulation(self.shards)
        };
        Simulation::with_config(config, self.seed).steps_max(10_000_000)
    }

    pub fn run(&self, build: impl Fn(Pipeline<'_>) -> Result<()>) -> Outcome {
        self.simulation().run(build).unwrap_or_else(|error| panic!("{error}\nin {self:?}"))
    }

    /// The rows on the home shard, nothing on the others.
    pub fn source(&self, p: Pipeline<'_>, rows: &[Row]) -> MemorySource<Row> {
        if p.shard() == self.home { memory(rows) } else { MemorySource::empty() }
    }
}

/// The rows as records of the same time.
pub fn memory(rows: &[Row]) -> MemorySource<Row> {
    let records = rows.iter().map(|row| Record::new(Timestamp(row.at), *row));
    MemorySource::new(records.collect::<Vec<_>>())
}

/// Ends a stream in a probe.
pub fn watch<T: Debug + 'static>(
    stream: Stream<'_, impl Stage<Out = T>>,
    seen: &Rc<RefCell<Seen<T>>>,
    world: &World,
) {
    stream.sink(Probe::new(seen, world.open, world.batch));
}

/// The engine's window for a model's.
pub fn window_of(cut: Cut) -> impl Window {
    let [size, slide, offset] = [cut.size, cut.slide, cut.offset].map(|n| ns(n as u64));
    Sliding::of(size).every(slide).offset(offset)
}

pub fn at(row: &Row) -> Timestamp {
    Timestamp(row.at)
}

pub type Field = fn(&Row) -> i64;
pub type All = (Count, Sum<Field>, Min<Field>, Max<Field>, First<Field>, Last<Field>);

/// The engine's aggregate for the model's value.
pub fn all() -> All {
    let value: Field = |row| row.value;
    (
        count(),
        sum::<Row, i64, Field>(value),
        min::<Row, i64, Field>(value),
        max::<Row, i64, Field>(value),
        first::<Row, i64, Field>(value),
        last::<Row, i64, Field>(value),
    )
}

/// What can be deducted of it, for the same model without the rest.
pub fn invertible() -> (Count, Sum<Field>) {
    (count(), sum::<Row, i64, Field>(|row| row.value))
}

pub fn disordered(disorder: i64) -> Watermarks<BoundedDisorder> {
    Watermarks::bounded_disorder(ns(disorder as u64))
}

/// Where several sources meet, the first and the last of equal times depend on their pace.
pub fn without_order(result: Windowed<u64, Value>) -> Windowed<u64, Value> {
    let (count, sum, min, max, ..) = result.value;
    Windowed { value: (count, sum, min, max, 0, 0), ..result }
}

/// An invertible result, with nothing in the place of the rest.
pub fn with_zeros(result: Windowed<u64, (u64, i64)>) -> Windowed<u64, Value> {
    let Windowed { key, span, value: (count, sum), timing } = result;
    Windowed { key, span, value: (count, sum, 0, 0, 0, 0), timing }
}

/// A result as the model writes it.
pub fn fired(result: Windowed<u64, Value>) -> Fired {
    let Windowed { key, span, value, timing } = result;
    Fired { end: span.end.0, start: span.start.0, key, value, timing }
}

/// Results as the model writes them; each must carry the time that was promised.
pub fn results(seen: &Rc<RefCell<Seen<Windowed<u64, Value>>>>) -> Vec<Fired> {
    let seen = seen.borrow();
    seen.check_over();
    let result = |(at, result): &(i64, Windowed<u64, Value>)| {
        let end = result.span.end.0;
        assert_eq!(*at, end - 1, "a result has the last instant of its window");
        fired(*result)
    };
    seen.records.iter().map(result).collect()
}

/// What was seen, without its times.
pub fn values<T: Clone>(seen: &Rc<RefCell<Seen<T>>>) -> Vec<T> {
    let seen = seen.borrow();
    seen.check_over();
    seen.records.iter().map(|(_, value)| value.clone()).collect()
}
