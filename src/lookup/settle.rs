//! What becomes of an answer: a row, no row, or a failure that somebody has to know of.

use crate::dataflow::{
    Checkpoint, Context, Operator, Pressure, Record, Runnable, Saved, Stage, Work, pass_on,
};
use crate::error::LookupError;
use crate::exchange::{Port, Side};
use crate::lookup::service::Answer;
use crate::metrics::Counter;
use crate::state::EachBulk;
use crate::time::Watermark;

/// What becomes of a record whose lookup has failed for good.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// The pipeline stops with the error: results are complete or there are none.
    #[default]
    Fail,
    /// The record is left out, and counted as dropped.
    Drop,
}

/// What becomes of a failure, on one shard.
pub enum Failures<T> {
    Policy(OnFailure),
    /// It goes to a stream of its own, with the record.
    Aside(Side<(T, LookupError)>),
}

impl<T> Failures<T> {
    pub fn aside(port: Port<(T, LookupError)>) -> Self {
        Self::Aside(Side::new(port))
    }

    fn side(&mut self) -> Option<&mut Side<(T, LookupError)>> {
        match self {
            Self::Aside(side) => Some(side),
            Self::Policy(_) => None,
        }
    }
}

/// A stage whose last step makes rows out of answers: `row` makes one, or none.
pub struct SettleStage<S, F, T> {
    pub stage: S,
    pub row: F,
    pub failures: Failures<T>,
}

impl<S, F, T, V, O> Stage for SettleStage<S, F, T>
where
    S: Stage<Out = (T, Answer<V>)>,
    F: Fn(T, Option<V>) -> Option<O> + 'static,
    T: 'static,
    V: 'static,
    O: 'static,
{
    type Out = O;

    fn close<N: Operator<O>>(self, next: N) -> Box<dyn Runnable> {
        self.stage.close(Settle { row: self.row, failures: self.failures, next })
    }
}

struct Settle<F, T, N> {
    row: F,
    failures: Failures<T>,
    next: N,
}

impl<F, T, N> Settle<F, T, N> {
    #[cold]
    fn on_failure(&mut self, record: Record<T>, error: LookupError, cx: &mut Context) {
        match &mut self.failures {
            Failures::Aside(side) => side.push(record.map(|value| (value, error))),
            Failures::Policy(OnFailure::Fail) => cx.fail(error),
            Failures::Policy(OnFailure::Drop) => cx.count(Counter::Dropped, 1),
        }
    }
}

impl<F, T, V, O, N> Operator<(T, Answer<V>)> for Settle<F, T, N>
where
    F: Fn(T, Option<V>) -> Option<O> + 'static,
    T: 'static,
    O: 'static,
    N: Operator<O>,
{
    #[inline(always)]
    fn on_record(&mut self, record: Record<(T, Answer<V>)>, cx: &mut Context) {
        let Record { at, value: (value, answer) } = record;
        match answer {
            Ok(found) => {
                if let Some(row) = (self.row)(value, found) {
                    self.next.on_record(Record::new(at, row), cx);
                }
            }
            Err(error) => self.on_failure(Record::new(at, value), error, cx),
        }
    }

    #[inline]
    fn on_watermark(&mut self, watermark: Watermark, cx: &mut Context) {
        if let Some(side) = self.failures.side() {
            side.on_watermark(watermark);
        }
        self.next.on_watermark(watermark, cx);
    }

    #[inline]
    fn on_batch_end(&mut self, cx: &mut Context) {
        if let Some(side) = self.failures.side() {
            side.on_batch_end(cx);
        }
        self.next.on_batch_end(cx);
    }

    fn resume(&mut self, cx: &mut Context) -> Work {
        let mut work = self.failures.side().map_or(Work::NONE, |side| side.resume(cx));
        work += self.next.resume(cx);
        work
    }

    #[inline]
    fn pressure(&self) -> Pressure {
        match &self.failures {
            Failures::Aside(side) => side.pressure().max(self.next.pressure()),
            Failures::Policy(_) => self.next.pressure(),
        }
    }

    fn on_checkpoint(&mut self, checkpoint: Checkpoint, cx: &mut Context) {
        if let Some(side) = self.failures.side() {
            side.on_checkpoint(checkpoint, cx);
        }
        self.next.on_checkpoint(checkpoint, cx);
    }

    fn save(&self, out: &mut Saved) {
        if let Failures::Aside(side) = &self.failures {
            side.save(out);
        }
        self.next.save(out);
    }

    fn load(&mut self, from: &mut Saved) {
        if let Some(side) = self.failures.side() {
            side.load(from);
        }
        self.next.load(from);
    }

    fn bulk(&mut self, each: &mut EachBulk<'_>) {
        self.next.bulk(each);
    }

    pass_on!(next: inspect);
}
