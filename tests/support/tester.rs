//! One tester for every operator: the same case in every way it may come about.

use std::collections::BTreeMap;
use std::fmt::Debug;

use millstream::{Config, Input, Output, Shard, Stage, Stream, Timestamp};

use super::probe::{Open, Seen};
use super::script::{Said, Script};
use super::world::{World, watch};

/// Steps under test. Written by [`case!`](crate::case).
pub trait Case {
    type In: Clone + Debug + Send + 'static;
    type Out: Clone + Debug + PartialEq + 'static;

    fn build<'p, S: Stage<Out = Self::In>>(
        &self,
        stream: Stream<'p, S>,
    ) -> Stream<'p, impl Stage<Out = Self::Out>>;
}

/// `case!(In => Out, |stream| steps)`: a [`Case`]. A closure cannot be generic over the stage.
#[macro_export]
macro_rules! case {
    ($in:ty => $out:ty, |$stream:ident| $body:expr) => {{
        struct Steps;
        impl $crate::support::tester::Case for Steps {
            type In = $in;
            type Out = $out;
            fn build<'p, S: millstream::Stage<Out = $in>>(
                &self,
                $stream: millstream::Stream<'p, S>,
            ) -> millstream::Stream<'p, impl millstream::Stage<Out = $out>> {
                $body
            }
        }
        Steps
    }};
}

/// A case with its input and what must come of it.
pub struct Tester<C: Case> {
    case: C,
    said: Vec<Said<C::In>>,
    want: Vec<(i64, C::Out)>,
    lane: fn(&C::Out) -> u64,
}

const STEPS_MAX: u32 = 200_000;

impl<C: Case> Tester<C> {
    /// The output must be `want`, in this order.
    pub fn new(
        case: C,
        said: impl IntoIterator<Item = Said<C::In>>,
        want: impl IntoIterator<Item = (i64, C::Out)>,
    ) -> Self {
        let (said, want) = (said.into_iter().collect(), want.into_iter().collect());
        Self { case, said, want, lane: |_| 0 }
    }

    /// Only records of the same lane must be in order, as those of one key.
    pub fn by(self, lane: fn(&C::Out) -> u64) -> Self {
        Self { lane, ..self }
    }

    /// Runs the case in every way.
    pub fn check(&self) {
        for (batch, fire) in [(1, 1), (3, 256), (256, 1)] {
            self.embedded(batch, fire, Feed::OneByOne, 1024);
            self.embedded(batch, fire, Feed::AllAtOnce, 1024);
            self.embedded(batch, fire, Feed::AllAtOnce, 1);
            for (shards, ring) in [(1, 1), (2, 1), (5, 1), (2, 2), (5, 2)] {
                self.simulated(shards, ring, batch, fire);
            }
        }
        [0, 1, 2, 5].into_iter().for_each(|until| self.stays_shut(until));
    }

    fn simulated(&self, shards: usize, ring: usize, batch: usize, fire: usize) {
        for (seed, open) in [(1, Open::Always), (2, Open::Sometimes)] {
            let (hash_seed, home) = (seed * 77, seed as usize % shards);
            let world = World { shards, ring, batch, fire, seed, hash_seed, home, open };
            self.simulate(&world, &self.said, true);
            self.simulate(&world, &with_silence(&self.said), false);
        }
    }

    /// Once, right behind the source (fused with it), or behind an edge.
    fn simulate(&self, world: &World, said: &[Said<C::In>], fused: bool) {
        let seen = Seen::new();
        world.run(|p| {
            let script = if p.shard() == world.home {
                Script::new(said.iter().cloned())
            } else {
                Script::empty()
            };
            let stream = p.source(script);
            if fused {
                watch(self.case.build(stream), &seen, world);
            } else {
                watch(self.case.build(stream.boxed()), &seen, world);
            }
            Ok(())
        });
        seen.borrow().check_over();
        self.compare(&seen.borrow().records, &format!("fused {fused} {world:?}"));
    }

    /// In the caller's own thread, by push, step and pop; `capacity` is that of the output.
    fn embedded(&self, batch: usize, fire: usize, feed: Feed, capacity: usize) {
        let config = Config {
            batch_max: batch,
            fire_max: fire,
            embedded_capacity: capacity,
            ..Config::embedded()
        };
        let (shard, (input, output)) = Shard::embed(config, |p| {
            let (input, stream) = p.input();
            Ok((input, self.case.build(stream).output()))
        })
        .expect("the case can be built");
        let mut host = Host { shard, output, now: 0, popped: Vec::new(), feed };
        host.feed(input, &self.said);
        let way = format!("embedded, batch {batch} fire {fire} {feed:?} capacity {capacity}");
        self.compare(&host.popped, &way);
    }

    fn compare(&self, got: &[(i64, C::Out)], way: &str) {
        let lanes = |all: &[(i64, C::Out)]| {
            let mut lanes: BTreeMap<u64, Vec<(i64, C::Out)>> = BTreeMap::new();
            for record in all {
                lanes.entry((self.lane)(&record.1)).or_default().push(record.clone());
            }
            lanes
        };
        let (got, want) = (lanes(got), lanes(&self.want));
        assert!(got == want, "{way}\n got: {got:?}\nwant: {want:?}");
    }

    /// Once downstream is full nothing more comes out, and soon there is nothing to do either: a
    /// driver may rest.
    fn stays_shut(&self, until: usize) {
        let seen = Seen::new();
        let (open, home, seed, hash_seed) = (Open::Until(until), 0, 0, 0);
        let world = World { shards: 1, ring: 1, batch: 2, fire: 2, seed, hash_seed, home, open };
        let config = Config { batch_max: 2, fire_max: 2, ..Config::embedded() };
        let (mut shard, ()) = Shard::embed(config, |p| {
            let script = Script::new(self.said.iter().cloned());
            watch(self.case.build(p.source(script)), &seen, &world);
            Ok(())
        })
        .expect("the case can be built");
        let works = (0..5_000).map(|now| shard.step(Timestamp(now))).collect::<Vec<_>>();
        assert!(seen.borrow().records.len() < until + 2, "a full sink is given at most its batch");
        let last = works.last().expect("there were steps");
        assert!(last.is_none(), "a step that can do nothing says so; it said {last:?}");
    }
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

/// How an embedded input is fed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Feed {
    /// A step after each record, and all output taken.
    OneByOne,
    /// As much as it takes before a step, and output taken late and slowly.
    AllAtOnce,
}

/// The embedder's own loop.
struct Host<T> {
    shard: Shard,
    output: Output<T>,
    now: i64,
    popped: Vec<(i64, T)>,
    feed: Feed,
}

impl<T: 'static> Host<T> {
    fn feed<I: Clone + Debug + 'static>(&mut self, mut input: Input<I>, said: &[Said<I>]) {
        for one in said {
            match one {
                Said::Record(at, value) => self.push(&mut input, *at, value.clone()),
                Said::Watermark(at) => {
                    // It is about what is pushed after it, so what was pushed before must be in.
                    self.rest();
                    input.advance_to(Timestamp(*at));
                    self.rest();
                }
                Said::Silence(steps) => (0..*steps).for_each(|_| self.step()),
            }
        }
        input.close();
        for steps in 0.. {
            if self.shard.is_done() {
                break;
            }
            assert!(steps < STEPS_MAX, "the shard is never done");
            self.step();
        }
        self.pop(usize::MAX);
    }

    fn push<I: Clone + Debug + 'static>(&mut self, input: &mut Input<I>, at: i64, value: I) {
        for steps in 0.. {
            if input.push(Timestamp(at), value.clone()).is_ok() {
                break;
            }
            assert!(steps < STEPS_MAX, "the input stays full");
            self.step();
        }
        if self.feed == Feed::OneByOne {
            self.rest();
        }
    }

    /// Steps until there is nothing more to do.
    fn rest(&mut self) {
        for steps in 0.. {
            let work = self.shard.step(Timestamp(self.now));
            self.now += 100;
            let popped = self.pop(usize::MAX);
            if work.is_none() && popped == 0 {
                break;
            }
            assert!(steps < STEPS_MAX, "the shard never rests");
        }
    }

    fn step(&mut self) {
        self.shard.step(Timestamp(self.now));
        self.now += 100;
        match self.feed {
            Feed::OneByOne => self.pop(usize::MAX),
            Feed::AllAtOnce if self.now % 300 == 0 => self.pop(1),
            Feed::AllAtOnce => 0,
        };
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
