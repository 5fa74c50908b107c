//! Windows that end at each record.

mod operator;
mod state;

use std::rc::Rc;
use std::time::Duration;

use crate::dataflow::{Edge, KeyColumn, Keyed, Operator, Pipeline, Runnable, Stage, Stream};
use crate::error::ConfigError;
use crate::exchange::Side;
use crate::exchange::with_late;
use crate::state::Key;
use crate::time::{nanos, ns};
use crate::window::rolling::operator::RollingOperator;
use crate::window::rolling::state::{Reach, Settings};
use crate::window::{Aggregate, Windowed};

/// How far back the window reaches that ends at a record.
///
/// ```
/// use millstream::{Rolling, secs};
/// let last_minute = Rolling::of(secs(60));
/// let last_ten = Rolling::last(10);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Rolling {
    reach: Asked,
    inclusive: bool,
}

#[derive(Clone, Copy, Debug)]
enum Asked {
    Length(Duration),
    Last(u32),
}

impl Rolling {
    /// So far back in event time from each record: what is exactly so old is out, the record itself
    /// is in.
    pub const fn of(length: Duration) -> Self {
        Self { reach: Asked::Length(length), inclusive: false }
    }

    /// What is exactly so old is in as well. Of no consequence for [`last`](Self::last).
    pub const fn inclusive(self) -> Self {
        Self { inclusive: true, ..self }
    }

    /// So many records back, in order of event time, the record itself being one.
    pub const fn last(records: u32) -> Self {
        Self { reach: Asked::Last(records), inclusive: false }
    }

    /// How far that is, or why it is nowhere.
    fn reach(&self) -> Result<Reach, ConfigError> {
        let reason = "a window that ends at a record reaches back at least to that record";
        match self.reach {
            Asked::Length(Duration::ZERO) => Err(ConfigError::setting("rolling", "0 ns", reason)),
            Asked::Last(0) => Err(ConfigError::setting("rolling", "last 0", reason)),
            Asked::Length(length) if self.inclusive => Ok(Reach::Back(nanos(length))),
            Asked::Length(length) => Ok(Reach::Back(nanos(length - ns(1)))),
            Asked::Last(records) => Ok(Reach::Last(records)),
        }
    }

    fn label(&self) -> String {
        match self.reach {
            Asked::Length(length) if self.inclusive => format!("rolling ({length:?} inclusive)"),
            Asked::Length(length) => format!("rolling ({length:?})"),
            Asked::Last(records) => format!("rolling (last {records})"),
        }
    }
}

impl<'p, K: Key, T: 'static> Keyed<'p, K, T> {
    /// Looks back from each record over the records of its key. An aggregate must follow.
    ///
    /// Each record has one result, when the watermark has passed it: final, and exact however the
    /// records came. The result has the timestamp of its record. Records of the same key and time
    /// are all in the window of each of them ([`Rolling::of`]), or come one after the other in
    /// order of arrival ([`Rolling::last`]). Results come in order of time, over all keys of a
    /// shard.
    ///
    /// A result costs the same however much the window holds. Records (their accumulators) are held
    /// from arrival until no record to come can need them, and a key no longer than its records;
    /// [`Rolling::last`] keeps the last records of each key for good. More records than
    /// `Config::records_max` on a shard, or keys than `Config::keys_max`, are an error.
    ///
    /// ```
    /// use millstream::aggregates::sum;
    /// use millstream::{io::IterSource, ms, Record, Rolling, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let payments = (0..100).map(|n| Record::new(Timestamp::from_millis(n), 1u64));
    ///     p.source(IterSource::new(payments))
    ///         .key_by(|_| 0u8)
    ///         .rolling(Rolling::of(ms(10)))
    ///         .aggregate(sum(|amount: &u64| *amount))
    ///         .for_each(|spent| {
    ///             let so_far = spent.at.as_nanos() as u64 / 1_000_000 + 1;
    ///             assert_eq!(spent.value.value, so_far.min(10));
    ///         });
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn rolling(self, rolling: Rolling) -> RollingStream<'p, K, T> {
        RollingStream { keyed: self, rolling }
    }
}

/// A keyed stream seen back from each record, which wants an aggregate.
#[must_use = "a window does nothing until an aggregate and a sink follow"]
pub struct RollingStream<'p, K, T> {
    keyed: Keyed<'p, K, T>,
    rolling: Rolling,
}

impl<'p, K: Key, T: 'static> RollingStream<'p, K, T> {
    /// Reduces what each record looks back on to one value.
    ///
    /// Records behind the watermark are counted and dropped: the results that they would change
    /// have gone out. See [`aggregate_with_late`](Self::aggregate_with_late).
    pub fn aggregate<A: Aggregate<T>>(
        self,
        aggregate: A,
    ) -> Stream<'p, impl Stage<Out = Windowed<K, A::Out>> + use<'p, K, T, A>> {
        let Self { keyed: Keyed { upstream, keys, .. }, rolling } = self;
        rolled(upstream.by_key(), keys, rolling, aggregate, None)
    }

    /// Like [`aggregate`](Self::aggregate), and late records go to a stream of their own.
    ///
    /// ```
    /// use millstream::aggregates::count;
    /// use millstream::{io::IterSource, Record, Rolling, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let readings = [5, 25, 7].map(|n| Record::new(Timestamp::from_millis(n), n));
    ///     let (counts, late) = p
    ///         .source(IterSource::new(readings.into_iter()))
    ///         .key_by(|_| 0u8)
    ///         .rolling(Rolling::last(3))
    ///         .aggregate_with_late(count());
    ///     counts.for_each(|window| assert!(window.value.value <= 2));
    ///     late.for_each(|record| assert_eq!(record.value, 7));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn aggregate_with_late<A: Aggregate<T>>(
        self,
        aggregate: A,
    ) -> (Stream<'p, impl Stage<Out = Windowed<K, A::Out>> + use<'p, K, T, A>>, Stream<'p, Edge<T>>)
    {
        let Self { keyed: Keyed { upstream, keys, .. }, rolling } = self;
        let stream = upstream.by_key();
        with_late(stream, |stream, late| rolled(stream, keys, rolling, aggregate, Some(late)))
    }
}

/// Puts a rolling operator behind an edge.
fn rolled<'p, K: Key, T: 'static, A: Aggregate<T>>(
    stream: Stream<'p, Edge<T>>,
    keys: Rc<dyn KeyColumn<K, T>>,
    rolling: Rolling,
    aggregate: A,
    late: Option<Side<T>>,
) -> Stream<'p, impl Stage<Out = Windowed<K, A::Out>> + use<'p, K, T, A>> {
    let settings = settings(stream.pipeline, rolling);
    let wrap = move |stage| RollingStage { stage, settings, aggregate, keys, late };
    stream.then(rolling.label(), wrap)
}

fn settings(pipeline: Pipeline<'_>, rolling: Rolling) -> Settings {
    let reach = rolling.reach().unwrap_or_else(|error| {
        pipeline.reject(error);
        Reach::Last(1)
    });
    let config = pipeline.config();
    Settings {
        reach,
        fire_max: config.fire_max,
        keys_max: config.keys_max,
        records_max: config.records_max,
        batch_max: config.batch_max,
        hash_seed: config.hash_seed,
    }
}

struct RollingStage<K, T, A> {
    stage: Edge<T>,
    settings: Settings,
    aggregate: A,
    keys: Rc<dyn KeyColumn<K, T>>,
    late: Option<Side<T>>,
}

impl<K: Key, T: 'static, A: Aggregate<T>> Stage for RollingStage<K, T, A> {
    type Out = Windowed<K, A::Out>;

    fn close<N: Operator<Self::Out>>(self, next: N) -> Box<dyn Runnable> {
        let Self { stage, settings, aggregate, keys, late } = self;
        stage.close(RollingOperator::new(settings, aggregate, keys, late, next))
    }
}
