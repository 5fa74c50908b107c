//! One stream becomes two that carry the same.

use crate::dataflow::{Context, Edge, Operator, Record, Runnable, Saved, Stage, Stream};
use crate::exchange::{self, Port, Side, pass_on_beside};

impl<'p, S: Stage<Out: Clone>> Stream<'p, S> {
    /// Gives each record to two streams, in order and under the same watermarks: for what must be
    /// looked at in two ways, one of which may then be joined with the other.
    ///
    /// The first is this stream, which goes on; the second begins a stage of its own. Where there
    /// is no room in one of them, both wait.
    ///
    /// ```
    /// use millstream::aggregates::max;
    /// use millstream::{io::IterSource, ms, Record, Simulation, Timestamp, Tumbling};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     // Each bid beside the highest one of its window.
    ///     let bids = (0..10).map(|n| Record::new(Timestamp::from_millis(n), n));
    ///     let (bids, all) = p.source(IterSource::new(bids)).tee();
    ///     let highest = all
    ///         .window_all(Tumbling::of(ms(5)))
    ///         .aggregate(max(|bid: &i64| *bid))
    ///         .key_by(|_| ());
    ///     bids.key_by(|_| ())
    ///         .window_join(highest)
    ///         .window(Tumbling::of(ms(5)))
    ///         .select(|bid, most| (*bid, most.value))
    ///         .for_each(|record| assert_eq!(record.value.1, record.value.0 / 5 * 5 + 4));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn tee(self) -> (Stream<'p, impl Stage<Out = S::Out>>, Stream<'p, Edge<S::Out>>) {
        let pipeline = self.pipeline;
        let (side, lane) = exchange::handover(pipeline);
        let main = self.then("tee", |stage| TeeStage { stage, side });
        let node = pipeline.node("side", &[main.node]);
        (main, exchange::behind(pipeline, vec![lane], node))
    }
}

struct TeeStage<S, T> {
    stage: S,
    side: Port<T>,
}

impl<T: Clone + 'static, S: Stage<Out = T>> Stage for TeeStage<S, T> {
    type Out = T;

    fn close<N: Operator<T>>(self, next: N) -> Box<dyn Runnable> {
        self.stage.close(Tee { side: Side::new(self.side), next })
    }
}

struct Tee<T, N> {
    side: Side<T>,
    next: N,
}

impl<T: Clone + 'static, N: Operator<T>> Operator<T> for Tee<T, N> {
    #[inline(always)]
    fn on_record(&mut self, record: Record<T>, cx: &mut Context) {
        self.side.push(record.clone());
        self.next.on_record(record, cx);
    }

    fn save(&self, out: &mut Saved) {
        self.side.save(out);
        self.next.save(out);
    }

    pass_on_beside!(side, next);
}
