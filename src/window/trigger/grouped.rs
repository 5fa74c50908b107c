//! Building windows with triggers on a keyed stream.

use std::rc::Rc;
use std::time::Duration;

use crate::dataflow::{Edge, KeyColumn, Keyed, Operator, Pipeline, Runnable, Stage, Stream};
use crate::error::ConfigError;
use crate::exchange::Side;
use crate::exchange::with_late;
use crate::state::{Key, Stored};
use crate::time::nanos;
use crate::window::trigger::buffer::{Buffered, Records};
use crate::window::trigger::condition::Trigger;
use crate::window::trigger::contents::{Aggregated, Contents};
use crate::window::trigger::evictors::{Evictor, KeepAll};
use crate::window::trigger::operator::{Settings, TriggerOperator};
use crate::window::trigger::shape::Shape;
use crate::window::{Aggregate, Slices, Span, Windowed, WindowedStream};

impl<'p, K: Key, T: 'static> WindowedStream<'p, K, T> {
    /// Lets windows yield results at other times **as well**: a window still fires when the
    /// watermark reaches its end. See [`triggers`](crate::window::triggers) for those there are.
    ///
    /// Nothing is taken away unless `trigger` looks at the end of the window itself, as
    /// `event_time()` does and all that is made of it: then what it says is what happens. So
    /// `count(100)` comes every hundred records and once more on time, and
    /// `all(event_time(), count(3))` only on time and only with three records.
    ///
    /// A record goes into every window that holds it, and each window of each key has a state of
    /// its own; windows without a trigger share slices and cost less. Results of one window and key
    /// come in order; an early result of a later window may come before one of an earlier window.
    ///
    /// ```
    /// use millstream::aggregates::count;
    /// use millstream::window::{Timing, triggers};
    /// use millstream::{io::IterSource, ms, Record, Simulation, Timestamp, Tumbling};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let records = [0, 1, 2, 3, 10].map(|n| Record::new(Timestamp::from_millis(n), n));
    ///     let mut results = [
    ///         (2, Timing::Early(0)),
    ///         (4, Timing::Early(1)),
    ///         (4, Timing::OnTime),
    ///         (1, Timing::OnTime),
    ///     ]
    ///     .into_iter();
    ///     p.source(IterSource::new(records.into_iter()))
    ///         .key_by(|_| 0u8)
    ///         .window(Tumbling::of(ms(10)))
    ///         .trigger(triggers::count(2))
    ///         .aggregate(count())
    ///         .for_each(move |window| {
    ///             let result = (window.value.value, window.value.timing);
    ///             assert_eq!(Some(result), results.next());
    ///         });
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn trigger<G: Trigger<T>>(self, trigger: G) -> TriggeredStream<'p, K, T, G, KeepAll> {
        let Self { keyed, cut } = self;
        let shape = cut.cuts.map(Shape::Cuts);
        TriggeredStream { keyed, shape, trigger, lateness: cut.lateness, evictor: KeepAll }
    }
}

impl<'p, K: Key, T: 'static> Keyed<'p, K, T> {
    /// Puts all records of a key into one window, which has no end but that of the input. A trigger
    /// must follow.
    ///
    /// ```
    /// use millstream::aggregates::sum;
    /// use millstream::window::triggers::{count, purging};
    /// use millstream::{io::IterSource, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let mut sums = [0 + 1 + 2, 3 + 4 + 5, 6].into_iter();
    ///     p.source(IterSource::new((0..7).map(|n| Record::new(Timestamp(n), n))))
    ///         .key_by(|_| 0u8)
    ///         .global_window()
    ///         .trigger(purging(count(3)))
    ///         .aggregate(sum(|n: &i64| *n))
    ///         .for_each(move |window| assert_eq!(Some(window.value.value), sums.next()));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn global_window(self) -> GlobalStream<'p, K, T> {
        GlobalStream(self)
    }
}

/// A keyed stream in one window for each key, which wants a trigger.
#[must_use = "a window does nothing until a trigger, an aggregate and a sink follow"]
pub struct GlobalStream<'p, K, T>(Keyed<'p, K, T>);

impl<'p, K: Key, T: 'static> GlobalStream<'p, K, T> {
    /// Says when the window of a key yields a result; at the end of the input it does so once more.
    /// A result carries the latest time of the records in it.
    pub fn trigger<G: Trigger<T>>(self, trigger: G) -> TriggeredStream<'p, K, T, G, KeepAll> {
        let (shape, lateness) = (Ok(Shape::Global), Duration::ZERO);
        TriggeredStream { keyed: self.0, shape, trigger, lateness, evictor: KeepAll }
    }
}

/// A keyed stream in windows with a trigger, which wants an aggregate or a function.
#[must_use = "a window does nothing until an aggregate and a sink follow"]
pub struct TriggeredStream<'p, K, T, G, E> {
    keyed: Keyed<'p, K, T>,
    /// An error is reported when the pipeline has been built.
    shape: Result<Shape, ConfigError>,
    trigger: G,
    lateness: Duration,
    evictor: E,
}

impl<'p, K: Key, T: 'static, G: Trigger<T>> TriggeredStream<'p, K, T, G, KeepAll> {
    /// Reduces what a window holds to one value, without keeping the records. Late records are
    /// counted and dropped; see [`aggregate_with_late`](Self::aggregate_with_late).
    pub fn aggregate<A: Aggregate<T>>(
        self,
        aggregate: A,
    ) -> Stream<'p, impl Stage<Out = Windowed<K, A::Out>> + use<'p, K, T, G, A>> {
        let (stream, parts) = self.parts(|_| Aggregated(aggregate));
        triggered(stream, parts, None)
    }

    /// Like [`aggregate`](Self::aggregate), and late records go to a stream of their own.
    ///
    /// ```
    /// use millstream::aggregates::count;
    /// use millstream::window::triggers;
    /// use millstream::{io::IterSource, ms, Record, Simulation, Timestamp, Tumbling};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let readings = [5, 25, 7].map(|n| Record::new(Timestamp::from_millis(n), n));
    ///     let (counts, late) = p
    ///         .source(IterSource::new(readings.into_iter()))
    ///         .key_by(|_| 0u8)
    ///         .window(Tumbling::of(ms(10)))
    ///         .trigger(triggers::count(100))
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
    ) -> (
        Stream<'p, impl Stage<Out = Windowed<K, A::Out>> + use<'p, K, T, G, A>>,
        Stream<'p, Edge<T>>,
    ) {
        let (stream, parts) = self.parts(|_| Aggregated(aggregate));
        with_late(stream, |stream, late| triggered(stream, parts, Some(late)))
    }

    /// Drops records from a window, for good, before each result; see
    /// [`evictors`](crate::window::evictors). A function must follow.
    pub fn evict<E: Evictor<T>>(self, evictor: E) -> TriggeredStream<'p, K, T, G, E> {
        let Self { keyed, shape, trigger, lateness, .. } = self;
        TriggeredStream { keyed, shape, trigger, lateness, evictor }
    }
}

impl<'p, K, T, G, E> TriggeredStream<'p, K, T, G, E>
where
    K: Key,
    T: 'static,
    G: Trigger<T>,
    E: Evictor<T>,
{
    /// How long after its end, in event time, a window still takes records. Zero unless set. Each
    /// of them makes the window fire again, unless the trigger says otherwise
    /// ([`late`](crate::window::triggers::event_time)).
    pub fn allowed_lateness(self, lateness: Duration) -> Self {
        Self { lateness, ..self }
    }

    /// Calls a function on all records that a window holds, in the order in which they came.
    ///
    /// The records are kept until their windows close, at most `Config::keys_max` of them, and each
    /// result costs as much as it has records: where an aggregate will do, take that. To see the
    /// key and the window of an aggregate, `map` its results.
    ///
    /// ```
    /// use millstream::window::{evictors, triggers};
    /// use millstream::{io::IterSource, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     // How far the last three prices range, at every second price.
    ///     let prices = [1, 4, 7, 2, 5, 9].map(|price| Record::new(Timestamp(price), price));
    ///     let mut ranges = [3, 5, 7, 7].into_iter();
    ///     p.source(IterSource::new(prices.into_iter()))
    ///         .key_by(|_| 0u8)
    ///         .global_window()
    ///         .trigger(triggers::count(2))
    ///         .evict(evictors::count(3))
    ///         .apply(|_key, _span, prices| {
    ///             let prices = prices.map(|record| record.value);
    ///             let most = prices.clone().max().unwrap_or(0);
    ///             most - prices.min().unwrap_or(0)
    ///         })
    ///         .for_each(move |window| assert_eq!(Some(window.value.value), ranges.next()));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn apply<R: 'static, F>(
        self,
        function: F,
    ) -> Stream<'p, impl Stage<Out = Windowed<K, R>> + use<'p, K, T, G, E, R, F>>
    where
        T: Copy + Stored,
        F: FnMut(&K, Span, Records<'_, T>) -> R + 'static,
    {
        let (stream, parts) = self.buffered(function);
        triggered(stream, parts, None)
    }

    /// Like [`apply`](Self::apply), and late records go to a stream of their own.
    ///
    /// ```
    /// use millstream::window::triggers;
    /// use millstream::{io::IterSource, ms, Record, Simulation, Timestamp, Tumbling};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let readings = [5, 25, 7].map(|n| Record::new(Timestamp::from_millis(n), n));
    ///     let (middles, late) = p
    ///         .source(IterSource::new(readings.into_iter()))
    ///         .key_by(|_| 0u8)
    ///         .window(Tumbling::of(ms(10)))
    ///         .trigger(triggers::event_time())
    ///         .apply_with_late(|_key, _span, mut records| {
    ///             let middle = records.len() / 2;
    ///             records.nth(middle).map(|record| record.value)
    ///         });
    ///     middles.for_each(|window| assert!([Some(5), Some(25)].contains(&window.value.value)));
    ///     late.for_each(|record| assert_eq!(record.value, 7));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn apply_with_late<R: 'static, F>(
        self,
        function: F,
    ) -> (
        Stream<'p, impl Stage<Out = Windowed<K, R>> + use<'p, K, T, G, E, R, F>>,
        Stream<'p, Edge<T>>,
    )
    where
        T: Copy + Stored,
        F: FnMut(&K, Span, Records<'_, T>) -> R + 'static,
    {
        let (stream, parts) = self.buffered(function);
        with_late(stream, |stream, late| triggered(stream, parts, Some(late)))
    }

    /// What an operator is made of that keeps the records.
    fn buffered<F>(self, function: F) -> (Stream<'p, Edge<T>>, BufferedParts<K, T, G, E, F>) {
        let (stream, parts) = self.parts(|evictor| Buffered::new(evictor, function));
        if let Err(error) = parts.contents.check() {
            stream.pipeline.reject(error);
        }
        let because = if E::EVICTS { "the evictor" } else { "`apply`" };
        stream.pipeline.warn(format!(
            "{because} keeps every record of a window until it closes; an aggregate keeps none"
        ));
        (stream, parts)
    }

    /// The edge in front of the operator, and what that is made of.
    fn parts<C>(self, contents: impl FnOnce(E) -> C) -> (Stream<'p, Edge<T>>, Parts<K, T, G, C>) {
        let Self { keyed: Keyed { upstream, keys, .. }, shape, trigger, lateness, evictor } = self;
        let contents = contents(evictor);
        (upstream.by_key(), Parts { keys, shape, lateness, trigger, contents })
    }
}

/// What an operator is made of.
struct Parts<K, T, G, C> {
    keys: Rc<dyn KeyColumn<K, T>>,
    shape: Result<Shape, ConfigError>,
    lateness: Duration,
    trigger: G,
    contents: C,
}

type BufferedParts<K, T, G, E, F> = Parts<K, T, G, Buffered<T, E, F>>;

/// Refuses triggers that cannot be, and warns of those that are probably not meant; says whether
/// windows fire at their end without being told.
fn check<T>(pipeline: Pipeline<'_>, shape: &Shape, trigger: &impl Trigger<T>) -> bool {
    let ways = trigger.ways(shape.is_global());
    if let Err(error) = trigger.check() {
        pipeline.reject(error);
    } else if !ways.any {
        let reason = "it could never fire before the end of the input";
        let what = if shape.is_global() { "of a global window" } else { "of a window" };
        pipeline.reject(ConfigError::setting("trigger", what, reason));
    }
    if ways.any && ways.idle {
        pipeline.warn(format!("window ({shape}): a part of the trigger can never fire"));
    }
    if ways.knows_end && !ways.sure {
        pipeline.warn(format!(
            "window ({shape}): the trigger may let a window end without a result, and its records \
             be lost"
        ));
    }
    !ways.knows_end
}

/// Puts an operator of windows with triggers behind an edge.
fn triggered<'p, K, T, G, C>(
    stream: Stream<'p, Edge<T>>,
    parts: Parts<K, T, G, C>,
    late: Option<Side<T>>,
) -> Stream<'p, impl Stage<Out = Windowed<K, C::Out>> + use<'p, K, T, G, C>>
where
    K: Key,
    T: 'static,
    G: Trigger<T>,
    C: Contents<K, T>,
{
    let Parts { keys, shape, lateness, trigger, contents } = parts;
    let pipeline = stream.pipeline;
    let shape = shape.unwrap_or_else(|error| {
        pipeline.reject(error);
        Shape::Cuts(Rc::new(Slices::SECOND))
    });
    let fires_at_end = check(pipeline, &shape, &trigger);
    let label = format!("window ({shape}) with a trigger");
    let config = pipeline.config();
    let settings = Settings {
        shape,
        fires_at_end,
        lateness_ns: nanos(lateness),
        fire_max: config.fire_max,
        keys_max: config.keys_max,
        batch_max: config.batch_max,
        hash_seed: config.hash_seed,
    };
    stream.then(label, |stage| TriggerStage { stage, settings, keys, trigger, contents, late })
}

struct TriggerStage<K, T, G, C> {
    stage: Edge<T>,
    settings: Settings,
    keys: Rc<dyn KeyColumn<K, T>>,
    trigger: G,
    contents: C,
    late: Option<Side<T>>,
}

impl<K, T, G, C> Stage for TriggerStage<K, T, G, C>
where
    K: Key,
    T: 'static,
    G: Trigger<T>,
    C: Contents<K, T>,
{
    type Out = Windowed<K, C::Out>;

    fn close<N: Operator<Self::Out>>(self, next: N) -> Box<dyn Runnable> {
        let Self { stage, settings, keys, trigger, contents, late } = self;
        stage.close(TriggerOperator::new(settings, trigger, contents, keys, late, next))
    }
}
