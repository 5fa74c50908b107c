//! Several streams become one.

use crate::dataflow::{Edge, Placement, Stage, Stream};
use crate::exchange::{self, Exchange, To};

impl<'p, S: Stage> Stream<'p, S> {
    /// Merges another stream into this one. The watermark is the lesser of the two, without one
    /// that is idle; records of each stay in their order, and no order is promised between the two.
    ///
    /// ```
    /// use millstream::{io::IterSource, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let odd = (0..9).map(|n| Record::new(Timestamp(n), 2 * n + 1));
    ///     let even = (0..9).map(|n| Record::new(Timestamp(n), 2 * n));
    ///     p.source(IterSource::new(odd))
    ///         .union(p.source(IterSource::new(even)))
    ///         .for_each(|record| assert_eq!(record.value / 2, record.at.0));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn union<R: Stage<Out = S::Out>>(self, other: Stream<'p, R>) -> Stream<'p, Edge<S::Out>> {
        self.union_of(other, Placement::Chosen)
    }

    /// The same, where it is known what has placed the records of both.
    pub(super) fn union_of<R: Stage<Out = S::Out>>(
        self,
        other: Stream<'p, R>,
        placement: Placement,
    ) -> Stream<'p, Edge<S::Out>> {
        let pipeline = self.pipeline;
        let node = pipeline.node("union", &[self.node, other.node]);
        let (left, left_lane) = exchange::handover(pipeline);
        let (right, right_lane) = exchange::handover(pipeline);
        self.end(Exchange::<_, To>::local(left));
        other.end(Exchange::<_, To>::local(right));
        exchange::placed(pipeline, vec![left_lane, right_lane], node, placement)
    }

    /// Ends the stage here and begins another on the same shard: the type is reset, at the cost of
    /// one buffer.
    pub fn boxed(self) -> Stream<'p, Edge<S::Out>> {
        exchange::local(self, "boxed")
    }
}
