//! Windows whose hot keys are split over the shards that their records arrive on.

use std::marker::PhantomData;
use std::rc::Rc;

use crate::dataflow::{Edge, KeyColumn, Keyed, Operator, Runnable, Stage, Stream};
use crate::state::{Key, hash};
use crate::time::Timestamp;
use crate::window::hot::detector::Detector;
use crate::window::hot::settings::HotKeys;
use crate::window::hot::splitter::Splitter;
use crate::window::operator::{Late, Settings};
use crate::window::windowed::{settings_of, windowed};
use crate::window::{Aggregate, Windowed, WindowedStream};

/// A window whose hot keys are split over the shards that their records arrive on.
#[must_use = "a window does nothing until an aggregate and a sink follow"]
pub struct SplitStream<'p, K, T> {
    windows: WindowedStream<'p, K, T>,
    hot: HotKeys,
}

impl<'p, K: Key, T: Send + 'static> WindowedStream<'p, K, T> {
    /// Splits hot keys: their records are aggregated by slice on the shard where they arrive, and
    /// only one accumulator a slice goes to the owner of the key. Records of all other keys go
    /// straight to their owner. So one key with half of all records does not make its owner the
    /// slowest shard, and keys that come once in a slice do not pay for it, as they would with
    /// [`precombine`](Self::precombine).
    ///
    /// The results are the same as without, record for record (float sums but for rounding). A
    /// record that is behind its slice goes straight to the owner, so what is late, what is still
    /// allowed and what fires again is the same too. There is one exception: where an input falls
    /// [idle](crate::Watermarks::idle_after) and wakes so far behind the others that its records
    /// are late, those of a hot key are late together, and count as one.
    ///
    /// Where a pipeline goes on with another number of shards each of them finds out anew which
    /// keys are hot; what was aggregated of them goes to the owners of the keys.
    ///
    /// Nobody waits longer for a result: a slice is sent on when the watermark has passed its end,
    /// and no window can fire before. Which keys are hot on a shard, and how many records were
    /// aggregated there, is counted: `hot_keys` and `hot_records`.
    ///
    /// ```
    /// use millstream::aggregates::sum;
    /// use millstream::metrics::Counter;
    /// use millstream::{HotKeys, Record, Simulation, Sliding, Timestamp, io::IterSource, ms};
    /// # fn main() -> millstream::Result<()> {
    /// let outcome = Simulation::new(2, 0).run(|p| {
    ///     // Every other click is on the same page.
    ///     let page = |n: i64| if n % 2 == 0 { 0 } else { n };
    ///     let clicks = (0..2000).map(move |n| Record::new(Timestamp::from_millis(n), page(n)));
    ///     p.source(IterSource::new(clicks))
    ///         .key_by(|page| *page)
    ///         .window(Sliding::of(ms(100)).every(ms(10)))
    ///         .split_hot_keys(HotKeys::above(0.25).sample_every(4).decide_after(50))
    ///         .aggregate(sum(|_: &i64| 1u64))
    ///         .for_each(drop);
    ///     Ok(())
    /// })?;
    /// // It took each shard some records to find that out.
    /// assert!(outcome.counters.get(Counter::HotRecords) > 1500);
    /// # Ok(())
    /// # }
    /// ```
    pub fn split_hot_keys(self, hot: HotKeys) -> SplitStream<'p, K, T> {
        SplitStream { windows: self, hot }
    }
}

impl<'p, K: Key, T: Send + 'static> SplitStream<'p, K, T> {
    /// Reduces each window of each key to one value: those of hot keys slice by slice on the shards
    /// where their records arrive, and then all of them on the owner of the key.
    pub fn aggregate<A: Aggregate<T>>(
        self,
        aggregate: A,
    ) -> Stream<'p, impl Stage<Out = Windowed<K, A::Out>> + use<'p, K, T, A>> {
        let Self { windows: WindowedStream { keyed: Keyed { upstream, keys, .. }, cut }, hot } =
            self;
        let aggregate = Rc::new(aggregate);
        let stream = upstream.local();
        let pipeline = stream.pipeline;
        if let Err(error) = hot.check() {
            pipeline.reject(error);
        }
        let settings = settings_of(pipeline, &cut);
        // Shards look at different records.
        let seed = hash(pipeline.shard() as u64, settings.hash_seed);
        let detector = Detector::new(hot.or_default(), seed);
        let here = aggregate.clone();
        let stage = |stage| SplitStage { stage, settings, aggregate: here, keys, detector };
        let split = stream.then(format!("split hot keys ({hot})"), stage);
        let Keyed { upstream, keys, .. } = split.key_by(|split| split.key);
        let joining = Joining(aggregate, PhantomData);
        windowed(upstream.by_key(), keys, joining, cut, Late::Dropped)
    }
}

/// What crosses to the owner of a key.
pub struct Split<K, T, V> {
    pub key: K,
    pub part: Part<T, V>,
}

/// A record, or what several came to.
pub enum Part<T, V> {
    Record(T),
    Aggregated(V),
}

/// Aggregates records and parts alike.
struct Joining<A, T>(Rc<A>, PhantomData<fn(T)>);

impl<K: 'static, T: 'static, A: Aggregate<T>> Aggregate<Split<K, T, A::Acc>> for Joining<A, T> {
    type Acc = A::Acc;
    type Out = A::Out;

    const INVERTIBLE: bool = A::INVERTIBLE;

    #[inline(always)]
    fn accumulate(&self, acc: &mut A::Acc, at: Timestamp, split: &Split<K, T, A::Acc>) {
        match &split.part {
            Part::Record(value) => self.0.accumulate(acc, at, value),
            Part::Aggregated(other) => self.0.combine(acc, other),
        }
    }

    fn combine(&self, acc: &mut A::Acc, other: &A::Acc) {
        self.0.combine(acc, other);
    }

    fn deduct(&self, acc: &mut A::Acc, other: &A::Acc) {
        self.0.deduct(acc, other);
    }

    fn finish(&self, acc: &A::Acc) -> A::Out {
        self.0.finish(acc)
    }
}

struct SplitStage<K: Key, T, A> {
    stage: Edge<T>,
    settings: Settings,
    aggregate: Rc<A>,
    keys: Rc<dyn KeyColumn<K, T>>,
    detector: Detector<K>,
}

impl<K: Key, T: 'static, A: Aggregate<T>> Stage for SplitStage<K, T, A> {
    type Out = Split<K, T, A::Acc>;

    fn close<N: Operator<Self::Out>>(self, next: N) -> Box<dyn Runnable> {
        let Self { stage, settings, aggregate, keys, detector } = self;
        stage.close(Splitter::new(settings, aggregate, keys, detector, next))
    }
}
