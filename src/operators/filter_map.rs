//! One record in, one or none out.

use crate::dataflow::{Context, Operator, Record, Runnable, Saved, Stage, Stream, pass_on};

impl<'p, S: Stage> Stream<'p, S> {
    /// Turns each value into another, if `f` makes one of it; the timestamp stays. Watermarks go on
    /// as if all had been kept.
    ///
    /// ```
    /// use millstream::{io::IterSource, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let lines = ["1", "two", "3"].map(|line| Record::new(Timestamp(0), line));
    ///     p.source(IterSource::new(lines.into_iter()))
    ///         .filter_map(|line| line.parse::<u32>().ok())
    ///         .for_each(|record| assert!(record.value % 2 == 1));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn filter_map<U: 'static>(
        self,
        f: impl FnMut(S::Out) -> Option<U> + 'static,
    ) -> Stream<'p, impl Stage<Out = U>> {
        self.then("filter_map", |stage| FilterMapStage { stage, f })
    }
}

struct FilterMapStage<S, F> {
    stage: S,
    f: F,
}

impl<S, U, F> Stage for FilterMapStage<S, F>
where
    S: Stage,
    U: 'static,
    F: FnMut(S::Out) -> Option<U> + 'static,
{
    type Out = U;

    fn close<N: Operator<U>>(self, next: N) -> Box<dyn Runnable> {
        self.stage.close(FilterMap { f: self.f, next })
    }
}

struct FilterMap<F, N> {
    f: F,
    next: N,
}

impl<T, U, F, N> Operator<T> for FilterMap<F, N>
where
    F: FnMut(T) -> Option<U> + 'static,
    N: Operator<U>,
{
    #[inline(always)]
    fn on_record(&mut self, Record { at, value }: Record<T>, cx: &mut Context) {
        if let Some(value) = (self.f)(value) {
            self.next.on_record(Record::new(at, value), cx);
        }
    }

    fn save(&self, out: &mut Saved) {
        out.unseen::<F>("filter_map");
        self.next.save(out);
    }

    pass_on!(next: watermark, batch_end, room, checkpoint, inspect, load, bulk);
}
