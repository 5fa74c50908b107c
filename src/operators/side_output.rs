//! One stream becomes two.

use crate::dataflow::{Context, Edge, Operator, Record, Runnable, Saved, Stage, Stream};
use crate::exchange::{self, Port, Side, pass_on_beside};

impl<'p, S: Stage> Stream<'p, S> {
    /// Sends each record one of two ways: what `f` makes `Ok` goes on, what it makes `Err` goes to
    /// the side output. The two may be of different types; both keep their order and their
    /// watermark.
    ///
    /// ```
    /// use millstream::{io::IterSource, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let lines = ["1", "two", "3"].map(|line| Record::new(Timestamp(0), line));
    ///     let (numbers, rest) = p
    ///         .source(IterSource::new(lines.into_iter()))
    ///         .side_output(|line| line.parse::<u32>().map_err(|error| (line, error)));
    ///     numbers.for_each(|record| assert!(record.value < 4));
    ///     rest.for_each(|record| assert_eq!(record.value.0, "two"));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn side_output<U: 'static, V: 'static>(
        self,
        f: impl FnMut(S::Out) -> Result<U, V> + 'static,
    ) -> (Stream<'p, impl Stage<Out = U>>, Stream<'p, Edge<V>>) {
        let pipeline = self.pipeline;
        let (side, lane) = exchange::handover(pipeline);
        let main = self.then("side_output", |stage| SideOutputStage { stage, f, side });
        let node = pipeline.node("side", &[main.node]);
        (main, exchange::behind(pipeline, vec![lane], node))
    }

    /// Sends each record one of two ways: those for which `left` says so, and the others.
    ///
    /// ```
    /// use millstream::{io::IterSource, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let (small, large) = p
    ///         .source(IterSource::new((0..10).map(|n| Record::new(Timestamp(n), n))))
    ///         .split(|n| *n < 5);
    ///     small.for_each(|record| assert!(record.value < 5));
    ///     large.for_each(|record| assert!(record.value >= 5));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn split(
        self,
        mut left: impl FnMut(&S::Out) -> bool + 'static,
    ) -> (Stream<'p, impl Stage<Out = S::Out>>, Stream<'p, Edge<S::Out>>) {
        self.side_output(move |value| if left(&value) { Ok(value) } else { Err(value) })
    }
}

struct SideOutputStage<S, F, V> {
    stage: S,
    f: F,
    side: Port<V>,
}

impl<S, F, U, V> Stage for SideOutputStage<S, F, V>
where
    S: Stage,
    U: 'static,
    V: 'static,
    F: FnMut(S::Out) -> Result<U, V> + 'static,
{
    type Out = U;

    fn close<N: Operator<U>>(self, next: N) -> Box<dyn Runnable> {
        let side = Side::new(self.side);
        self.stage.close(SideOutput { f: self.f, side, next })
    }
}

struct SideOutput<F, V, N> {
    f: F,
    side: Side<V>,
    next: N,
}

impl<T, U, V, F, N> Operator<T> for SideOutput<F, V, N>
where
    V: 'static,
    F: FnMut(T) -> Result<U, V> + 'static,
    N: Operator<U>,
{
    #[inline(always)]
    fn on_record(&mut self, Record { at, value }: Record<T>, cx: &mut Context) {
        match (self.f)(value) {
            Ok(value) => self.next.on_record(Record::new(at, value), cx),
            Err(value) => self.side.push(Record::new(at, value)),
        }
    }

    fn save(&self, out: &mut Saved) {
        out.unseen::<F>("side_output");
        self.side.save(out);
        self.next.save(out);
    }

    pass_on_beside!(side, next);
}
