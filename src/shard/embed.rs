//! A shard in the user's own thread: values in, values out, no thread of ours.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use crate::config::Config;
use crate::dataflow::{Built, Fabric, Pipeline, Record, Saved, Stage, Stream, build};
use crate::error::{ConfigError, Full, IoError, Result};
use crate::io::{Polled, Sink, Source};
use crate::operators::SourceHead;
use crate::shard::Shard;
use crate::time::{Clock, Timestamp};

impl Shard {
    /// Builds a pipeline of one shard to be stepped by the caller. Returns the shard and what the
    /// closure returned, which is where the inputs and outputs come out.
    ///
    /// Latency is measured with the times given to `step`. No thread is started, and a step makes
    /// no system call beyond those of the pipeline's own sources and sinks.
    ///
    /// ```
    /// use millstream::{aggregates::vwap, ms, Config, Shard, Timestamp, Tumbling};
    /// # fn main() -> millstream::Result<()> {
    /// #[derive(Clone, Copy)]
    /// struct Trade { symbol: u32, price: f64, qty: f64 }
    ///
    /// let (mut shard, (mut trades, mut bars)) = Shard::embed(Config::embedded(), |p| {
    ///     let (input, trades) = p.input::<Trade>();
    ///     let bars = trades
    ///         .key_by(|t| t.symbol)
    ///         .window(Tumbling::of(ms(10)))
    ///         .aggregate(vwap(|t: &Trade| t.price, |t: &Trade| t.qty));
    ///     Ok((input, bars.output()))
    /// })?;
    /// for n in 0..100 {
    ///     let at = Timestamp::from_millis(n);
    ///     trades.push(at, Trade { symbol: 7, price: 10.0 + n as f64, qty: 2.0 })?;
    ///     shard.step(at);
    ///     while let Some(bar) = bars.pop() {
    ///         assert_eq!(bar.value.key, 7);
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn embed<H>(
        config: Config,
        build_pipeline: impl for<'p> FnOnce(Pipeline<'p>) -> Result<H>,
    ) -> Result<(Self, H)> {
        let (built, handles) = build_alone(config, build_pipeline)?;
        Ok((Self::timed_by_steps(built), handles))
    }

    /// Like [`embed`](Self::embed), for a test that makes many and does not ask for latencies.
    pub(crate) fn embed_simulated<H>(
        config: Config,
        build_pipeline: impl for<'p> FnOnce(Pipeline<'p>) -> Result<H>,
    ) -> Result<(Self, H)> {
        let (built, handles) = build_alone(config, build_pipeline)?;
        Ok((Self::simulated_by_steps(built), handles))
    }

    /// Like [`embed`](Self::embed), with a clock that measures latency within a step too.
    pub fn embed_with_clock<H>(
        config: Config,
        clock: Rc<dyn Clock>,
        build_pipeline: impl for<'p> FnOnce(Pipeline<'p>) -> Result<H>,
    ) -> Result<(Self, H)> {
        let (built, handles) = build_alone(config, build_pipeline)?;
        Ok((Self::new(built, clock), handles))
    }
}

fn build_alone<H>(
    config: Config,
    build_pipeline: impl for<'p> FnOnce(Pipeline<'p>) -> Result<H>,
) -> Result<(Built, H)> {
    config.check()?;
    let count = config.shards.count();
    if count != 1 {
        let reason = "an embedded pipeline has one shard: the caller's thread";
        return Err(ConfigError::setting("shards", count, reason).into());
    }
    build(0, &Arc::new(config), &Arc::new(Fabric::new(1)), build_pipeline)
}

/// How an output is called in the plan.
const OUTPUT: &str = "sink output";

/// What an input and its source share.
struct Queue<T> {
    waiting: VecDeque<Record<T>>,
    capacity: usize,
    watermark: Timestamp,
    closed: bool,
}

impl<T> Queue<T> {
    fn new(capacity: usize) -> Rc<RefCell<Self>> {
        let waiting = VecDeque::with_capacity(capacity);
        Rc::new(RefCell::new(Self { waiting, capacity, watermark: Timestamp::MIN, closed: false }))
    }
}

/// Where values enter an embedded pipeline. Dropping it ends the input.
pub struct Input<T>(Rc<RefCell<Queue<T>>>);

impl<T> Input<T> {
    /// Puts a value into the pipeline; the next step takes it.
    ///
    /// # Errors
    /// `Full` hands the value back: step the shard, then push again.
    #[inline]
    pub fn push(&mut self, at: Timestamp, value: T) -> Result<(), Full<T>> {
        let mut queue = self.0.borrow_mut();
        if queue.waiting.len() == queue.capacity {
            return Err(Full(value));
        }
        queue.waiting.push_back(Record::new(at, value));
        Ok(())
    }

    /// Promises that nothing before `at` will be pushed, so that windows can close while nothing
    /// is.
    pub fn advance_to(&mut self, at: Timestamp) {
        let mut queue = self.0.borrow_mut();
        queue.watermark = queue.watermark.max(at);
    }

    /// Ends the input: the following steps close every window.
    pub fn close(self) {}
}

impl<T> Drop for Input<T> {
    fn drop(&mut self) {
        self.0.borrow_mut().closed = true;
    }
}

/// The pipeline's side of an [`Input`].
pub struct InputSource<T>(Rc<RefCell<Queue<T>>>);

impl<T: 'static> Source for InputSource<T> {
    type Out = T;

    fn poll(
        &mut self,
        _partition: usize,
        _now: Timestamp,
        budget: usize,
        emit: &mut impl FnMut(Record<T>),
    ) -> Result<Polled, IoError> {
        let mut queue = self.0.borrow_mut();
        let count = queue.waiting.len().min(budget);
        queue.waiting.drain(..count).for_each(emit);
        let empty = queue.waiting.is_empty();
        let promised = empty && queue.watermark > Timestamp::MIN;
        Ok(Polled {
            watermark: promised.then_some(queue.watermark),
            ended: empty && queue.closed,
            ..Polled::open()
        })
    }

    /// It has taken all that was pushed: what the caller pushes next is the position.
    fn save(&self, out: &mut Saved) {
        let queue = self.0.borrow();
        out.at_rest("input", queue.waiting.is_empty(), "holds values that no step has taken");
        out.put("input", &queue.watermark);
    }

    fn load(&mut self, from: &mut Saved) {
        from.take("input", &mut self.0.borrow_mut().watermark);
    }
}

/// Where records leave an embedded pipeline.
pub struct Output<T>(Rc<RefCell<Queue<T>>>);

impl<T> Output<T> {
    /// The oldest record that has not been taken.
    #[inline]
    pub fn pop(&mut self) -> Option<Record<T>> {
        self.0.borrow_mut().waiting.pop_front()
    }
}

/// The pipeline's side of an [`Output`].
struct OutputSink<T> {
    queue: Rc<RefCell<Queue<T>>>,
    batch_max: usize,
}

impl<T: 'static> Sink<T> for OutputSink<T> {
    fn is_open(&self) -> bool {
        let queue = self.queue.borrow();
        queue.waiting.len() + self.batch_max <= queue.capacity
    }

    fn accept(&mut self, record: Record<T>) -> Result<(), IoError> {
        self.queue.borrow_mut().waiting.push_back(record);
        Ok(())
    }
}

impl<'p> Pipeline<'p> {
    /// An input that the caller pushes values into, and the stream of them.
    ///
    /// It holds `Config::embedded_capacity` values. Timestamps are taken to be in order unless
    /// [`event_time`](Stream::event_time) follows.
    pub fn input<T: 'static>(self) -> (Input<T>, Stream<'p, SourceHead<InputSource<T>>>) {
        let capacity = self.config().embedded_capacity;
        self.reserve_bytes(capacity * size_of::<Record<T>>());
        let queue = Queue::new(capacity);
        (Input(queue.clone()), self.source(InputSource(queue)))
    }
}

impl<S: Stage> Stream<'_, S> {
    /// Ends the stream in an output that the caller pops records from.
    ///
    /// It holds `Config::embedded_capacity` records and at least two batches; while it has no room
    /// for one more batch the pipeline takes no input.
    pub fn output(self) -> Output<S::Out> {
        let (output, sink) = self.out();
        self.sink_named(OUTPUT, sink);
        output
    }

    /// The same, but that the stage does not know what it ends in: for tests.
    pub(crate) fn output_apart(self) -> Output<S::Out> {
        let (output, sink) = self.out();
        self.sink_apart(OUTPUT, sink);
        output
    }

    fn out(&self) -> (Output<S::Out>, OutputSink<S::Out>) {
        let config = self.pipeline.config();
        let capacity = config.embedded_capacity.max(2 * config.batch_max);
        self.pipeline.reserve_bytes(capacity * size_of::<Record<S::Out>>());
        let queue = Queue::new(capacity);
        let sink = OutputSink { queue: queue.clone(), batch_max: config.batch_max };
        (Output(queue), sink)
    }
}
