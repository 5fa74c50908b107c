//! Building as-of joins on two keyed streams.
//!
//! Start with `in_turn.rs` beside this room (how records get their turn), then `turns.rs` (what
//! happens then) and `known.rs` (what is known of a key).

mod known;
mod turns;

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::dataflow::{Edge, Keyed, Stage, Stream};
use crate::join::in_turn::MakeInTurn;
use crate::join::sides::Sides;
use crate::state::{Key, Stored};
use crate::time::nanos;
use turns::Asof;

/// Where an as-of join looks for the right record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Direction {
    Backward,
    Forward,
    Nearest,
}

/// What belongs to a left record.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Rules {
    direction: Direction,
    /// Whether the right record must not have the same time.
    strict: bool,
    /// How far apart the two may be; `i64::MAX` if that does not matter.
    tolerance_ns: i64,
}

impl Rules {
    /// Which of two records of the same time is looked at first.
    fn left_first(self) -> bool {
        // A strict look back must not see it yet; a look ahead must still see it.
        self.strict || self.direction == Direction::Forward
    }

    /// Whether there is ever something to be done at a time at which there is no record.
    #[inline(always)]
    fn waits(self) -> bool {
        self.direction != Direction::Backward || self.tolerance_ns < i64::MAX
    }
}

impl fmt::Display for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.direction {
            Direction::Backward => "backward",
            Direction::Forward => "forward",
            Direction::Nearest => "nearest",
        })?;
        if self.strict {
            f.write_str(", strict")?;
        }
        if self.tolerance_ns < i64::MAX {
            write!(f, ", at most {:?}", Duration::from_nanos(self.tolerance_ns as u64))?;
        }
        Ok(())
    }
}

impl<'p, K: Key, L: Copy + Stored> Keyed<'p, K, L> {
    /// Gives each record the record of another stream that has the same key and is in force at its
    /// time: unless said otherwise the latest one at its own time or before.
    ///
    /// Exact by event time: both streams may be disordered, and the answer depends neither on which
    /// was read first nor on the number of shards. For that a record waits until both watermarks
    /// have passed it. Of several right records of one time it is the last to arrive that counts
    /// looking back, and the first looking ahead. Records come out in order of time; those that
    /// look back with their own time, those that look ahead with the time at which the answer is
    /// certain: that of the right record, or that at which the tolerance is over, which without one
    /// is the end of time.
    ///
    /// The latest right record of each key is kept for ever, unless there is a
    /// [tolerance](AsofJoin::tolerance).
    ///
    /// ```
    /// use millstream::{io::IterSource, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let at = Timestamp::from_millis;
    ///     let quotes = [(1, 100), (5, 101), (9, 103)].map(|(ms, bid)| Record::new(at(ms), bid));
    ///     let trades = [(5, 100), (8, 102)].map(|(ms, price)| Record::new(at(ms), price));
    ///     let quotes = p.source(IterSource::new(quotes.into_iter()));
    ///     let trades = p.source(IterSource::new(trades.into_iter()));
    ///     let mut slips = [-1, 1].into_iter();
    ///     trades
    ///         .key_by(|_| "MILL".len())
    ///         .asof_join(quotes.key_by(|_| "MILL".len()))
    ///         .select(|price, bid| price - bid)
    ///         .for_each(move |slip| assert_eq!(Some(slip.value), slips.next()));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn asof_join<R: Copy + Stored>(self, right: Keyed<'p, K, R>) -> AsofJoin<'p, K, L, R> {
        let (direction, strict) = (Direction::Backward, false);
        let rules = Rules { direction, strict, tolerance_ns: i64::MAX };
        AsofJoin { sides: Sides::of(self, right), rules }
    }
}

/// Two keyed streams of which one looks up the other as of its own times; wants a selection.
#[must_use = "a join does nothing until a selection and a sink follow"]
pub struct AsofJoin<'p, K, L, R> {
    sides: Sides<'p, K, L, R>,
    rules: Rules,
}

impl<'p, K: Key, L: Copy + Stored, R: Copy + Stored> AsofJoin<'p, K, L, R> {
    fn direction(self, direction: Direction) -> Self {
        Self { rules: Rules { direction, ..self.rules }, ..self }
    }

    /// Looks back: the latest right record at the time of the left one or before. The default.
    pub fn backward(self) -> Self {
        self.direction(Direction::Backward)
    }

    /// Looks ahead: the earliest right record at the time of the left one or after.
    ///
    /// ```
    /// use millstream::{io::IterSource, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let orders = [(1, 'a'), (4, 'b')].map(|(at, order)| Record::new(Timestamp(at), order));
    ///     let fills = [(3, 7), (9, 8)].map(|(at, fill)| Record::new(Timestamp(at), fill));
    ///     let orders = p.source(IterSource::new(orders.into_iter()));
    ///     let fills = p.source(IterSource::new(fills.into_iter()));
    ///     orders
    ///         .key_by(|_| 0u8)
    ///         .asof_join(fills.key_by(|_| 0u8))
    ///         .forward()
    ///         .select(|order, fill| (*order, *fill))
    ///         .for_each(|pair| assert!([('a', 7), ('b', 8)].contains(&pair.value)));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn forward(self) -> Self {
        self.direction(Direction::Forward)
    }

    /// Looks both ways: the right record that is nearest in time, of two as near the earlier one.
    pub fn nearest(self) -> Self {
        self.direction(Direction::Nearest)
    }

    /// Does not take a right record of the same time.
    pub fn strict(self) -> Self {
        Self { rules: Rules { strict: true, ..self.rules }, ..self }
    }

    /// How far apart the two records may be, at most. A right record that is out of reach is
    /// dropped, and a look ahead ends there.
    ///
    /// ```
    /// use millstream::{io::IterSource, ns, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let trades = [15, 40].map(|at| Record::new(Timestamp(at), at));
    ///     let quotes = [Record::new(Timestamp(10), 99)];
    ///     let trades = p.source(IterSource::new(trades.into_iter()));
    ///     let quotes = p.source(IterSource::new(quotes.into_iter()));
    ///     trades
    ///         .key_by(|_| 0u8)
    ///         .asof_join(quotes.key_by(|_| 0u8))
    ///         .tolerance(ns(20))
    ///         .select_left(|trade, quote| (*trade, quote.copied()))
    ///         .for_each(|pair| assert!([(15, Some(99)), (40, None)].contains(&pair.value)));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn tolerance(self, tolerance: Duration) -> Self {
        Self { rules: Rules { tolerance_ns: nanos(tolerance), ..self.rules }, ..self }
    }

    /// How far behind the watermark of its stream a record may come and still count. Every answer
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

    /// Inner join: the left records that have a right one.
    pub fn select<Out: 'static>(
        self,
        mut f: impl FnMut(&L, &R) -> Out + 'static,
    ) -> Stream<'p, impl Stage<Out = Out>> {
        self.join("inner", move |left, right| Some(f(left, right?)))
    }

    /// Left join: every left record, with the right one that belongs to it, if there is one.
    pub fn select_left<Out: 'static>(
        self,
        mut f: impl FnMut(&L, Option<&R>) -> Out + 'static,
    ) -> Stream<'p, impl Stage<Out = Out>> {
        self.join("left", move |left, right| Some(f(left, right)))
    }

    pub(super) fn join<Out: 'static>(
        self,
        kind: &str,
        select: impl FnMut(&L, Option<&R>) -> Option<Out> + 'static,
    ) -> Stream<'p, impl Stage<Out = Out>> {
        let Self { sides, rules } = self;
        let (pipeline, label) = (sides.pipeline(), format!("as-of join ({kind}, {rules})"));
        // A key of no size is one key.
        if rules.tolerance_ns == i64::MAX && size_of::<K>() > 0 {
            let what = match rules.direction {
                Direction::Forward => "left records whose key never comes again wait",
                _ => "the latest right record of each key is kept",
            };
            pipeline.warn(format!("{label}: without a tolerance {what} for ever"));
        }
        let config = pipeline.config();
        let join = Asof::new(rules, config.hash_seed, select);
        sides.meet(label, |inputs| MakeInTurn::new(inputs, join, &config))
    }
}
