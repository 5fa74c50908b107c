//! Where a stage ends: a sink.

use crate::dataflow::{
    Checkpoint, Context, Epoch, Operator, Pressure, Record, Runnable, SINK, Saved, Stage, Stream,
    Work,
};
use crate::error::IoError;
use crate::io::{Driven, Sink, callback};
use crate::time::Watermark;

impl<S: Stage> Stream<'_, S> {
    /// Ends the stream in a sink, which takes the records of this shard.
    ///
    /// ```
    /// use millstream::{io::{IterSource, MemorySink}, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// let kept = MemorySink::new();
    /// let sink = kept.clone();
    /// Simulation::new(1, 0).run(move |p| {
    ///     let numbers = (0..3).map(|n| Record::new(Timestamp(n), n));
    ///     p.source(IterSource::new(numbers)).sink(sink.clone());
    ///     Ok(())
    /// })?;
    /// assert_eq!(kept.take().len(), 3);
    /// # Ok(())
    /// # }
    /// ```
    pub fn sink(self, sink: impl Sink<S::Out>) {
        self.sink_named(SINK, sink);
    }

    /// Ends the stream in a function that is called with each record.
    pub fn for_each(self, f: impl FnMut(Record<S::Out>) + 'static) {
        self.sink_named(&format!("{SINK} for_each"), callback(f));
    }

    pub(crate) fn sink_named(self, label: &str, sink: impl Sink<S::Out>) {
        let last = self.last(label, sink);
        self.end(last);
    }

    /// The same, but that the stage does not know which sink it is: for tests, which end the same
    /// steps in several, so that those are compiled once for all of them.
    pub(crate) fn sink_apart(self, label: &str, sink: impl Sink<S::Out>) {
        let last: Box<dyn Operator<S::Out>> = Box::new(self.last(label, sink));
        self.end(last);
    }

    fn last<K: Sink<S::Out>>(&self, label: &str, mut sink: K) -> SinkOperator<K> {
        let node = self.pipeline.node(label, &[self.node]);
        if let Some(driven) = sink.driven() {
            self.pipeline.reserve_bytes(driven.bytes());
            self.pipeline.add_stage(node, Box::new(Beside(driven)));
        }
        SinkOperator { sink, taken: 0, commits: false, pressure: Pressure::Clear }
    }
}

/// What a sink does beside the records, as the shard runs it.
struct Beside(Box<dyn Driven>);

impl Runnable for Beside {
    fn drain(&mut self, cx: &mut Context) -> Work {
        match self.0.drive(cx.now) {
            Ok(done) => Work(done),
            Err(error) => {
                cx.fail(error);
                Work::NONE
            }
        }
    }

    fn poll(&mut self, _cx: &mut Context) -> Work {
        Work::NONE
    }

    fn is_done(&self) -> bool {
        self.0.is_done()
    }

    /// No barrier passes here.
    fn is_at(&self, _barrier: Epoch) -> bool {
        true
    }

    fn on_checkpoint(&mut self, _checkpoint: Checkpoint, _cx: &mut Context) {}

    /// The sink itself keeps what is to be kept.
    fn save(&self, _out: &mut Saved) {}
}

struct SinkOperator<K> {
    sink: K,
    /// Records since the last end of a batch, whose latency is measured there.
    taken: u64,
    /// A commit is under way.
    commits: bool,
    pressure: Pressure,
}

impl<K> SinkOperator<K> {
    /// A failed sink takes nothing more; the shard stops at the end of the step.
    #[inline(always)]
    fn check(&mut self, result: Result<(), IoError>, cx: &mut Context) {
        if let Err(error) = result {
            self.pressure = Pressure::Full;
            cx.fail(error);
        }
    }
}

impl<T, K: Sink<T>> Operator<T> for SinkOperator<K> {
    #[inline(always)]
    fn on_record(&mut self, record: Record<T>, cx: &mut Context) {
        if self.pressure == Pressure::Clear && !cx.is_muted {
            self.taken += 1;
            let result = self.sink.accept(record);
            self.check(result, cx);
        }
    }

    #[inline]
    fn on_watermark(&mut self, watermark: Watermark, cx: &mut Context) {
        if self.pressure == Pressure::Clear && !cx.is_muted {
            let result = match watermark.is_end() {
                true => self.sink.end_of_stream(),
                false => self.sink.on_watermark(watermark.at),
            };
            self.check(result, cx);
        }
    }

    #[inline]
    fn on_batch_end(&mut self, cx: &mut Context) {
        if self.taken > 0 && self.pressure == Pressure::Clear {
            cx.reaches_sink();
            let result = self.sink.end_of_batch();
            self.check(result, cx);
            cx.reached_sink(self.taken);
            self.taken = 0;
        }
    }

    fn resume(&mut self, cx: &mut Context) -> Work {
        if !self.commits || self.pressure == Pressure::Full {
            return Work::NONE;
        }
        match self.sink.poll() {
            Ok(commits) => self.commits = commits,
            Err(error) => self.check(Err(error), cx),
        }
        Work(u64::from(!self.commits))
    }

    #[inline]
    fn pressure(&self) -> Pressure {
        match self.pressure {
            Pressure::Clear if !self.sink.is_open() => Pressure::Full,
            Pressure::Clear if self.commits => Pressure::Pending,
            pressure => pressure,
        }
    }

    fn on_checkpoint(&mut self, checkpoint: Checkpoint, cx: &mut Context) {
        if self.pressure == Pressure::Clear {
            let result = match checkpoint {
                Checkpoint::Barrier(epoch) => self.sink.on_barrier(epoch),
                Checkpoint::Complete(epoch) => self.sink.on_complete(epoch),
            };
            self.check(result, cx);
            self.commits |= matches!(checkpoint, Checkpoint::Complete(_));
        }
    }

    fn save(&self, out: &mut Saved) {
        self.sink.save(out);
    }

    fn load(&mut self, from: &mut Saved) {
        self.sink.load(from);
    }
}
