//! Building windows around records: the records of another stream near each of one.
//!
//! Start with `operator.rs` (what happens to a record), then `held.rs` (what is looked back on).

mod held;
mod operator;

use std::rc::Rc;
use std::time::Duration;

use crate::dataflow::{Edge, KeyColumn, Keyed, Meets, Operator, Stage, Stream, TwoInput};
use crate::exchange::Side;
use crate::join::bound::{Bound, Interval};
use crate::join::interval::late_output;
use crate::state::Key;
use crate::time::nanos;
use operator::{AroundOperator, Settings};

pub use held::Rights;

impl<'p, K: Key, L: Copy + 'static> Keyed<'p, K, L> {
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
    pub fn window_around<R: Copy + 'static>(
        self,
        right: Keyed<'p, K, R>,
    ) -> AroundBetween<'p, K, L, R> {
        let keys = (self.keys, right.keys);
        AroundBetween { left: self.upstream.by_key(), right: right.upstream.by_key(), keys }
    }
}

/// Two keyed streams that want to know how far around a record the window reaches.
#[must_use = "a window does nothing until `between`, a function and a sink follow"]
pub struct AroundBetween<'p, K, L, R> {
    left: Stream<'p, Edge<L>>,
    right: Stream<'p, Edge<R>>,
    keys: (Rc<dyn KeyColumn<K, L>>, Rc<dyn KeyColumn<K, R>>),
}

impl<'p, K: Key, L: Copy + 'static, R: Copy + 'static> AroundBetween<'p, K, L, R> {
    /// From when to when around the time of the left record, both included unless made
    /// [exclusive](Bound::exclusive).
    pub fn between(self, from: Bound, to: Bound) -> Around<'p, K, L, R> {
        let Self { left, right, keys } = self;
        let (interval, lateness) = (Interval::new(from, to), Duration::ZERO);
        Around { left, right, keys, interval, prevailing: false, lateness, late: (None, None) }
    }
}

/// A stream with windows of another around its records; wants a function of both.
#[must_use = "a window does nothing until a function and a sink follow"]
pub struct Around<'p, K, L, R> {
    left: Stream<'p, Edge<L>>,
    right: Stream<'p, Edge<R>>,
    keys: (Rc<dyn KeyColumn<K, L>>, Rc<dyn KeyColumn<K, R>>),
    interval: Interval,
    prevailing: bool,
    lateness: Duration,
    late: (Option<Side<L>>, Option<Side<R>>),
}

impl<'p, K: Key, L: Copy + 'static, R: Copy + 'static> Around<'p, K, L, R> {
    /// Counts also the record that is in force when the interval begins: the latest before it, if
    /// there is none at its very beginning. The latest record of each key is kept for ever then.
    pub fn prevailing(self) -> Self {
        Self { prevailing: true, ..self }
    }

    /// How far behind the watermark of its stream a record may come and still count. Every result
    /// waits longer by that. Zero unless set.
    pub fn allowed_lateness(self, lateness: Duration) -> Self {
        Self { lateness, ..self }
    }

    /// Sends late records to streams of their own, the left ones to the first; otherwise they are
    /// counted and dropped.
    pub fn with_late(self) -> (Self, Stream<'p, Edge<L>>, Stream<'p, Edge<R>>) {
        let (left, late_left) = late_output(&self.left);
        let (right, late_right) = late_output(&self.right);
        (Self { late: (Some(left), Some(right)), ..self }, late_left, late_right)
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
        let Self { left, right, keys, interval, prevailing, lateness, late } = self;
        if let Err(error) = interval.check() {
            left.pipeline.reject(error);
        }
        let config = left.pipeline.config();
        let settings = Settings {
            interval,
            prevailing,
            lateness_ns: nanos(lateness),
            fire_max: config.fire_max,
            batch_max: config.batch_max,
            keys_max: config.keys_max,
            records_max: config.records_max,
            hash_seed: config.hash_seed,
        };
        let in_force = if prevailing { ", and the one in force" } else { "" };
        let label = format!("window around ({interval}{in_force})");
        left.meet(right, label, Made { settings, keys, late, apply })
    }
}

/// A window around records in the making.
struct Made<K, L, R, F> {
    settings: Settings,
    keys: (Rc<dyn KeyColumn<K, L>>, Rc<dyn KeyColumn<K, R>>),
    late: (Option<Side<L>>, Option<Side<R>>),
    apply: F,
}

impl<K, L, R, F, Out> Meets<L, R> for Made<K, L, R, F>
where
    K: Key,
    L: Copy + 'static,
    R: Copy + 'static,
    Out: 'static,
    F: FnMut(&L, Rights<'_, R>) -> Out + 'static,
{
    type Out = Out;

    fn operator<N: Operator<Out>>(self, next: N) -> impl TwoInput<L, R> {
        let Self { settings, keys, late, apply } = self;
        AroundOperator::new(settings, keys, late, apply, next)
    }
}
