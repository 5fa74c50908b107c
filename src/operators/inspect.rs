//! Looks at records as they pass.

use crate::dataflow::{Context, Operator, Record, Runnable, Saved, Stage, Stream, pass_on};

impl<'p, S: Stage> Stream<'p, S> {
    /// Shows each record to `look` and passes it on unchanged.
    ///
    /// ```
    /// use millstream::{io::IterSource, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let mut last = Timestamp::MIN;
    ///     p.source(IterSource::new((0..10).map(|n| Record::new(Timestamp(n), n))))
    ///         .inspect(move |record| {
    ///             assert!(record.at >= last);
    ///             last = record.at;
    ///         })
    ///         .for_each(drop);
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn inspect(
        self,
        look: impl FnMut(&Record<S::Out>) + 'static,
    ) -> Stream<'p, impl Stage<Out = S::Out>> {
        self.then("inspect", |stage| InspectStage { stage, look })
    }
}

struct InspectStage<S, F> {
    stage: S,
    look: F,
}

impl<S: Stage, F: FnMut(&Record<S::Out>) + 'static> Stage for InspectStage<S, F> {
    type Out = S::Out;

    fn close<N: Operator<S::Out>>(self, next: N) -> Box<dyn Runnable> {
        self.stage.close(Inspect { look: self.look, next })
    }
}

struct Inspect<F, N> {
    look: F,
    next: N,
}

impl<T, F: FnMut(&Record<T>) + 'static, N: Operator<T>> Operator<T> for Inspect<F, N> {
    #[inline(always)]
    fn on_record(&mut self, record: Record<T>, cx: &mut Context) {
        (self.look)(&record);
        self.next.on_record(record, cx);
    }

    fn save(&self, out: &mut Saved) {
        out.unseen::<F>("inspect");
        self.next.save(out);
    }

    pass_on!(next: watermark, batch_end, room, checkpoint, inspect, load, bulk);
}
