//! An output that keeps what comes, for a test to look at.

use std::cell::RefCell;
use std::rc::Rc;

use crate::dataflow::{Record, Saved, Stage, Stream};
use crate::error::IoError;
use crate::io::Sink;
use crate::time::Timestamp;

impl<S: Stage> Stream<'_, S> {
    /// Ends the stream in an output that a test reads: the main one, a side output, late records.
    ///
    /// It keeps whatever comes until it is [taken](TestOutput::take), and never refuses: a sink
    /// that does is what [`Tester`](crate::testing::Tester) tries.
    pub fn test_output(self) -> TestOutput<S::Out> {
        let kept = Rc::new(RefCell::new(Kept::default()));
        self.sink_named("sink test", KeepingSink(kept.clone()));
        TestOutput(kept)
    }
}

/// What came out of a pipeline; made by [`Stream::test_output`].
pub struct TestOutput<T>(Rc<RefCell<Kept<T>>>);

struct Kept<T> {
    records: Vec<Record<T>>,
    watermark: Timestamp,
    ended: bool,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { records: Vec::new(), watermark: Timestamp::MIN, ended: false }
    }
}

impl<T> TestOutput<T> {
    /// What has come since it was last asked, in order.
    pub fn take(&self) -> Vec<Record<T>> {
        std::mem::take(&mut self.0.borrow_mut().records)
    }

    /// What has come since it was last asked, in order, without timestamps.
    pub fn take_values(&self) -> Vec<T> {
        self.take().into_iter().map(|record| record.value).collect()
    }

    /// How far event time has come here; [`Timestamp::MIN`] before anything is known.
    pub fn watermark(&self) -> Timestamp {
        self.0.borrow().watermark
    }

    /// Whether nothing more will come.
    pub fn has_ended(&self) -> bool {
        self.0.borrow().ended
    }
}

/// The pipeline's side of a [`TestOutput`].
struct KeepingSink<T>(Rc<RefCell<Kept<T>>>);

impl<T: 'static> Sink<T> for KeepingSink<T> {
    fn accept(&mut self, record: Record<T>) -> Result<(), IoError> {
        self.0.borrow_mut().records.push(record);
        Ok(())
    }

    fn on_watermark(&mut self, watermark: Timestamp) -> Result<(), IoError> {
        self.0.borrow_mut().watermark = watermark;
        Ok(())
    }

    fn end_of_stream(&mut self) -> Result<(), IoError> {
        self.0.borrow_mut().ended = true;
        Ok(())
    }

    /// How far event time has come; the records have come out, and stay where they are.
    fn save(&self, out: &mut Saved) {
        let kept = self.0.borrow();
        out.put("test output", &(kept.watermark, kept.ended));
    }

    fn load(&mut self, from: &mut Saved) {
        let mut kept = self.0.borrow_mut();
        let mut told = (kept.watermark, kept.ended);
        from.take("test output", &mut told);
        (kept.watermark, kept.ended) = told;
    }
}
