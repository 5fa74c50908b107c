//! One record in, one record out.

use crate::dataflow::{Context, Operator, Record, Runnable, Saved, Stage, Stream, pass_on};

impl<'p, S: Stage> Stream<'p, S> {
    /// Turns each value into another; the timestamp stays.
    ///
    /// ```
    /// use millstream::{io::IterSource, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     p.source(IterSource::new((1..=3).map(|n| Record::new(Timestamp(n), n))))
    ///         .map(|n| n * n)
    ///         .for_each(|record| assert_eq!(record.value, record.at.0 * record.at.0));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn map<U: 'static>(
        self,
        f: impl FnMut(S::Out) -> U + 'static,
    ) -> Stream<'p, impl Stage<Out = U>> {
        self.then("map", |stage| MapStage { stage, f })
    }
}

struct MapStage<S, F> {
    stage: S,
    f: F,
}

impl<S: Stage, U: 'static, F: FnMut(S::Out) -> U + 'static> Stage for MapStage<S, F> {
    type Out = U;

    fn close<N: Operator<U>>(self, next: N) -> Box<dyn Runnable> {
        self.stage.close(Map { f: self.f, next })
    }
}

struct Map<F, N> {
    f: F,
    next: N,
}

impl<T, U, F: FnMut(T) -> U + 'static, N: Operator<U>> Operator<T> for Map<F, N> {
    #[inline(always)]
    fn on_record(&mut self, record: Record<T>, cx: &mut Context) {
        self.next.on_record(record.map(&mut self.f), cx);
    }

    fn save(&self, out: &mut Saved) {
        out.unseen::<F>("map");
        self.next.save(out);
    }

    pass_on!(next: watermark, batch_end, room, checkpoint, inspect, load, bulk);
}
