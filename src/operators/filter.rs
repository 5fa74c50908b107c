//! Some records go on, others do not.

use crate::dataflow::{Context, Operator, Record, Runnable, Saved, Stage, Stream, pass_on};

impl<'p, S: Stage> Stream<'p, S> {
    /// Keeps the records for which `keep` says so. Watermarks go on as if all had been kept.
    ///
    /// ```
    /// use millstream::{io::IterSource, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     p.source(IterSource::new((0..10).map(|n| Record::new(Timestamp(n), n))))
    ///         .filter(|n| n % 2 == 0)
    ///         .for_each(|record| assert!(record.value % 2 == 0));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn filter(
        self,
        keep: impl FnMut(&S::Out) -> bool + 'static,
    ) -> Stream<'p, impl Stage<Out = S::Out>> {
        self.then("filter", |stage| FilterStage { stage, keep })
    }
}

struct FilterStage<S, F> {
    stage: S,
    keep: F,
}

impl<S: Stage, F: FnMut(&S::Out) -> bool + 'static> Stage for FilterStage<S, F> {
    type Out = S::Out;

    fn close<N: Operator<S::Out>>(self, next: N) -> Box<dyn Runnable> {
        self.stage.close(Filter { keep: self.keep, next })
    }
}

struct Filter<F, N> {
    keep: F,
    next: N,
}

impl<T, F: FnMut(&T) -> bool + 'static, N: Operator<T>> Operator<T> for Filter<F, N> {
    #[inline(always)]
    fn on_record(&mut self, record: Record<T>, cx: &mut Context) {
        if (self.keep)(&record.value) {
            self.next.on_record(record, cx);
        }
    }

    fn save(&self, out: &mut Saved) {
        out.unseen::<F>("filter");
        self.next.save(out);
    }

    pass_on!(next: watermark, batch_end, room, checkpoint, inspect, load, bulk);
}
