//! Building windows around records: the records of another stream near each of one.
//!
//! Start with `in_turn.rs` beside this room (how records get their turn), then `turns.rs` (what
//! happens then) and `held.rs` (what is looked back on).

mod held;
mod turns;

use std::time::Duration;

use crate::dataflow::{Edge, Keyed, Stage, Stream};
use crate::join::bound::{Bound, Interval};
use crate::join::in_turn::MakeInTurn;
use crate::join::sides::{FOR_EVER_NS, Sides};
use crate::state::{Key, Stored};

pub use held::Rights;

impl<'p, K: Key, L: Copy + Stored> Keyed<'p, K, L> {
    /// Shows each record the records of another stream that have the same key and are near in time,
    /// all at once, once the last of them has come. [`between`](AroundBetween::between) must
    /// follow.
    ///
    /// That is the window join of kdb+: `wj1`, and `wj` if the record counts too that is
    /// [in force](Around::prevailing) when the interval begins. Exact by event time on disordered
    /// streams. For pairs instead of groups, as soon as they are there, see
    /// [`interval_join`](Keyed::interval_join).
    ///
    /// ```
    /// use millstream::join::{before, same_time};
    /// use millstream::{io::IterSource, ns, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let bids = [(1, 10), (4, 14), (6, 12)].map(|(at, bid)| Record::new(Timestamp(at), bid));
    ///     let trades = [5, 9].map(|at| Record::new(Timestamp(at), at));
    ///     let bids = p.source(IterSource::new(bids.into_iter()));
    ///     let trades = p.source(IterSource::new(trades.into_iter()));
    ///     let mut best = [(5, Some(14)), (9, Some(12))].into_iter();
    ///     trades
    ///         .key_by(|_| 0u8)
    ///         .window_around(bids.key_by(|_| 0u8))
    ///         .between(before(ns(3)), same_time())
    ///         .apply(|trade, bids| (*trade, bids.map(|bid| bid.value).max()))
    ///         .for_each(move |seen| assert_eq!(Some(seen.value), best.next()));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn window_around<R: Copy + Stored>(
        self,
        right: Keyed<'p, K, R>,
    ) -> AroundBetween<'p, K, L, R> {
        AroundBetween { sides: Sides::of(self, right) }
    }
}

/// Two keyed streams that want to know how far around a record the window reaches.
#[must_use = "a window does nothing until `between`, a function and a sink follow"]
pub struct AroundBetween<'p, K, L, R> {
    sides: Sides<'p, K, L, R>,
}

impl<'p, K: Key, L: Copy + Stored, R: Copy + Stored> AroundBetween<'p, K, L, R> {
    /// From when to when around the time of the left record, both included unless made
    /// [exclusive](Bound::exclusive).
    pub fn between(self, from: Bound, to: Bound) -> Around<'p, K, L, R> {
        Around { sides: self.sides, interval: Interval::new(from, to), prevailing: false }
    }
}

/// A stream with windows of another around its records; wants a function of both.
#[must_use = "a window does nothing until a function and a sink follow"]
pub struct Around<'p, K, L, R> {
    sides: Sides<'p, K, L, R>,
    interval: Interval,
    prevailing: bool,
}

impl<'p, K: Key, L: Copy + Stored, R: Copy + Stored> Around<'p, K, L, R> {
    /// Counts also the record that is in force when the interval begins: the latest before it, if
    /// there is none at its very beginning. The latest record of each key is kept for ever then.
    pub fn prevailing(self) -> Self {
        Self { prevailing: true, ..self }
    }

    /// How far behind the watermark of its stream a record may come and still count. Every result
    /// waits longer by that. Zero unless set.
    pub fn allowed_lateness(self, lateness: Duration) -> Self {
        Self { sides: self.sides.allowed_lateness(lateness), ..self }
    }

    /// Sends late records to streams of their own, the left ones to the first; otherwise they are
    /// counted and dropped.
    pub fn with_late(self) -> (Self, Stream<'p, Edge<L>>, Stream<'p, Edge<R>>) {
        let (sides, left, right) = self.sides.with_late();
        (Self { sides, ..self }, left, right)
    }

    /// Calls a function with each left record and the right ones around it, none perhaps. The
    /// result has the time of the left record, and comes in the order of those times.
    ///
    /// What the function does with many records is one unit of work to the engine: bound the
    /// interval by what a step may take.
    pub fn apply<Out: 'static>(
        self,
        apply: impl FnMut(&L, Rights<'_, R>) -> Out + 'static,
    ) -> Stream<'p, impl Stage<Out = Out>> {
        let Self { sides, interval, prevailing } = self;
        let pipeline = sides.pipeline();
        if let Err(error) = interval.check() {
            pipeline.reject(error);
        }
        let config = pipeline.config();
        let join = turns::Around::new(interval, prevailing, config.hash_seed, apply);
        let in_force = if prevailing { ", and the one in force" } else { "" };
        let label = format!("window around ({interval}{in_force})");
        if interval.reach() > FOR_EVER_NS as u64 {
            pipeline.warn(format!(
                "{label}: records are kept for ever, since the interval has no end; they grow up \
                 to records_max"
            ));
        }
        // A key of no size is one key.
        if prevailing && size_of::<K>() > 0 {
            pipeline.warn(format!("{label}: the latest right record of each key is kept for ever"));
        }
        sides.meet(label, |inputs| MakeInTurn::new(inputs, join, &config))
    }
}
