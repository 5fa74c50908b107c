//! Records by the batch, for sinks that want them so.

use std::time::Duration;

use crate::dataflow::{Edge, Operator, Record, Runnable, Stage, Stream};
use crate::error::ConfigError;
use crate::exchange;
use crate::operators::batch::batched::Pool;
use crate::operators::batch::gather::{Append, Complete, Gather, Update};
use crate::operators::batch::operator::{BatchOperator, Settings};
use crate::state::{Key, Stored};
use crate::time::nanos;

mod batched;
mod gather;
mod index;
mod operator;

pub use batched::Batched;

impl<'p, S: Stage> Stream<'p, S> {
    /// Gathers the records of this shard into batches; say next what is in one:
    /// [`append`](BatchStream::append), [`update`](BatchStream::update) or
    /// [`complete`](BatchStream::complete).
    ///
    /// A batch goes on when `max_records` have come for it, when `max_wait` of processing time has
    /// passed since the first of them, or when the input ends, whichever is first. There are no
    /// empty ones. A wait of zero is until the records that are there have been taken, which is how
    /// sinks are called anyway: **this trades latency**, up to `max_wait` of it, for calls that are
    /// rarer and larger, as a database or a file of columns wants them. Nothing else in a pipeline
    /// waits for a batch to fill. Latency is counted from the oldest record of each batch.
    ///
    /// It goes by processing time, so where one batch ends and the next begins differs from run to
    /// run, unless the number of records decides; the sequence of records does not. A batch has the
    /// latest timestamp of what came for it, and the watermark waits with it.
    ///
    /// Batches stay on their shard. One that is half full when a pipeline goes on with fewer shards
    /// may have to share one, and none gets larger than it may. Their memory goes round and round:
    /// keeping one keeps its memory.
    ///
    /// ```
    /// use millstream::{io::IterSource, ms, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let orders = (0..7).map(|n| Record::new(Timestamp(n), n));
    ///     let mut sizes = [3, 3, 1].into_iter();
    ///     p.source(IterSource::new(orders))
    ///         .batch(3, ms(50))
    ///         .append()
    ///         .for_each(move |batch| {
    ///             let orders: &[Record<i64>] = &batch.value;
    ///             assert_eq!(Some(orders.len()), sizes.next());
    ///         });
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn batch(self, max_records: usize, max_wait: Duration) -> BatchStream<'p, S::Out> {
        // Behind an edge there is one watermark, whatever the source has partitions.
        let stream = exchange::local(self, "batch edge");
        BatchStream { stream, max_records, max_wait }
    }
}

/// A stream that goes on in batches, once it is said what is in them.
#[must_use = "a batch does nothing until it is said what is in it and a sink follows"]
pub struct BatchStream<'p, T> {
    stream: Stream<'p, Edge<T>>,
    max_records: usize,
    max_wait: Duration,
}

impl<'p, T: Clone + Stored> BatchStream<'p, T> {
    /// Every record once, in order: for results that are final.
    ///
    /// Windows that allow lateness or have a trigger revise their results; leave out those that are
    /// [early](crate::Timing), or take [`update`](Self::update).
    pub fn append(self) -> Stream<'p, impl Stage<Out = Batched<T>> + use<'p, T>> {
        let room = self.max_records;
        self.gathered("append", Append, room)
    }

    /// The last value of each key that changed since the last batch, in the order in which the keys
    /// first did: for a table that is written by key.
    ///
    /// Give all that names a row: for windows that is their key and their span. What a batch holds
    /// is bounded by the records that come for it, whatever the number of keys.
    ///
    /// ```
    /// use millstream::{io::IterSource, ms, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let quotes = [('a', 1), ('b', 2), ('a', 3), ('b', 4)];
    ///     let quotes = quotes.map(|quote| Record::new(Timestamp(0), quote));
    ///     let mut batches = [vec![('a', 3), ('b', 2)], vec![('b', 4)]].into_iter();
    ///     p.source(IterSource::new(quotes.into_iter()))
    ///         .batch(3, ms(50))
    ///         .update(|quote| quote.0)
    ///         .for_each(move |batch| {
    ///             let changed: Vec<_> = batch.value.iter().map(|record| record.value).collect();
    ///             assert_eq!(Some(changed), batches.next());
    ///         });
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn update<K: Key, F: Fn(&T) -> K + 'static>(
        self,
        key: F,
    ) -> Stream<'p, impl Stage<Out = Batched<T>> + use<'p, T, K, F>> {
        let (room, seed) = (self.max_records, self.stream.pipeline.config().hash_seed);
        // What cannot be is refused further down, and nothing is allocated for it.
        let keys = if self.is_possible() { room } else { 1 };
        self.gathered("update", Update::new(key, keys, seed), room)
    }

    /// The current values of all keys that there have been: for a table that is replaced.
    ///
    /// Costs as much as there are keys, for every batch: it is gathered a slice a step
    /// (`Config::fire_max`) while the input waits. The order is that of the hashes, the same from
    /// batch to batch but for keys that are new. More keys than `Config::keys_max` on a shard are
    /// an error.
    ///
    /// ```
    /// use millstream::{io::IterSource, ms, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let quotes = [('a', 1), ('b', 2), ('c', 9), ('a', 3)];
    ///     let quotes = quotes.map(|quote| Record::new(Timestamp(0), quote));
    ///     let mut totals = [1 + 2, 3 + 2 + 9].into_iter();
    ///     p.source(IterSource::new(quotes.into_iter()))
    ///         .batch(2, ms(50))
    ///         .complete(|quote| quote.0)
    ///         .for_each(move |batch| {
    ///             let total: i32 = batch.value.iter().map(|record| record.value.1).sum();
    ///             assert_eq!(Some(total), totals.next());
    ///         });
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn complete<K: Key, F: Fn(&T) -> K + 'static>(
        self,
        key: F,
    ) -> Stream<'p, impl Stage<Out = Batched<T>> + use<'p, T, K, F>>
    where
        T: Copy + Send,
    {
        let config = self.stream.pipeline.config();
        self.gathered("complete", Complete::new(key, config.keys_max, config.hash_seed), 0)
    }

    fn is_possible(&self) -> bool {
        (1..=self.stream.pipeline.config().records_max).contains(&self.max_records)
    }

    /// Puts the operator behind the edge; its batches have this much room to begin with.
    fn gathered<G: Gather<T>>(
        self,
        mode: &str,
        gather: G,
        room: usize,
    ) -> Stream<'p, impl Stage<Out = Batched<T>> + use<'p, T, G>> {
        let is_possible = self.is_possible();
        let Self { stream, max_records, max_wait } = self;
        let pipeline = stream.pipeline;
        let config = pipeline.config();
        if !is_possible {
            let reason = match max_records {
                0 => "a batch holds at least one record".to_owned(),
                _ => format!("more than `records_max`, which is {}", config.records_max),
            };
            pipeline.reject(ConfigError::setting("batch", max_records, reason));
        }
        let room = if is_possible { room } else { 0 };
        // One is filled while another is in the sink.
        pipeline.reserve_bytes(room.saturating_mul(2 * size_of::<Record<T>>()));
        let pool = Pool::new(room);
        let settings = Settings {
            records_max: max_records,
            wait_ns: nanos(max_wait),
            fire_max: config.fire_max,
            batch_max: config.batch_max,
        };
        let label = format!("batch ({max_records} or {max_wait:?}, {mode})");
        stream.then(label, move |stage| BatchStage { stage, settings, gather, pool })
    }
}

struct BatchStage<T, G> {
    stage: Edge<T>,
    settings: Settings,
    gather: G,
    pool: Pool<T>,
}

impl<T: Clone + Stored, G: Gather<T>> Stage for BatchStage<T, G> {
    type Out = Batched<T>;

    fn close<N: Operator<Batched<T>>>(self, next: N) -> Box<dyn Runnable> {
        let Self { stage, settings, gather, pool } = self;
        stage.close(BatchOperator::new(settings, gather, pool, next))
    }
}
