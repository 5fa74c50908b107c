//! Windows of so many records or so much time, whichever is first.

use std::rc::Rc;
use std::time::Duration;

use crate::dataflow::{Edge, KeyColumn, Keyed, Operator, Runnable, Stage, Stream};
use crate::error::ConfigError;
use crate::exchange::Side;
use crate::exchange::with_late;
use crate::state::{Key, Stored};
use crate::time::nanos;
use crate::window::time_or_count::operator::{Settings, TimeOrCountOperator};
use crate::window::trigger::{Aggregated, Buffered, Contents, KeepAll};
use crate::window::{Aggregate, Records, Span, Windowed};

mod open;
mod operator;

impl<'p, K: Key, T: 'static> Keyed<'p, K, T> {
    /// Groups the records of each key, in their order of arrival, until they are `records` or
    /// `after` has passed in event time since the first of them. An aggregate or a function must
    /// follow.
    ///
    /// The window of a key opens with a record and ends `after` later. It fires when it holds
    /// `records`, when a record of its key comes that is not before its end, or when the watermark
    /// reaches the end, whichever is first; what comes then opens the next one, and time and number
    /// begin anew. There are no empty windows. Each fires once, so all results are on time.
    ///
    /// A window that was full spans from its earliest record to its latest, whose timestamp the
    /// result has; one that ended spans from its earliest record to its end, and its result has the
    /// last instant of that. **Disorder**: a record that is older than the first of the open window
    /// joins it, and moves the start of the span but not the end. A record is late if its key has
    /// no open window and one that began with it would be over already. So nothing that keeps to
    /// the bound of the watermarks is late, and the windows of a key depend on the order of its own
    /// records alone.
    ///
    /// More than `Config::keys_max` keys on a shard that have had a record within `after` are an
    /// error.
    ///
    /// ```
    /// use millstream::aggregates::count;
    /// use millstream::{io::IterSource, ms, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let orders = [0, 1, 2, 3, 9, 14].map(|at| Record::new(Timestamp::from_millis(at), at));
    ///     // Three are there; ten milliseconds are over; the input is.
    ///     let mut batches = [(0, 3), (3, 2), (14, 1)].into_iter();
    ///     p.source(IterSource::new(orders.into_iter()))
    ///         .key_by(|_| 0u8)
    ///         .time_or_count(ms(10), 3)
    ///         .aggregate(count())
    ///         .for_each(move |batch| {
    ///             let (start, orders) = batches.next().unwrap();
    ///             assert_eq!(batch.value.span.start, Timestamp::from_millis(start));
    ///             assert_eq!(batch.value.value, orders);
    ///         });
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn time_or_count(self, after: Duration, records: u32) -> TimeOrCount<'p, K, T> {
        TimeOrCount { keyed: self, after, records }
    }
}

/// A keyed stream grouped by time or count, which wants an aggregate or a function.
#[must_use = "a window does nothing until an aggregate and a sink follow"]
pub struct TimeOrCount<'p, K, T> {
    keyed: Keyed<'p, K, T>,
    after: Duration,
    records: u32,
}

impl<'p, K: Key, T: 'static> TimeOrCount<'p, K, T> {
    /// Reduces each window to one value, without keeping the records. Late records are counted and
    /// dropped; see [`aggregate_with_late`](Self::aggregate_with_late).
    pub fn aggregate<A: Aggregate<T>>(
        self,
        aggregate: A,
    ) -> Stream<'p, impl Stage<Out = Windowed<K, A::Out>> + use<'p, K, T, A>> {
        let (stream, parts) = self.parts(Aggregated(aggregate));
        grouped(stream, parts, None)
    }

    /// Like [`aggregate`](Self::aggregate), and late records go to a stream of their own.
    ///
    /// ```
    /// use millstream::aggregates::count;
    /// use millstream::{io::IterSource, ms, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     // The last one would have had to come within ten milliseconds.
    ///     let readings = [5, 25, 30, 7].map(|n| Record::new(Timestamp::from_millis(n), n));
    ///     let (counts, late) = p
    ///         .source(IterSource::new(readings.into_iter()))
    ///         .key_by(|_| 0u8)
    ///         .time_or_count(ms(10), 2)
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
        let (stream, parts) = self.parts(Aggregated(aggregate));
        with_late(stream, |stream, late| grouped(stream, parts, Some(late)))
    }

    /// Calls a function on all records of a window, in the order in which they came. Late records
    /// are counted and dropped; see [`apply_with_late`](Self::apply_with_late).
    ///
    /// The records are kept until their windows fire; more than `Config::records_max` of them on a
    /// shard are an error.
    ///
    /// ```
    /// use millstream::{io::IterSource, ms, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let prices = [3, 8, 5, 4].map(|price| Record::new(Timestamp(price), price));
    ///     let mut moves = [5 - 3, 0].into_iter();
    ///     p.source(IterSource::new(prices.into_iter()))
    ///         .key_by(|_| 0u8)
    ///         .time_or_count(ms(10), 3)
    ///         .apply(|_key, _span, mut prices| {
    ///             let first = prices.next().map_or(0, |record| record.value);
    ///             prices.last().map_or(0, |record| record.value - first)
    ///         })
    ///         .for_each(move |window| assert_eq!(Some(window.value.value), moves.next()));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn apply<R: 'static, F>(
        self,
        function: F,
    ) -> Stream<'p, impl Stage<Out = Windowed<K, R>> + use<'p, K, T, R, F>>
    where
        T: Copy + Stored,
        F: FnMut(&K, Span, Records<'_, T>) -> R + 'static,
    {
        let (stream, parts) = self.parts(Buffered::new(KeepAll, function));
        grouped(stream, parts, None)
    }

    /// Like [`apply`](Self::apply), and late records go to a stream of their own.
    ///
    /// ```
    /// use millstream::{io::IterSource, ms, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let readings = [5, 25, 30, 7].map(|n| Record::new(Timestamp::from_millis(n), n));
    ///     let (counts, late) = p
    ///         .source(IterSource::new(readings.into_iter()))
    ///         .key_by(|_| 0u8)
    ///         .time_or_count(ms(10), 2)
    ///         .apply_with_late(|_key, _span, records| records.len());
    ///     counts.for_each(|window| assert!(window.value.value <= 2));
    ///     late.for_each(|record| assert_eq!(record.value, 7));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn apply_with_late<R: 'static, F>(
        self,
        function: F,
    ) -> (Stream<'p, impl Stage<Out = Windowed<K, R>> + use<'p, K, T, R, F>>, Stream<'p, Edge<T>>)
    where
        T: Copy + Stored,
        F: FnMut(&K, Span, Records<'_, T>) -> R + 'static,
    {
        let (stream, parts) = self.parts(Buffered::new(KeepAll, function));
        with_late(stream, |stream, late| grouped(stream, parts, Some(late)))
    }

    /// The edge in front of the operator, and what that is made of.
    fn parts<C>(self, contents: C) -> (Stream<'p, Edge<T>>, Parts<K, T, C>) {
        let Self { keyed: Keyed { upstream, keys, .. }, after, records } = self;
        (upstream.by_key(), Parts { keys, contents, after, records })
    }
}

/// What an operator is made of.
struct Parts<K, T, C> {
    keys: Rc<dyn KeyColumn<K, T>>,
    contents: C,
    after: Duration,
    records: u32,
}

/// Puts an operator behind an edge.
fn grouped<'p, K: Key, T: 'static, C: Contents<K, T>>(
    stream: Stream<'p, Edge<T>>,
    parts: Parts<K, T, C>,
    late: Option<Side<T>>,
) -> Stream<'p, impl Stage<Out = Windowed<K, C::Out>> + use<'p, K, T, C>> {
    let Parts { keys, contents, after, records } = parts;
    let pipeline = stream.pipeline;
    let label = format!("time_or_count ({after:?} or {records})");
    if after.is_zero() {
        let error = ConfigError::setting("time_or_count", "0 ns", "a window needs a length");
        pipeline.reject(error);
    }
    if records == 0 {
        let reason = "a window holds at least one record";
        pipeline.reject(ConfigError::setting("time_or_count", 0, reason));
    }
    let settings = Settings::new(&pipeline.config(), nanos(after), records);
    stream.then(label, move |stage| TimeOrCountStage { stage, settings, contents, keys, late })
}

struct TimeOrCountStage<K, T, C> {
    stage: Edge<T>,
    settings: Settings,
    contents: C,
    keys: Rc<dyn KeyColumn<K, T>>,
    late: Option<Side<T>>,
}

impl<K: Key, T: 'static, C: Contents<K, T>> Stage for TimeOrCountStage<K, T, C> {
    type Out = Windowed<K, C::Out>;

    fn close<N: Operator<Self::Out>>(self, next: N) -> Box<dyn Runnable> {
        let Self { stage, settings, contents, keys, late } = self;
        stage.close(TimeOrCountOperator::new(settings, contents, keys, late, next))
    }
}
