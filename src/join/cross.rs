//! Every record with every other that is near in time, whatever their keys.

use std::time::Duration;

use crate::dataflow::{Edge, Stage, Stream};
use crate::join::{Bound, FanOut, IntervalJoin};
use crate::state::Stored;

impl<'p, S: Stage<Out: Copy + Stored>> Stream<'p, S> {
    /// Pairs each record, on whatever shard it is, with all records of another stream that are
    /// near in time. [`between`](CrossBetween::between) must follow.
    ///
    /// The records of the other stream go to all shards, so it should be the smaller one: each
    /// shard keeps all of them for as long as a partner can come, at most
    /// [`records_max`](crate::Config::records_max) with its own records; one more is an error. How
    /// many pairs a record makes is bounded by how many records there are within the interval, and
    /// by [`fan_out`](CrossJoin::fan_out).
    ///
    /// ```
    /// use millstream::join::{after, before};
    /// use millstream::{io::IterSource, ms, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(2, 0).run(|p| {
    ///     let mine = |range: std::ops::Range<i64>| if p.shard() == 0 { range } else { 0..0 };
    ///     let at = Timestamp::from_millis;
    ///     let spots = mine(0..5).map(move |n| Record::new(at(n), 100 + n));
    ///     let rates = mine(0..2).map(move |n| Record::new(at(3 * n), 7 + n));
    ///     p.source(IterSource::new(spots))
    ///         .rebalance()
    ///         .cross_join(p.source(IterSource::new(rates)))
    ///         .between(before(ms(1)), after(ms(1)))
    ///         .select(|spot, rate| (*spot, *rate))
    ///         .for_each(|pair| {
    ///             let near = [(100, 7), (101, 7), (102, 8), (103, 8), (104, 8)];
    ///             assert!(near.contains(&pair.value));
    ///         });
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn cross_join<C: Stage<Out: Copy + Send + Stored>>(
        self,
        right: Stream<'p, C>,
    ) -> CrossBetween<'p, S, C> {
        CrossBetween { left: self, right }
    }
}

/// Two streams that want to know how near in time their records must be.
#[must_use = "a join does nothing until `between`, a selection and a sink follow"]
pub struct CrossBetween<'p, S, C> {
    left: Stream<'p, S>,
    right: Stream<'p, C>,
}

impl<'p, S, C> CrossBetween<'p, S, C>
where
    S: Stage<Out: Copy + Stored>,
    C: Stage<Out: Copy + Send + Stored>,
{
    /// Where the right record must be: between two times around that of the left record, as in an
    /// [interval join](crate::join::JoinBetween::between).
    pub fn between(self, from: Bound, to: Bound) -> CrossJoin<'p, S::Out, C::Out> {
        let right = self.right.broadcast().partitioned_by(|_| ());
        let left = self.left.partitioned_by(|_| ());
        CrossJoin { join: left.interval_join(right).between(from, to).named("cross join") }
    }
}

/// Two streams whose records belong together when they are near in time; wants a selection.
///
/// Right records without partner are no kind of result here: each of them is on all shards, and
/// alone on most.
#[must_use = "a join does nothing until a selection and a sink follow"]
pub struct CrossJoin<'p, L, R> {
    join: IntervalJoin<'p, (), L, R>,
}

impl<'p, L: Copy + Stored, R: Copy + Stored> CrossJoin<'p, L, R> {
    /// How far behind the watermark of its stream a record may come and still find its partners.
    /// Zero unless set. One that comes later is counted and dropped, a right one on every shard.
    pub fn allowed_lateness(self, lateness: Duration) -> Self {
        Self { join: self.join.allowed_lateness(lateness) }
    }

    /// How many pairs one record may make, on one shard. [`FanOut::Any`] unless set.
    pub fn fan_out(self, fan_out: FanOut) -> Self {
        Self { join: self.join.fan_out(fan_out) }
    }

    /// Sends late records to streams of their own, the left ones to the first; otherwise they are
    /// counted and dropped. A late right record comes out once on each shard for which it is late:
    /// on all of them, as a rule.
    pub fn with_late(self) -> (Self, Stream<'p, Edge<L>>, Stream<'p, Edge<R>>) {
        let (join, left, right) = self.join.with_late();
        (Self { join }, left, right)
    }

    /// Every pair.
    pub fn select<Out: 'static>(
        self,
        f: impl FnMut(&L, &R) -> Out + 'static,
    ) -> Stream<'p, impl Stage<Out = Out>> {
        self.join.select(f)
    }

    /// Every pair, and the left records without partner.
    pub fn select_left<Out: 'static>(
        self,
        f: impl FnMut(&L, Option<&R>) -> Out + 'static,
    ) -> Stream<'p, impl Stage<Out = Out>> {
        self.join.select_left(f)
    }

    /// The left records that have a partner, once each.
    pub fn semi(self) -> Stream<'p, impl Stage<Out = L>> {
        self.join.semi()
    }

    /// The left records that have no partner.
    pub fn anti(self) -> Stream<'p, impl Stage<Out = L>> {
        self.join.anti()
    }
}
