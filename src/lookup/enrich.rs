//! `stream.lookup(...)`: how a lookup is asked for.

use std::collections::VecDeque;
use std::time::Duration;

use crate::dataflow::{Edge, Keyed, Operator, Runnable, Stage, Stream};
use crate::error::{ConfigError, LookupError};
use crate::exchange;
use crate::lookup::cache::{Cache, Cached, Memo, NoCache};
use crate::lookup::calls::Calls;
use crate::lookup::line::{Line, NOWHERE};
use crate::lookup::operator::{Item, LookupOperator, Order, Settings};
use crate::lookup::retry::Retry;
use crate::lookup::service::{Answer, Lookup};
use crate::lookup::settle::{Failures, OnFailure, SettleStage};
use crate::state::{Key, Stored};
use crate::time::secs;

impl<'p, S: Stage<Out: Clone + Stored>> Stream<'p, S> {
    /// Asks `lookup` about each record: `request` says what. The shard never waits for an answer;
    /// the record does, while others are asked about and answered.
    ///
    /// Unless told otherwise at most 256 records wait, an attempt is given one second, nothing is
    /// tried again or kept, and records come out in the order of the input. End it by
    /// [`left`](Enrich::left), [`inner`](Enrich::inner) or [`results`](Enrich::results).
    ///
    /// A watermark never overtakes a record and is never overtaken by one. Records that wait are
    /// kept in a snapshot and asked about again after a restore: a call is made at least once.
    ///
    /// ```
    /// use millstream::lookup::{Cache, Retry, TableLookup};
    /// use millstream::{io::IterSource, ms, secs, Record, Simulation, Text, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// #[derive(Clone, serde::Serialize, serde::Deserialize)]
    /// struct Order { customer: u32 }
    ///
    /// Simulation::new(1, 0).run(|p| {
    ///     let customers = TableLookup::new([(7, Text::<8>::literal("Ada"))]);
    ///     let orders = [7, 9].map(|customer| Record::new(Timestamp(0), Order { customer }));
    ///     p.source(IterSource::new(orders.into_iter()))
    ///         .lookup(customers, |order| order.customer)
    ///         .capacity(256)
    ///         .timeout(ms(5))
    ///         .retry(Retry::exponential(3, ms(1)).jitter(0.2))
    ///         .cache(Cache::of(10_000, secs(60)).missing(secs(5)))
    ///         .left()
    ///         .for_each(|record| {
    ///             let (order, name) = record.value;
    ///             assert_eq!(name.is_some(), order.customer == 7);
    ///         });
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn lookup<L: Lookup, F>(self, lookup: L, request: F) -> Enrich<'p, S::Out, F, L, NoCache>
    where
        F: Fn(&S::Out) -> L::Request + 'static,
    {
        Enrich::new(exchange::local(self, "line up"), lookup, request)
    }
}

impl<'p, K: Key, T: Clone + Stored> Keyed<'p, K, T> {
    /// Like [`Stream::lookup`], on the shard that owns the record's key: so that what one shard has
    /// asked about and [keeps](Enrich::cache) no other has to ask about.
    ///
    /// ```
    /// use millstream::lookup::{Cache, TableLookup};
    /// use millstream::{io::IterSource, secs, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(3, 0).run(|p| {
    ///     let names = TableLookup::new([(1u32, 'a'), (2, 'b')]);
    ///     let numbers = if p.shard() == 0 { [1, 2, 1, 3] } else { [9; 4] };
    ///     p.source(IterSource::new(numbers.map(|n| Record::new(Timestamp(0), n)).into_iter()))
    ///         .key_by(|n| *n)
    ///         .lookup(names, |n| *n)
    ///         .cache(Cache::of(100, secs(60)))
    ///         .inner()
    ///         .for_each(|record| assert!(record.value.0 < 3));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn lookup<L: Lookup, F>(self, lookup: L, request: F) -> Enrich<'p, T, F, L, NoCache>
    where
        F: Fn(&T) -> L::Request + 'static,
    {
        Enrich::new(self.upstream.by_key(), lookup, request)
    }
}

/// What was said about the calls.
#[derive(Clone, Copy)]
struct Asked {
    capacity: usize,
    timeout: Duration,
    retry: Retry,
    order: Order,
    on_failure: OnFailure,
}

/// A lookup in the making; made by [`Stream::lookup`].
#[must_use = "a lookup does nothing until it ends in `left`, `inner` or `results`"]
pub struct Enrich<'p, T, F, L, M> {
    stream: Stream<'p, Edge<T>>,
    lookup: L,
    request: F,
    memo: M,
    /// What is wrong with the cache.
    wrong: Option<ConfigError>,
    /// What the cache takes.
    bytes: usize,
    asked: Asked,
}

impl<'p, T: 'static, F, L: Lookup> Enrich<'p, T, F, L, NoCache> {
    fn new(stream: Stream<'p, Edge<T>>, lookup: L, request: F) -> Self {
        let asked = Asked {
            capacity: 256,
            timeout: secs(1),
            retry: Retry::none(),
            order: Order::Input,
            on_failure: OnFailure::Fail,
        };
        Self { stream, lookup, request, memo: NoCache, wrong: None, bytes: 0, asked }
    }
}

impl<'p, T: 'static, F, L: Lookup, M> Enrich<'p, T, F, L, M> {
    /// How many records may wait. With so many in line the input is not taken; no queue grows. As
    /// many calls may be under way, and of the batch that reaches the capacity the rest waits
    /// without being asked about.
    pub fn capacity(mut self, records: usize) -> Self {
        self.asked.capacity = records;
        self
    }

    /// How long each attempt is given, by processing time, from when it is due: also one that
    /// cannot be made because the lookup takes no more. An answer that comes later is counted and
    /// thrown away.
    pub fn timeout(mut self, span: Duration) -> Self {
        self.asked.timeout = span;
        self
    }

    /// How often an attempt that failed is made again. In all a record waits no longer than all
    /// attempts and the waits between them take together.
    pub fn retry(mut self, retry: Retry) -> Self {
        self.asked.retry = retry;
        self
    }

    /// Records come out as they came in: one that waits holds back those behind it. This is how it
    /// is unless told otherwise.
    pub fn ordered(mut self) -> Self {
        self.asked.order = Order::Input;
        self
    }

    /// Between two watermarks records come out as their answers come; so one that waits holds back
    /// no other, up to the next watermark.
    ///
    /// ```
    /// use millstream::lookup::TableLookup;
    /// use millstream::{io::IterSource, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let table = TableLookup::new([(1u32, 10u32)]);
    ///     p.source(IterSource::new([Record::new(Timestamp(0), 1)].into_iter()))
    ///         .lookup(table, |n| *n)
    ///         .unordered()
    ///         .inner()
    ///         .for_each(|record| assert_eq!(record.value, (1, 10)));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn unordered(mut self) -> Self {
        self.asked.order = Order::Any;
        self
    }

    /// What becomes of a record whose lookup has failed for good: the pipeline fails, unless told
    /// otherwise. [`results`](Self::results) passes the error on as a value, and
    /// [`left_with_failed`](Self::left_with_failed) sends it to a stream of its own.
    pub fn on_failure(mut self, policy: OnFailure) -> Self {
        self.asked.on_failure = policy;
        self
    }

    /// Keeps answers, and lets records that ask for the same key share a call. A pipeline that goes
    /// on with another number of shards asks anew.
    pub fn cache(self, cache: Cache) -> Enrich<'p, T, F, L, Cached<L::Request, L::Reply>>
    where
        L::Request: Key,
        L::Reply: Stored,
    {
        let Self { stream, lookup, request, asked, .. } = self;
        let wrong = cache.check().err();
        let memo = if wrong.is_some() { Cache::of(1, secs(1)) } else { cache };
        let memo = Cached::new(memo, stream.pipeline.config().hash_seed);
        let bytes = cache.bytes::<L::Request, L::Reply>();
        Enrich { stream, lookup, request, memo, wrong, bytes, asked }
    }
}

/// The answer beside the record, whatever it is.
type Results<T, L> = (T, Answer<<L as Lookup>::Reply>);

impl<'p, T, F, L, M> Enrich<'p, T, F, L, M>
where
    T: Clone + Stored,
    F: Fn(&T) -> L::Request + 'static,
    L: Lookup,
    M: Memo<L::Request, L::Reply>,
{
    /// Each record with what came of its lookup: what was found, that there is nothing, or why it
    /// failed. Nothing is dropped and nothing stops the pipeline.
    ///
    /// ```
    /// use millstream::lookup::TableLookup;
    /// use millstream::{io::IterSource, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let limits = TableLookup::new([(1u32, 500u64)]);
    ///     p.source(IterSource::new([Record::new(Timestamp(0), 1)].into_iter()))
    ///         .lookup(limits, |account| *account)
    ///         .results()
    ///         // Somebody without a limit has none; somebody of whom nothing is known gets little.
    ///         .map(|(_, limit)| limit.map_or(10, |found| found.unwrap_or(u64::MAX)))
    ///         .for_each(|record| assert_eq!(record.value, 500));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn results(self) -> Stream<'p, impl Stage<Out = Results<T, L>> + use<'p, T, F, L, M>> {
        let Self { stream, mut lookup, request, memo, wrong, bytes, asked } = self;
        let pipeline = stream.pipeline;
        let config = pipeline.config();
        if let Some(error) = wrong.or_else(|| check(&asked).err()) {
            pipeline.reject(error);
        }
        let (batch_max, fire_max) = (config.batch_max, config.fire_max);
        let capacity = asked.capacity.clamp(1, CAPACITY_MAX);
        let settings = Settings { capacity, order: asked.order, batch_max, fire_max };
        let line = Line::<Item<T, L::Request, L::Reply>>::bytes(settings.room());
        pipeline.reserve_bytes(line.saturating_add(Calls::<L, M>::bytes(capacity)));
        pipeline.reserve_bytes(bytes);
        let bell = pipeline.fabric().bell(pipeline.shard());
        pipeline.reserve_bytes(lookup.attach(bell, capacity));
        let seed = config.hash_seed ^ pipeline.shard() as u64;
        let calls = Calls::new(lookup, memo, capacity, asked.timeout, asked.retry, seed);
        stream.then("lookup", |stage| LookupStage { stage, request, calls, settings })
    }

    /// Each record with what was found for it, or nothing: a left join.
    ///
    /// ```
    /// use millstream::lookup::TableLookup;
    /// use millstream::{io::IterSource, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let table = TableLookup::new([(1u32, 10u32)]);
    ///     p.source(IterSource::new([1, 2].map(|n| Record::new(Timestamp(0), n)).into_iter()))
    ///         .lookup(table, |n| *n)
    ///         .left()
    ///         .for_each(|record| assert_eq!(record.value.1.is_some(), record.value.0 == 1));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn left(self) -> Stream<'p, impl Stage<Out = (T, Option<L::Reply>)> + use<'p, T, F, L, M>> {
        let failures = Failures::Policy(self.asked.on_failure);
        self.settle("left", either, failures)
    }

    /// Each record for which something was found, with that: an inner join.
    ///
    /// ```
    /// use millstream::lookup::TableLookup;
    /// use millstream::{io::IterSource, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let table = TableLookup::new([(1u32, 10u32)]);
    ///     p.source(IterSource::new([1, 2].map(|n| Record::new(Timestamp(0), n)).into_iter()))
    ///         .lookup(table, |n| *n)
    ///         .inner()
    ///         .for_each(|record| assert_eq!(record.value, (1, 10)));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn inner(self) -> Stream<'p, impl Stage<Out = (T, L::Reply)> + use<'p, T, F, L, M>> {
        let failures = Failures::Policy(self.asked.on_failure);
        self.settle("inner", both, failures)
    }

    /// Like [`left`](Self::left), and a side output of the records whose lookup has failed for
    /// good, each with why.
    ///
    /// ```
    /// use millstream::lookup::TableLookup;
    /// use millstream::{io::IterSource, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let table = TableLookup::new([(1u32, 10u32)]);
    ///     let (rows, failed) = p
    ///         .source(IterSource::new([Record::new(Timestamp(0), 1)].into_iter()))
    ///         .lookup(table, |n| *n)
    ///         .left_with_failed();
    ///     rows.for_each(|record| assert_eq!(record.value, (1, Some(10))));
    ///     failed.for_each(|record| panic!("{:?}", record.value.1));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn left_with_failed(
        self,
    ) -> (
        Stream<'p, impl Stage<Out = (T, Option<L::Reply>)> + use<'p, T, F, L, M>>,
        Stream<'p, Edge<(T, LookupError)>>,
    ) {
        self.settle_with_failed("left", either)
    }

    /// Like [`inner`](Self::inner), and a side output of the records whose lookup has failed for
    /// good, each with why.
    ///
    /// ```
    /// use millstream::lookup::TableLookup;
    /// use millstream::{io::IterSource, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let table = TableLookup::new([(1u32, 10u32)]);
    ///     let (rows, failed) = p
    ///         .source(IterSource::new([1, 2].map(|n| Record::new(Timestamp(0), n)).into_iter()))
    ///         .lookup(table, |n| *n)
    ///         .inner_with_failed();
    ///     rows.for_each(|record| assert_eq!(record.value, (1, 10)));
    ///     failed.for_each(|record| panic!("{:?}", record.value.1));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn inner_with_failed(
        self,
    ) -> (
        Stream<'p, impl Stage<Out = (T, L::Reply)> + use<'p, T, F, L, M>>,
        Stream<'p, Edge<(T, LookupError)>>,
    ) {
        self.settle_with_failed("inner", both)
    }

    fn settle<O: 'static>(
        self,
        label: &str,
        row: fn(T, Option<L::Reply>) -> Option<O>,
        failures: Failures<T>,
    ) -> Stream<'p, impl Stage<Out = O> + use<'p, T, F, L, M, O>> {
        self.results().then(label, |stage| SettleStage { stage, row, failures })
    }

    fn settle_with_failed<O: 'static>(
        self,
        label: &str,
        row: fn(T, Option<L::Reply>) -> Option<O>,
    ) -> (
        Stream<'p, impl Stage<Out = O> + use<'p, T, F, L, M, O>>,
        Stream<'p, Edge<(T, LookupError)>>,
    ) {
        let pipeline = self.stream.pipeline;
        let (port, lane) = exchange::handover(pipeline);
        let main = self.settle(label, row, Failures::aside(port));
        let node = pipeline.node("failed", &[main.node]);
        (main, exchange::behind(pipeline, vec![lane], node))
    }
}

fn either<T, V>(value: T, found: Option<V>) -> Option<(T, Option<V>)> {
    Some((value, found))
}

fn both<T, V>(value: T, found: Option<V>) -> Option<(T, V)> {
    found.map(|found| (value, found))
}

/// The line is allocated before it is used.
const CAPACITY_MAX: usize = 1 << 20;

fn check(asked: &Asked) -> Result<(), ConfigError> {
    if asked.capacity == 0 || asked.capacity > CAPACITY_MAX {
        let reason = format!("from 1 to {CAPACITY_MAX} records");
        return Err(ConfigError::setting("lookup capacity", asked.capacity, reason));
    }
    if asked.timeout.is_zero() {
        let reason = "no answer would be in time";
        return Err(ConfigError::setting("lookup timeout", "0 ns", reason));
    }
    asked.retry.check()
}

struct LookupStage<S, F, L: Lookup, M> {
    stage: S,
    request: F,
    calls: Calls<L, M>,
    settings: Settings,
}

impl<S, F, L, M> Stage for LookupStage<S, F, L, M>
where
    S: Stage<Out: Clone + Stored>,
    F: Fn(&S::Out) -> L::Request + 'static,
    L: Lookup,
    M: Memo<L::Request, L::Reply>,
{
    type Out = Results<S::Out, L>;

    fn close<N: Operator<Self::Out>>(self, next: N) -> Box<dyn Runnable> {
        let room = self.settings.room();
        self.stage.close(LookupOperator {
            request_of: self.request,
            calls: self.calls,
            line: Line::new(room),
            records: 0,
            turn: NOWHERE,
            last_segment: 0,
            first_segment: 0,
            search: NOWHERE,
            ready: VecDeque::with_capacity(room),
            settings: self.settings,
            oldest: None,
            next,
        })
    }
}
