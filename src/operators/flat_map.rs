//! One record in, any number out.

use std::collections::VecDeque;

use crate::dataflow::{
    Context, Operator, Pressure, Record, Runnable, Saved, Stage, Stream, Work, pass_on,
};
use crate::time::{Timestamp, Watermark};

impl<'p, S: Stage> Stream<'p, S> {
    /// Turns each value into any number of values, with its timestamp.
    ///
    /// However many they are, no more are taken out of the iterator than there is room for
    /// downstream; the rest waits in it, and records behind it wait as well.
    ///
    /// ```
    /// use millstream::{io::IterSource, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     p.source(IterSource::new([Record::new(Timestamp(1), "to be or not to be")].into_iter()))
    ///         .flat_map(|line| line.split(' '))
    ///         .for_each(|word| assert!(!word.value.is_empty()));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn flat_map<I: IntoIterator<IntoIter: 'static, Item: 'static>>(
        self,
        f: impl FnMut(S::Out) -> I + 'static,
    ) -> Stream<'p, impl Stage<Out = I::Item>> {
        let batch_max = self.pipeline.config().batch_max;
        self.then("flat_map", |stage| FlatMapStage { stage, f, batch_max })
    }
}

struct FlatMapStage<S, F> {
    stage: S,
    f: F,
    batch_max: usize,
}

impl<S, I, F> Stage for FlatMapStage<S, F>
where
    S: Stage,
    I: IntoIterator<IntoIter: 'static, Item: 'static>,
    F: FnMut(S::Out) -> I + 'static,
{
    type Out = I::Item;

    fn close<N: Operator<I::Item>>(self, next: N) -> Box<dyn Runnable> {
        let waiting = VecDeque::with_capacity(2 * self.batch_max + 2);
        let batch_max = self.batch_max;
        self.stage.close(FlatMap { f: self.f, open: None, waiting, batch_max, next })
    }
}

/// What arrived behind a record whose values did not all fit.
enum Waiting<T> {
    Record(Record<T>),
    Watermark(Watermark),
    BatchEnd(Held),
}

/// What the context said of the batch that is held back.
#[derive(Clone, Copy)]
struct Held {
    ingress: Timestamp,
    partition: usize,
    silent_ns: u64,
    partition_ended: bool,
}

impl Held {
    fn of(cx: &Context) -> Self {
        let Context { ingress, partition, silent_ns, partition_ended, .. } = *cx;
        Self { ingress, partition, silent_ns, partition_ended }
    }

    /// A part of the batch passes: nothing has ended before all of it has.
    fn begin(self, cx: &mut Context) {
        (cx.ingress, cx.partition) = (self.ingress, self.partition);
        (cx.silent_ns, cx.partition_ended) = (0, false);
    }

    /// The end of the batch passes.
    fn end(self, cx: &mut Context) {
        (cx.ingress, cx.partition) = (self.ingress, self.partition);
        (cx.silent_ns, cx.partition_ended) = (self.silent_ns, self.partition_ended);
    }
}

struct FlatMap<T, I, F, N> {
    f: F,
    /// The values of one record that are still to come.
    open: Option<Record<I>>,
    /// What arrived since, at most a batch and its end.
    waiting: VecDeque<Waiting<T>>,
    batch_max: usize,
    next: N,
}

impl<T, I, F, N> FlatMap<T, I::IntoIter, F, N>
where
    I: IntoIterator,
    F: FnMut(T) -> I,
    N: Operator<I::Item>,
{
    /// Emits from the open record while there is room; returns how many, and leaves it open if some
    /// remain.
    #[inline]
    fn emit(&mut self, cx: &mut Context, budget: usize) -> u64 {
        let Some(Record { at, value: values }) = &mut self.open else { return 0 };
        for emitted in 0..budget as u64 {
            if self.next.pressure() == Pressure::Full {
                return emitted;
            }
            match values.next() {
                Some(value) => self.next.on_record(Record::new(*at, value), cx),
                None => {
                    self.open = None;
                    return emitted;
                }
            }
        }
        budget as u64
    }

    fn start(&mut self, record: Record<T>) {
        self.open = Some(Record::new(record.at, (self.f)(record.value).into_iter()));
    }
}

impl<T, I, F, N> FlatMap<T, I, F, N> {
    /// Whether something waits, so that what arrives has to wait behind it.
    #[inline(always)]
    fn holds(&self) -> bool {
        self.open.is_some() || !self.waiting.is_empty()
    }

    /// The batch that is held back.
    fn held(&self) -> Option<Held> {
        self.waiting.iter().find_map(|waiting| match waiting {
            Waiting::BatchEnd(held) => Some(*held),
            _ => None,
        })
    }
}

impl<T: 'static, I, F, N> Operator<T> for FlatMap<T, I::IntoIter, F, N>
where
    I: IntoIterator<IntoIter: 'static, Item: 'static>,
    F: FnMut(T) -> I + 'static,
    N: Operator<I::Item>,
{
    #[inline]
    fn on_record(&mut self, record: Record<T>, cx: &mut Context) {
        if self.holds() {
            self.waiting.push_back(Waiting::Record(record));
            return;
        }
        self.start(record);
        self.emit(cx, self.batch_max);
    }

    #[inline]
    fn on_watermark(&mut self, watermark: Watermark, cx: &mut Context) {
        if self.holds() {
            self.waiting.push_back(Waiting::Watermark(watermark));
        } else {
            self.next.on_watermark(watermark, cx);
        }
    }

    #[inline]
    fn on_batch_end(&mut self, cx: &mut Context) {
        if self.holds() {
            let held = Held::of(cx);
            self.waiting.push_back(Waiting::BatchEnd(held));
            held.begin(cx);
        }
        self.next.on_batch_end(cx);
    }

    fn resume(&mut self, cx: &mut Context) -> Work {
        let mut work = self.next.resume(cx);
        if !self.holds() {
            return work;
        }
        if let Some(held) = self.held() {
            held.begin(cx);
        }
        let mut budget = self.batch_max as u64;
        while budget > 0 {
            let emitted = self.emit(cx, budget as usize);
            budget -= emitted;
            work += Work(emitted);
            if self.open.is_some() {
                break;
            }
            work += Work(u64::from(!self.waiting.is_empty()));
            match self.waiting.pop_front() {
                Some(Waiting::Record(record)) => self.start(record),
                Some(Waiting::Watermark(watermark)) => self.next.on_watermark(watermark, cx),
                Some(Waiting::BatchEnd(held)) => {
                    held.end(cx);
                    self.next.on_batch_end(cx);
                }
                None => break,
            }
        }
        self.next.on_batch_end(cx);
        work
    }

    #[inline]
    fn pressure(&self) -> Pressure {
        if self.holds() { Pressure::Full } else { self.next.pressure() }
    }

    fn save(&self, out: &mut Saved) {
        out.at_rest("flat_map", !self.holds(), "has more values than there is room for");
        out.unseen::<F>("flat_map");
        self.next.save(out);
    }

    pass_on!(next: checkpoint, inspect, load, bulk);
}
