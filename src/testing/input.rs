//! An input that says exactly what a test tells it to.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use crate::dataflow::{
    Checkpoint, Context, Epoch, Operator, Pipeline, Pressure, Record, Runnable, Saved, Shown,
    Stage, Stream, Work,
};
use crate::metrics::Counter;
use crate::time::{Timestamp, Watermark};

impl<'p> Pipeline<'p> {
    /// An input that a test pushes records, watermarks and silence into, and the stream of them.
    ///
    /// Unlike a source it makes no watermark of its own: event time comes as far as
    /// [`TestInput::watermark`] says, and no further, whatever the records carry. An
    /// [`event_time`](Stream::event_time) step behind it makes its own, as behind any source.
    ///
    /// ```
    /// use millstream::testing::TestDriver;
    /// use millstream::Timestamp;
    /// # fn main() -> millstream::Result<()> {
    /// let (mut driver, (numbers, squares)) = TestDriver::new(|p| {
    ///     let (numbers, stream) = p.test_input::<i64>();
    ///     Ok((numbers, stream.map(|n| n * n).test_output()))
    /// })?;
    /// numbers.push(Timestamp(1), 12);
    /// driver.settle()?;
    /// assert_eq!(squares.take_values(), [144]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn test_input<T: 'static>(self) -> (TestInput<T>, Stream<'p, TestHead<T>>) {
        let node = self.node("test input", &[]);
        let input = TestInput(Rc::default());
        let head = TestHead { queue: input.0.clone(), batch_max: self.config().batch_max };
        (input, Stream::begin(self, head, node))
    }
}

/// What is told to a pipeline by a test; made by [`Pipeline::test_input`].
///
/// What is said waits, however much it is, until the driver steps; what was said to several inputs
/// since then has no order between them. Dropping the handle ends nothing: [`close`](Self::close)
/// does.
pub struct TestInput<T>(Rc<RefCell<Queue<T>>>);

struct Queue<T> {
    waiting: VecDeque<Told<T>>,
    /// The last watermark that was told.
    watermark: Timestamp,
    closed: bool,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), watermark: Timestamp::MIN, closed: false }
    }
}

enum Told<T> {
    Record(Record<T>),
    Watermark(Watermark),
}

impl<T> TestInput<T> {
    /// A record, whatever its time: one behind the watermark is how lateness is tried.
    ///
    /// # Panics
    /// If the input has been closed.
    #[track_caller]
    pub fn push(&self, at: Timestamp, value: T) {
        self.tell(Told::Record(Record::new(at, value)));
    }

    /// Event time has come this far: nothing before `at` is expected any more. It ends the batch.
    ///
    /// # Panics
    /// If it goes back, is the end of time, or the input has been closed.
    #[track_caller]
    pub fn watermark(&self, at: Timestamp) {
        let before = self.0.borrow().watermark;
        assert!(at >= before, "a watermark never goes back: {at:?} after {before:?}");
        assert!(at < Timestamp::MAX, "the last instant says that the input has ended: close it");
        self.0.borrow_mut().watermark = at;
        self.tell(Told::Watermark(Watermark::at(at)));
    }

    /// Nothing is coming for now: until the next record or watermark this input holds nothing back
    /// where it meets others. An `event_time` step that has `idle_after` hears of a long silence.
    ///
    /// # Panics
    /// If the input has been closed.
    #[track_caller]
    pub fn idle(&self) {
        let at = self.0.borrow().watermark;
        self.tell(Told::Watermark(Watermark { at, idle: true }));
    }

    /// Ends the input: every window will close.
    pub fn close(&self) {
        let mut queue = self.0.borrow_mut();
        if !queue.closed {
            queue.closed = true;
            queue.waiting.push_back(Told::Watermark(Watermark::END));
        }
    }

    /// Whether it has been closed.
    pub(super) fn is_closed(&self) -> bool {
        self.0.borrow().closed
    }

    /// The last watermark that it was told.
    pub(super) fn last_watermark(&self) -> Timestamp {
        self.0.borrow().watermark
    }

    #[track_caller]
    fn tell(&self, told: Told<T>) {
        let mut queue = self.0.borrow_mut();
        assert!(!queue.closed, "the input has been closed");
        queue.waiting.push_back(told);
    }
}

/// A stage that begins at a [`TestInput`].
pub struct TestHead<T> {
    queue: Rc<RefCell<Queue<T>>>,
    batch_max: usize,
}

impl<T: 'static> Stage for TestHead<T> {
    type Out = T;

    fn close<N: Operator<T>>(self, next: N) -> Box<dyn Runnable> {
        let (heard_at, told_silent_ns) = (Timestamp::MIN, None);
        let watermark = Watermark::START;
        Box::new(TestStage { head: self, watermark, heard_at, told_silent_ns, next })
    }
}

struct TestStage<T, N> {
    head: TestHead<T>,
    watermark: Watermark,
    /// When something came last, in processing time. Virtual time has no stalls, so all that has
    /// passed since is silence.
    heard_at: Timestamp,
    /// The silence that those downstream know of; nothing before they know of this input.
    told_silent_ns: Option<u64>,
    next: N,
}

/// The silence of an input that is idle because the test says so: long enough for any `idle_after`,
/// short of the one that means never.
const IDLE_NS: u64 = u64::MAX - 1;

impl<T, N: Operator<T>> TestStage<T, N> {
    /// Passes on records up to the next watermark, and that; returns how much that was, and how
    /// many of it were records.
    fn take(&mut self, cx: &mut Context) -> (u64, u64) {
        let mut records = 0;
        while records < self.head.batch_max as u64 {
            let told = self.head.queue.borrow_mut().waiting.pop_front();
            match told {
                Some(Told::Record(record)) => {
                    records += 1;
                    self.watermark.idle = false;
                    self.next.on_record(record, cx);
                }
                Some(Told::Watermark(watermark)) => {
                    self.watermark = watermark;
                    return (records + 1, records);
                }
                None => break,
            }
        }
        (records, records)
    }
}

impl<T: 'static, N: Operator<T>> Runnable for TestStage<T, N> {
    fn drain(&mut self, cx: &mut Context) -> Work {
        self.next.resume(cx)
    }

    fn poll(&mut self, cx: &mut Context) -> Work {
        if self.watermark.is_end() || self.next.pressure() == Pressure::Full {
            return Work::NONE;
        }
        cx.begin_edge();
        cx.ingress = cx.now;
        let before = self.watermark;
        let (work, records) = self.take(cx);
        if work > 0 || self.heard_at == Timestamp::MIN {
            self.heard_at = cx.now;
        }
        let silent_ns = if self.watermark.idle { IDLE_NS } else { cx.now.since(self.heard_at) };
        if work == 0 && self.told_silent_ns == Some(silent_ns) {
            return Work::NONE;
        }
        self.told_silent_ns = Some(silent_ns);
        (cx.silent_ns, cx.partition_ended) = (silent_ns, self.watermark.is_end());
        if self.watermark != before {
            self.next.on_watermark(self.watermark, cx);
        }
        self.next.on_batch_end(cx);
        cx.count(Counter::RecordsIn, records);
        Work(work)
    }

    fn is_source(&self) -> bool {
        true
    }

    fn is_done(&self) -> bool {
        self.watermark.is_end() && self.next.pressure() == Pressure::Clear
    }

    fn is_at(&self, _barrier: Epoch) -> bool {
        self.next.pressure() == Pressure::Clear
    }

    fn on_checkpoint(&mut self, checkpoint: Checkpoint, cx: &mut Context) {
        self.next.on_checkpoint(checkpoint, cx);
    }

    fn inspect(&self, each: &mut dyn FnMut(Shown<'_>)) {
        self.next.inspect(each);
    }

    fn save(&self, out: &mut Saved) {
        let queue = self.head.queue.borrow();
        out.at_rest("test input", queue.waiting.is_empty(), "has not taken all it was told");
        out.put("test input", &(queue.watermark, queue.closed));
        out.put("test input", &(self.watermark, self.heard_at, self.told_silent_ns));
        self.next.save(out);
    }

    fn load(&mut self, from: &mut Saved) {
        let mut queue = self.head.queue.borrow_mut();
        let mut said = (queue.watermark, queue.closed);
        from.take("test input", &mut said);
        (queue.watermark, queue.closed) = said;
        let mut heard = (self.watermark, self.heard_at, self.told_silent_ns);
        from.take("test input", &mut heard);
        (self.watermark, self.heard_at, self.told_silent_ns) = heard;
        self.next.load(from);
    }
}
