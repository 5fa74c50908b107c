//! All results in one place and in one order.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::dataflow::{
    Context, Operator, Pressure, Record, Runnable, Saved, Stage, Stream, Work, pass_on,
};
use crate::error::Error;
use crate::exchange::{self, To};
use crate::state::{EachBulk, Stored};
use crate::time::{Timestamp, Watermark};

impl<'p, S: Stage<Out: Clone + Send + Stored>> Stream<'p, S> {
    /// Brings the records of all shards to shard 0 and puts them in order: by time, then by `rank`,
    /// as soon as the watermark says that nothing earlier will come. So the whole output is the
    /// same on any number of shards.
    ///
    /// A record behind the watermark goes on at once. Records that tie in both time and rank keep
    /// their order of arrival. Records wait in memory for the watermark: more than
    /// `Config::records_max` of them is an error.
    ///
    /// ```
    /// use millstream::io::{IterSource, MemorySink};
    /// use millstream::{ms, Record, Simulation, Timestamp, Watermarks};
    /// # fn main() -> millstream::Result<()> {
    /// let kept = MemorySink::new();
    /// let sink = kept.clone();
    /// Simulation::new(1, 0).run(move |p| {
    ///     let shuffled = [3, 1, 2].map(|n| Record::new(Timestamp(0), n));
    ///     p.source(IterSource::new(shuffled.into_iter()))
    ///         .event_time(|n| Timestamp::from_millis(*n), Watermarks::bounded_disorder(ms(2)))
    ///         .ordered(|n| *n)
    ///         .sink(sink.clone());
    ///     Ok(())
    /// })?;
    /// assert!(kept.take().is_sorted_by_key(|record| record.at));
    /// # Ok(())
    /// # }
    /// ```
    pub fn ordered<R: Ord + 'static>(
        self,
        rank: impl Fn(&S::Out) -> R + 'static,
    ) -> Stream<'p, impl Stage<Out = S::Out>> {
        let stream = exchange::exchange(self, "gather", To(0));
        let config = stream.pipeline.config();
        let (fire_max, records_max) = (config.fire_max, config.records_max);
        stream.then("ordered", |stage| OrderedStage { stage, rank, fire_max, records_max })
    }
}

struct OrderedStage<S, F> {
    stage: S,
    rank: F,
    fire_max: usize,
    records_max: usize,
}

impl<S, R, F> Stage for OrderedStage<S, F>
where
    S: Stage<Out: Clone + Stored>,
    R: Ord + 'static,
    F: Fn(&S::Out) -> R + 'static,
{
    type Out = S::Out;

    fn close<N: Operator<S::Out>>(self, next: N) -> Box<dyn Runnable> {
        self.stage.close(Ordered {
            rank: self.rank,
            waiting: BinaryHeap::new(),
            arrivals: 0,
            watermark: Watermark::START,
            told: Watermark::START,
            ingress: Timestamp::MIN,
            fire_max: self.fire_max,
            records_max: self.records_max,
            next,
        })
    }
}

/// A record that waits for the watermark; ordered by everything but its value.
struct Waiting<R, T> {
    order: (Timestamp, R, u64),
    value: T,
}

impl<R: Ord, T> PartialEq for Waiting<R, T> {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl<R: Ord, T> Eq for Waiting<R, T> {}

impl<R: Ord, T> PartialOrd for Waiting<R, T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<R: Ord, T> Ord for Waiting<R, T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order.cmp(&other.order)
    }
}

struct Ordered<F, R, T, N> {
    rank: F,
    waiting: BinaryHeap<Reverse<Waiting<R, T>>>,
    arrivals: u64,
    watermark: Watermark,
    /// The last watermark that went on: the one before which nothing waits.
    told: Watermark,
    /// The ingress of the batch that moved the watermark.
    ingress: Timestamp,
    fire_max: usize,
    records_max: usize,
    next: N,
}

impl<T: 'static, R: Ord, F: Fn(&T) -> R, N: Operator<T>> Ordered<F, R, T, N> {
    /// Whether the watermark has passed the first record that waits.
    #[inline]
    fn is_due(&self) -> bool {
        let first = self.waiting.peek();
        first.is_some_and(|Reverse(first)| {
            first.order.0 < self.watermark.at || self.watermark.is_end()
        })
    }

    /// Whether nothing is left to release, and downstream knows how far event time has come.
    fn rests(&self) -> bool {
        self.told == self.watermark && !self.is_due()
    }

    #[cold]
    fn fail(&self, cx: &mut Context) {
        cx.fail(Error::Limit {
            operator: "ordered",
            what: "records that wait for the watermark",
            limit: self.records_max,
            setting: "records_max",
        });
    }

    /// Emits what the watermark has passed, a slice at a time.
    fn release(&mut self, cx: &mut Context) -> Work {
        if self.rests() {
            return Work::NONE;
        }
        if self.next.pressure() == Pressure::Full {
            return Work::NONE;
        }
        if self.told != self.watermark {
            cx.ingress = self.ingress;
        }
        let mut emitted = 0;
        while self.next.pressure() != Pressure::Full {
            if !self.is_due() {
                self.told = self.watermark;
                self.next.on_watermark(self.told, cx);
                break;
            }
            if emitted == self.fire_max as u64 {
                break;
            }
            if let Some(Reverse(Waiting { order, value })) = self.waiting.pop() {
                self.next.on_record(Record::new(order.0, value), cx);
                emitted += 1;
            }
        }
        self.next.on_batch_end(cx);
        Work(emitted + 1)
    }
}

impl<T, R, F, N> Operator<T> for Ordered<F, R, T, N>
where
    T: Clone + Stored,
    R: Ord + 'static,
    F: Fn(&T) -> R + 'static,
    N: Operator<T>,
{
    #[inline]
    fn on_record(&mut self, record: Record<T>, cx: &mut Context) {
        if self.waiting.len() == self.records_max {
            self.fail(cx);
            return;
        }
        let order = (record.at, (self.rank)(&record.value), self.arrivals);
        self.arrivals += 1;
        self.waiting.push(Reverse(Waiting { order, value: record.value }));
    }

    fn on_watermark(&mut self, watermark: Watermark, cx: &mut Context) {
        self.watermark = watermark;
        self.ingress = cx.ingress;
    }

    fn on_batch_end(&mut self, cx: &mut Context) {
        self.release(cx);
    }

    fn resume(&mut self, cx: &mut Context) -> Work {
        let mut work = self.next.resume(cx);
        work += self.release(cx);
        work
    }

    fn pressure(&self) -> Pressure {
        let here = if self.rests() { Pressure::Clear } else { Pressure::Pending };
        here.max(self.next.pressure())
    }

    fn save(&self, out: &mut Saved) {
        out.at_rest("ordered", self.rests(), "releases what has become due");
        // What ranks them need not be `Clone`, and is found again.
        let waiting = self.waiting.iter().map(|Reverse(Waiting { order, value })| {
            (order.2, Record::new(order.0, value.clone()))
        });
        out.put("ordered", &waiting.collect::<Vec<_>>());
        out.put("ordered", &self.arrivals);
        out.put("ordered", &self.watermark);
        self.next.save(out);
    }

    fn load(&mut self, from: &mut Saved) {
        let mut waiting: Vec<(u64, Record<T>)> = Vec::new();
        from.take("ordered", &mut waiting);
        from.take("ordered", &mut self.arrivals);
        from.take("ordered", &mut self.watermark);
        self.told = self.watermark;
        let ranked = waiting.into_iter().map(|(arrival, Record { at, value })| {
            Reverse(Waiting { order: (at, (self.rank)(&value), arrival), value })
        });
        self.waiting = ranked.collect();
        self.next.load(from);
    }

    fn bulk(&mut self, each: &mut EachBulk<'_>) {
        self.next.bulk(each);
    }

    pass_on!(next: checkpoint, inspect);
}
