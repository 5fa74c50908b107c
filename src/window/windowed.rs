//! Building windows on a keyed stream.

use std::rc::Rc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::dataflow::{Edge, KeyColumn, Keyed, Operator, Pipeline, Runnable, Stage, Stream};
use crate::error::ConfigError;
use crate::exchange::with_late;
use crate::state::Key;
use crate::time::nanos;
use crate::window::operator::{Late, Settings, WindowOperator};
use crate::window::precombine::PrecombinedStream;
use crate::window::{Aggregate, Cuts, Slices, Span, Window};

/// What a window yields for one key. The record that carries it has the timestamp `span.end` less 1
/// ns, so windows of the same size can follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Windowed<K, R> {
    /// The key.
    pub key: K,
    /// The window.
    pub span: Span,
    /// What the aggregate made of its records.
    pub value: R,
    /// Whether more may follow for this window and key.
    pub timing: Timing,
}

/// When a window yields a result, as seen from the watermark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Timing {
    /// Before the watermark reached the window's end; counted from 0.
    Early(u32),
    /// Because the watermark reached the window's end.
    OnTime,
    /// Once more, because of a late record that was still allowed; counted from 1.
    Late(u32),
}

impl<'p, K: Key, T: 'static> Keyed<'p, K, T> {
    /// Groups the records of each key by event time. An aggregate must follow.
    ///
    /// A window fires when the watermark reaches its end: its results are final unless lateness is
    /// allowed.
    ///
    /// ```
    /// use millstream::aggregates::{count, sum};
    /// use millstream::{io::IterSource, ms, Record, Simulation, Timestamp, Tumbling};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let trades = (0..100).map(|n| Record::new(Timestamp::from_millis(n), n as u64));
    ///     p.source(IterSource::new(trades))
    ///         .key_by(|qty| qty % 2)
    ///         .window(Tumbling::of(ms(10)))
    ///         .aggregate((count(), sum(|qty: &u64| *qty)))
    ///         .for_each(|bar| assert_eq!(bar.value.value.0, 5));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn window(self, window: impl Window) -> WindowedStream<'p, K, T> {
        let cut = Cut { cuts: window.cuts(), lateness: Duration::ZERO };
        WindowedStream { keyed: self, cut }
    }
}

/// A keyed stream grouped by event time, which wants an aggregate.
#[must_use = "a window does nothing until an aggregate and a sink follow"]
pub struct WindowedStream<'p, K, T> {
    pub(super) keyed: Keyed<'p, K, T>,
    pub(super) cut: Cut,
}

/// How time is cut, and how long a window waits.
pub(super) struct Cut {
    /// An error is reported when the pipeline has been built.
    pub cuts: Result<Rc<dyn Cuts>, ConfigError>,
    pub lateness: Duration,
}

impl<'p, K: Key, T: 'static> WindowedStream<'p, K, T> {
    /// How long after its end, in event time, a window still takes records. A window that has fired
    /// fires again for the key of each such record, with its new result. Zero unless set.
    pub fn allowed_lateness(self, lateness: Duration) -> Self {
        Self { cut: Cut { lateness, ..self.cut }, ..self }
    }

    /// Aggregates on each shard first and sends only one accumulator per key and slice to the key's
    /// owner. The results are the same (floating-point sums but for rounding), a hot key is spread
    /// over all shards, and a result comes as late as the slowest shard's slice closes.
    pub fn precombine(self) -> PrecombinedStream<'p, K, T> {
        PrecombinedStream(self)
    }

    /// Reduces each window of each key to one value.
    ///
    /// Records behind the watermark and the allowed lateness, and records in a gap between windows,
    /// are counted and dropped; see [`aggregate_with_late`](Self::aggregate_with_late).
    pub fn aggregate<A: Aggregate<T>>(
        self,
        aggregate: A,
    ) -> Stream<'p, impl Stage<Out = Windowed<K, A::Out>> + use<'p, K, T, A>> {
        let Self { keyed: Keyed { upstream, keys, .. }, cut } = self;
        windowed(upstream.by_key(), keys, aggregate, cut, Late::Dropped)
    }

    /// Like [`aggregate`](Self::aggregate), and late records go to a stream of their own, as do
    /// records in a gap between windows (which are not counted as late).
    ///
    /// ```
    /// use millstream::aggregates::count;
    /// use millstream::{io::IterSource, ms, Record, Simulation, Timestamp, Tumbling};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let readings = [5, 25, 7].map(|n| Record::new(Timestamp::from_millis(n), n));
    ///     let (counts, late) = p
    ///         .source(IterSource::new(readings.into_iter()))
    ///         .key_by(|_| 0u8)
    ///         .window(Tumbling::of(ms(10)))
    ///         .aggregate_with_late(count());
    ///     counts.for_each(|window| assert_eq!(window.value.value, 1));
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
        let Self { keyed: Keyed { upstream, keys, .. }, cut } = self;
        with_late(upstream.by_key(), |stream, late| {
            windowed(stream, keys, aggregate, cut, Late::Output(late))
        })
    }
}

/// Puts a window operator behind an edge.
pub(super) fn windowed<'p, K, T, A>(
    stream: Stream<'p, Edge<T>>,
    keys: Rc<dyn KeyColumn<K, T>>,
    aggregate: A,
    cut: Cut,
    late: Late<T>,
) -> Stream<'p, impl Stage<Out = Windowed<K, A::Out>> + use<'p, K, T, A>>
where
    K: Key,
    T: 'static,
    A: Aggregate<T>,
{
    let settings = settings_of(stream.pipeline, &cut);
    if let Err(error) = cut.cuts {
        stream.pipeline.reject(error);
    }
    let label = format!("window ({})", settings.cuts);
    stream.then(label, |stage| WindowStage { stage, settings, aggregate, keys, late })
}

/// What an operator is told that cuts time so; in seconds if it cannot be cut.
pub(super) fn settings_of(pipeline: Pipeline<'_>, cut: &Cut) -> Settings {
    let config = pipeline.config();
    Settings {
        cuts: cut.cuts.as_ref().map_or(Rc::new(Slices::SECOND) as Rc<dyn Cuts>, Rc::clone),
        lateness_ns: nanos(cut.lateness),
        fire_max: config.fire_max,
        keys_max: config.keys_max,
        batch_max: config.batch_max,
        hash_seed: config.hash_seed,
    }
}

struct WindowStage<K, T, A> {
    stage: Edge<T>,
    settings: Settings,
    aggregate: A,
    keys: Rc<dyn KeyColumn<K, T>>,
    late: Late<T>,
}

impl<K: Key, T: 'static, A: Aggregate<T>> Stage for WindowStage<K, T, A> {
    type Out = Windowed<K, A::Out>;

    fn close<N: Operator<Self::Out>>(self, next: N) -> Box<dyn Runnable> {
        let Self { stage, settings, aggregate, keys, late } = self;
        stage.close(WindowOperator::new(settings, aggregate, keys, late, next))
    }
}

impl<'p, S: Stage<Out: Send>> Stream<'p, S> {
    /// Groups all records by event time, without a key. An aggregate must follow.
    ///
    /// All records go to the one shard that owns the key `()`, which is therefore as fast as one
    /// core; [`precombine`](WindowedStream::precombine) sends it only one accumulator from each
    /// shard and slice.
    ///
    /// ```
    /// use millstream::aggregates::max;
    /// use millstream::{io::IterSource, ms, Record, Simulation, Timestamp, Tumbling};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(2, 0).run(|p| {
    ///     let loads = (0..100).map(|n| Record::new(Timestamp::from_millis(n), n % 10));
    ///     p.source(IterSource::new(loads))
    ///         .window_all(Tumbling::of(ms(10)))
    ///         .aggregate(max(|load: &i64| *load))
    ///         .for_each(|window| assert_eq!(window.value.value, 9));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn window_all(self, window: impl Window) -> WindowedStream<'p, (), S::Out> {
        self.key_by(|_| ()).window(window)
    }
}

/// What the compiler says when a key is missing.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a window needs a key",
    label = "call `.key_by(..)` before `.window(..)`"
)]
pub trait KeyedFirst {}

impl<'p, S: Stage> Stream<'p, S> {
    /// Only keyed streams have windows: this is here for the error message.
    #[doc(hidden)]
    pub fn window(self, _window: impl Window) -> WindowedStream<'p, u8, S::Out>
    where
        Self: KeyedFirst,
    {
        unreachable!("no stream is `KeyedFirst`") // tidy: cannot be called
    }
}
