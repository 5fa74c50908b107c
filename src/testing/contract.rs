//! The contract that every operator keeps: the same results in every way records may come.

use std::cell::RefCell;
use std::fmt::{self, Debug};
use std::rc::Rc;

use crate::config::Config;
use crate::dataflow::{Pipeline, SINK, Stage, Stream};
use crate::error::Result;
use crate::shard::Shard;
use crate::sim::Simulation;
use crate::testing::difference::first_difference;
use crate::testing::host::{Feed, Host, Made};
use crate::testing::{Open, Probe, Said, Script, Seen};
use crate::time::Timestamp;

/// Steps of a pipeline that are to be tried; written by [`case!`](crate::case).
///
/// A trait and no closure, because it is built behind different stages: in the same one as the
/// source, and behind an edge.
pub trait Case {
    /// What goes in.
    type In: Clone + Debug + Send + 'static;
    /// What comes out.
    type Out: Clone + Debug + PartialEq + 'static;

    /// Adds the steps to a stream.
    fn build<'p, S: Stage<Out = Self::In>>(
        &self,
        stream: Stream<'p, S>,
    ) -> Stream<'p, impl Stage<Out = Self::Out>>;
}

/// `case!(In => Out, |stream| steps)`: steps for a [`Tester`](crate::testing::Tester), on a stream
/// of `In`. The steps see constants and functions, and no local variables.
#[macro_export]
macro_rules! case {
    ($in:ty => $out:ty, |$stream:ident| $body:expr) => {{
        struct Steps;
        impl $crate::testing::Case for Steps {
            type In = $in;
            type Out = $out;
            fn build<'p, S: $crate::dataflow::Stage<Out = $in>>(
                &self,
                $stream: $crate::dataflow::Stream<'p, S>,
            ) -> $crate::dataflow::Stream<'p, impl $crate::dataflow::Stage<Out = $out>>
            {
                $body
            }
        }
        Steps
    }};
}

/// Steps with an input and what must come of it, tried in every way in which records may come.
///
/// The ways, each with batches of 1, 3 and 256 records and slices of 1 and 256 keys:
///
/// - in the caller's own thread, a step after each record and all output taken at once;
/// - the same, and a [`Snapshot`](crate::Snapshot) after each record, from which a fresh instance
///   of the steps goes on in the place of the one before;
/// - as much input as fits before a step, and output taken late and slowly, so that downstream is
///   full most of the time;
/// - on 1, 2 and 5 simulated shards over rings of one and two slots, under seeds, behind the source
///   and behind an edge, with silence at odd places, and with a sink that refuses every other time.
///
/// Then a sink that shuts for ever: no more comes out than it took, and a shard that can do nothing
/// says so, because a driver could never rest else. And on request,
/// [no allocation in a step](Self::allocating).
///
/// ```
/// use millstream::testing::{Said, Tester};
/// use millstream::{case, ns, Tumbling};
/// use millstream::aggregates::sum;
///
/// let steps = case!(u64 => u64, |stream| {
///     let windows = stream.key_by(|_| ()).window(Tumbling::of(ns(10)));
///     windows.aggregate(sum(|n: &u64| *n)).map(|window| window.value)
/// });
/// let input = [Said::Record(3, 1), Said::Record(12, 2), Said::Watermark(20), Said::Record(25, 4)];
/// Tester::new(steps, input, [(9, 1), (19, 2), (29, 4)]).check();
/// ```
pub struct Tester<C: Case> {
    case: C,
    said: Vec<Said<C::In>>,
    want: Vec<(i64, C::Out)>,
    lane: fn(&C::Out) -> u64,
    allocating: Option<(usize, fn() -> u64)>,
    restores: bool,
}

impl<C: Case> Tester<C> {
    /// The output must be `want`, in this order: timestamps in nanoseconds, and values.
    pub fn new(
        case: C,
        said: impl IntoIterator<Item = Said<C::In>>,
        want: impl IntoIterator<Item = (i64, C::Out)>,
    ) -> Self {
        let (said, want) = (said.into_iter().collect(), want.into_iter().collect());
        Self { case, said, want, lane: |_| 0, allocating: None, restores: true }
    }

    /// Only results of the same lane must be in order, as those of one key: between keys there is
    /// no order on several shards.
    pub fn by(self, lane: fn(&C::Out) -> u64) -> Self {
        Self { lane, ..self }
    }

    /// After the first `warm_up` things that are said, a step of one shard must not allocate.
    /// `calls` says how often this thread has called its allocator so far: it is for a test that
    /// has installed one that counts.
    pub fn allocating(self, warm_up: usize, calls: fn() -> u64) -> Self {
        Self { allocating: Some((warm_up, calls)), ..self }
    }

    /// Leaves out the snapshots. For steps that keep something of their own, in a closure, where no
    /// snapshot finds it.
    pub fn without_restoring(self) -> Self {
        Self { restores: false, ..self }
    }

    /// Runs the case in every way.
    ///
    /// # Panics
    /// Where the contract is broken: it says in which way the records came, and shows the first
    /// difference.
    #[track_caller]
    pub fn check(&self) {
        if let Err(broken) = self.run() {
            panic!("{broken}");
        }
    }

    /// Runs the case in every way until the contract is broken.
    ///
    /// # Errors
    /// The first way in which it is.
    pub fn run(&self) -> Result<(), Broken> {
        for (batch, fire) in [(1, 1), (3, 256), (256, 1)] {
            for (feed, output) in
                [(Feed::OneByOne, 1024), (Feed::AllAtOnce, 1024), (Feed::AllAtOnce, 1)]
            {
                self.embedded(batch, fire, feed, output)?;
            }
            if self.restores {
                self.restored(batch, fire)?;
            }
            for (shards, ring) in [(1, 1), (2, 1), (5, 1), (2, 2), (5, 2)] {
                self.simulated(shards, ring, batch, fire)?;
            }
        }
        [0, 1, 2, 5].into_iter().try_for_each(|until| self.stays_shut(until))?;
        match self.allocating {
            Some((warm_up, calls)) => self.allocates_nothing(warm_up, calls),
            None => Ok(()),
        }
    }

    fn simulated(
        &self,
        shards: usize,
        ring: usize,
        batch: usize,
        fire: usize,
    ) -> Result<(), Broken> {
        for (seed, open) in [(1, Open::Always), (2, Open::Sometimes)] {
            let world = World { shards, ring, batch, fire, seed, open };
            self.simulate(&world, &self.said, true)?;
            self.simulate(&world, &with_silence(&self.said), false)?;
        }
        Ok(())
    }

    /// Once, right behind the source (fused with it), or behind an edge.
    fn simulate(&self, world: &World, said: &[Said<C::In>], fused: bool) -> Result<(), Broken> {
        let seen = Seen::new();
        let ran = world.simulation().run(|p| {
            let script =
                if world.reads(p) { Script::new(said.iter().cloned()) } else { Script::empty() };
            let (stream, probe) = (p.source(script), Probe::new(&seen, world.open, world.batch));
            match fused {
                true => self.case.build(stream).sink_apart(SINK, probe),
                false => self.case.build(stream.boxed()).sink_apart(SINK, probe),
            }
            Ok(())
        });
        let way = || {
            let place = if fused { "behind the source" } else { "behind an edge, with silence" };
            format!("{world}, {place}")
        };
        ran.map_err(|error| Broken { way: way(), what: error.to_string() })?;
        self.judge(&seen, way)
    }

    fn judge(
        &self,
        seen: &Rc<RefCell<Seen<C::Out>>>,
        way: impl Fn() -> String,
    ) -> Result<(), Broken> {
        let seen = seen.borrow();
        seen.faults().map_err(|what| Broken { way: way(), what })?;
        self.compare(&seen.records, way)
    }

    /// In the caller's own thread, by push, step and pop; `capacity` is that of the output.
    fn embedded(
        &self,
        batch: usize,
        fire: usize,
        feed: Feed,
        capacity: usize,
    ) -> Result<(), Broken> {
        let config = Config {
            batch_max: batch,
            fire_max: fire,
            embedded_capacity: capacity,
            ..Config::embedded()
        };
        let way = || format!("embedded, {feed}, {} and room for {capacity}", sizes(batch, fire));
        let broken = |what: String| Broken { way: way(), what };
        let made = self.embed(config).map_err(|error| broken(error.to_string()))?;
        let (shard, (input, output)) = made;
        let mut host = Host::new(shard, output, feed);
        host.feed(input, &self.said).map_err(broken)?;
        self.compare(&host.popped, way)
    }

    /// In the caller's own thread, and after each thing that is said in a fresh shard.
    fn restored(&self, batch: usize, fire: usize) -> Result<(), Broken> {
        let config = Config { batch_max: batch, fire_max: fire, ..Config::embedded() };
        let sizes = sizes(batch, fire);
        let way = || format!("embedded and restored after each record, {sizes}");
        let broken = |what: String| Broken { way: way(), what };
        let made = self.embed(config.clone()).map_err(|error| broken(error.to_string()))?;
        let (shard, (input, output)) = made;
        let mut host = Host::new(shard, output, Feed::OneByOne);
        let make = || self.embed(config.clone());
        let unseen = host.feed_restored(input, &self.said, make).map_err(broken)?;
        self.compare(&host.popped, way).map_err(|Broken { way, what }| {
            if unseen.is_empty() {
                return Broken { way, what };
            }
            let steps = unseen.join(", ");
            let note = "steps that keep something of their own, which is in no snapshot";
            Broken { way, what: format!("{what}\n{note}: {steps}") }
        })
    }

    /// The steps on an embedded shard, behind an edge: so they are compiled twice for each case,
    /// with a source in their stage and without, and not for each way.
    fn embed(&self, config: Config) -> Result<Made<C::In, C::Out>> {
        Shard::embed(config, |p| {
            let (input, stream) = p.input();
            Ok((input, self.case.build(stream.boxed()).output_apart()))
        })
    }

    fn allocates_nothing(&self, warm_up: usize, calls: fn() -> u64) -> Result<(), Broken> {
        let way = format!("embedded, one record at a time, after the first {warm_up}");
        let broken = |what: String| Broken { way: way.clone(), what };
        let made = self.embed(Config::embedded()).map_err(|error| broken(error.to_string()))?;
        let (shard, (input, output)) = made;
        let mut host = Host::new(shard, output, Feed::OneByOne).counting(warm_up, calls);
        host.feed(input, &self.said).map_err(broken)?;
        match host.allocated {
            0 => Ok(()),
            times => Err(broken(format!("steps called the allocator {times} times"))),
        }
    }

    fn compare(&self, got: &[(i64, C::Out)], way: impl Fn() -> String) -> Result<(), Broken> {
        match first_difference(got, &self.want, self.lane) {
            Some(what) => Err(Broken { way: way(), what }),
            None => Ok(()),
        }
    }

    /// Once downstream is full nothing more comes out, and soon there is nothing to do either: a
    /// driver may rest.
    fn stays_shut(&self, until: usize) -> Result<(), Broken> {
        let way = format!("embedded, a sink that shuts for ever after {until} records");
        let broken = |what: String| Broken { way: way.clone(), what };
        let seen = Seen::new();
        let config = Config { batch_max: 2, fire_max: 2, ..Config::embedded() };
        let (mut shard, ()) = Shard::embed(config, |p| {
            let stream = p.source(Script::new(self.said.iter().cloned()));
            let probe = Probe::new(&seen, Open::Until(until), 2);
            self.case.build(stream).sink_apart(SINK, probe);
            Ok(())
        })
        .map_err(|error| broken(error.to_string()))?;
        let last = (0..5_000).map(|now| shard.step(Timestamp(now))).last().unwrap_or_default();
        let taken = seen.borrow().records.len();
        if taken >= until + 2 {
            return Err(broken(format!("it was given {taken} records, more than its last batch")));
        }
        if !last.is_none() {
            return Err(broken(format!("a step that can do nothing says so; it said {last:?}")));
        }
        Ok(())
    }
}

/// A contract that was broken, and in which way the records came when it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// In which way the records came.
    pub way: String,
    /// What was wrong: the first difference, or what a sink may not be given.
    pub what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:\n{}", self.way, self.what)
    }
}

impl std::error::Error for Broken {}

/// Simulated shards.
struct World {
    shards: usize,
    ring: usize,
    batch: usize,
    fire: usize,
    seed: u64,
    open: Open,
}

impl World {
    fn simulation(&self) -> Simulation {
        let config = Config {
            ring_capacity: self.ring,
            batch_max: self.batch,
            fire_max: self.fire,
            hash_seed: self.seed * 77,
            ..Config::simulation(self.shards)
        };
        Simulation::with_config(config, self.seed).steps_max(400_000)
    }

    /// One shard reads everything.
    fn reads(&self, p: Pipeline<'_>) -> bool {
        p.shard() == self.seed as usize % self.shards
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { shards, ring, batch, fire, seed, open } = self;
        write!(f, "{shards} simulated shards under seed {seed}, {}, ", sizes(*batch, *fire))?;
        write!(f, "rings of {ring}, a sink that takes {open}")
    }
}

fn sizes(batch: usize, fire: usize) -> String {
    format!("batches of {batch}, slices of {fire}")
}

/// Silence at odd places: the start, the end, between any two.
fn with_silence<T: Clone>(said: &[Said<T>]) -> Vec<Said<T>> {
    let mut all = vec![Said::Silence(3)];
    for (n, one) in said.iter().enumerate() {
        all.push(one.clone());
        if n % 3 == 1 {
            all.push(Said::Silence(1 + n as u32 % 4));
        }
    }
    all.push(Said::Silence(7));
    all
}
