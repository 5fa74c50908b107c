//! Building interval joins on two keyed streams.
//!
//! Start with `operator.rs` (what the join does), then `input.rs` (what it does for each of its two
//! inputs).

mod input;
mod operator;

use std::time::Duration;

use crate::dataflow::{Context, Edge, Keyed, Meets, Operator, Pipeline, Stage, Stream, TwoInput};
use crate::error::{ConfigError, Error};
use crate::join::bound::{Bound, Interval};
use crate::join::sides::{FOR_EVER_NS, Inputs, Sides};
use crate::state::{Key, Stored};
use operator::{IntervalOperator, Settings};

impl<'p, K: Key, L: Copy + Stored> Keyed<'p, K, L> {
    /// Pairs each record with the records of another stream that have the same key and are near in
    /// time. [`between`](JoinBetween::between) must follow.
    ///
    /// A pair comes out as soon as its second record has come, whichever that is, with the later of
    /// the two times. Both streams may be disordered. What is behind the watermark of its own
    /// stream is late.
    ///
    /// A record is wanted until the watermark of the other stream has passed the last time at which
    /// a partner could be. Records go many together, once none of them is wanted: as a rule 1024,
    /// or an eighth of [`records_max`](crate::Config::records_max) if that is less, and always all
    /// of a piece of time that is up to twice as long as the interval. So more are held than are
    /// wanted.
    ///
    /// ```
    /// use millstream::join::{after, before};
    /// use millstream::{io::IterSource, ms, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let at = Timestamp::from_millis;
    ///     let orders = [Record::new(at(10), (1, 99)), Record::new(at(20), (2, 50))];
    ///     let trades = [Record::new(at(12), (1, 98)), Record::new(at(90), (2, 50))];
    ///     let orders = p.source(IterSource::new(orders.into_iter()));
    ///     let trades = p.source(IterSource::new(trades.into_iter()));
    ///     orders
    ///         .key_by(|order| order.0)
    ///         .interval_join(trades.key_by(|trade| trade.0))
    ///         .between(before(ms(1)), after(ms(50)))
    ///         .select(|order, trade| order.1 - trade.1)
    ///         .for_each(|slip| assert_eq!(slip.value, 1));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn interval_join<R: Copy + Stored>(
        self,
        right: Keyed<'p, K, R>,
    ) -> JoinBetween<'p, K, L, R> {
        JoinBetween { sides: Sides::of(self, right) }
    }
}

/// Two keyed streams that want to know how near in time their records must be.
#[must_use = "a join does nothing until `between`, a selection and a sink follow"]
pub struct JoinBetween<'p, K, L, R> {
    sides: Sides<'p, K, L, R>,
}

impl<'p, K: Key, L: Copy + Stored, R: Copy + Stored> JoinBetween<'p, K, L, R> {
    /// Where the right record must be: between two times around that of the left record, both
    /// included unless made [exclusive](Bound::exclusive). Both may lie on the same side of it.
    pub fn between(self, from: Bound, to: Bound) -> IntervalJoin<'p, K, L, R> {
        let interval = Interval::new(from, to);
        IntervalJoin { name: "interval join", sides: self.sides, interval, fan_out: FanOut::Any }
    }
}

/// How many pairs one record may make: in an interval join when it comes, in a window join in one
/// window.
///
/// A look for partners never stalls a shard, however many there are: it is cut into slices. This is
/// for what follows, that a hot key must not flood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FanOut {
    /// As many as there are.
    Any,
    /// So many; the others are counted ([`Counter::PairsDropped`](crate::metrics::Counter)) and
    /// left out.
    ///
    /// In a window join the oldest arrivals come first. An interval join cuts time into pieces,
    /// each as long as the least power of two nanoseconds, 1024 at least, that is longer than the
    /// interval, from multiples of that length on. A record has its partners in one or two of
    /// them: those of the earlier piece come first, within a piece the oldest arrivals.
    AtMost(usize),
    /// So many; one more is an error and stops the pipeline.
    FailAbove(usize),
}

impl FanOut {
    /// Whether the pair of this number may go out.
    #[inline(always)]
    pub(crate) fn allows(self, operator: &'static str, number: usize, cx: &mut Context) -> bool {
        match self {
            Self::Any => true,
            Self::AtMost(limit) => number <= limit,
            Self::FailAbove(limit) if number > limit => {
                let what = "pairs of one record";
                cx.fail(Error::Limit { operator, what, limit, setting: "fan_out" });
                false
            }
            Self::FailAbove(_) => true,
        }
    }

    /// Rejects a pipeline in which no pair may be made.
    pub(crate) fn check(self, pipeline: Pipeline<'_>) {
        if let Self::AtMost(0) | Self::FailAbove(0) = self {
            let reason = "a join whose records may make no pair does nothing";
            pipeline.reject(ConfigError::setting("fan_out", 0, reason));
        }
    }
}

/// Which pairs come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pairs {
    All,
    /// The first of each left record.
    First,
    None,
}

/// What comes out of a join.
#[derive(Clone, Copy, Debug)]
struct Rules {
    pairs: Pairs,
    /// Whether left records without partner come out.
    left: bool,
    /// Whether right records without partner come out.
    right: bool,
}

/// Two keyed streams whose records belong together when they are near in time; wants a selection,
/// which says what kind of join it is.
///
/// A record without partner comes out once no partner can come any more, and never before, with its
/// own time: so the watermark behind a join with such results is later by the longest wait.
#[must_use = "a join does nothing until a selection and a sink follow"]
pub struct IntervalJoin<'p, K, L, R> {
    name: &'static str,
    sides: Sides<'p, K, L, R>,
    interval: Interval,
    fan_out: FanOut,
}

impl<'p, K: Key, L: Copy + Stored, R: Copy + Stored> IntervalJoin<'p, K, L, R> {
    /// The same join, under another name in plans and errors.
    pub(super) fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    /// How far behind the watermark of its stream a record may come and still find its partners.
    /// Everything is kept longer by that, and the watermark behind the join is later by it. Zero
    /// unless set.
    pub fn allowed_lateness(self, lateness: Duration) -> Self {
        Self { sides: self.sides.allowed_lateness(lateness), ..self }
    }

    /// How many pairs one record may make. [`FanOut::Any`] unless set.
    pub fn fan_out(self, fan_out: FanOut) -> Self {
        Self { fan_out, ..self }
    }

    /// Sends late records to streams of their own, the left ones to the first; otherwise they are
    /// counted and dropped.
    pub fn with_late(self) -> (Self, Stream<'p, Edge<L>>, Stream<'p, Edge<R>>) {
        let (sides, left, right) = self.sides.with_late();
        (Self { sides, ..self }, left, right)
    }

    /// Inner join: every pair.
    pub fn select<Out: 'static>(
        self,
        mut f: impl FnMut(&L, &R) -> Out + 'static,
    ) -> Stream<'p, impl Stage<Out = Out>> {
        let rules = Rules { pairs: Pairs::All, left: false, right: false };
        self.join("inner", rules, move |left, right| Some(f(left?, right?)))
    }

    /// Left join: every pair, and the left records without partner.
    pub fn select_left<Out: 'static>(
        self,
        mut f: impl FnMut(&L, Option<&R>) -> Out + 'static,
    ) -> Stream<'p, impl Stage<Out = Out>> {
        let rules = Rules { pairs: Pairs::All, left: true, right: false };
        self.join("left", rules, move |left, right| Some(f(left?, right)))
    }

    /// Right join: every pair, and the right records without partner.
    pub fn select_right<Out: 'static>(
        self,
        mut f: impl FnMut(Option<&L>, &R) -> Out + 'static,
    ) -> Stream<'p, impl Stage<Out = Out>> {
        let rules = Rules { pairs: Pairs::All, left: false, right: true };
        self.join("right", rules, move |left, right| Some(f(left, right?)))
    }

    /// Full join: every pair, and the records of both streams without partner.
    pub fn select_full<Out: 'static>(
        self,
        mut f: impl FnMut(Option<&L>, Option<&R>) -> Out + 'static,
    ) -> Stream<'p, impl Stage<Out = Out>> {
        let rules = Rules { pairs: Pairs::All, left: true, right: true };
        self.join("full", rules, move |left, right| Some(f(left, right)))
    }

    /// Semi join: the left records that have a partner, once each, as soon as the first has come.
    pub fn semi(self) -> Stream<'p, impl Stage<Out = L>> {
        let rules = Rules { pairs: Pairs::First, left: false, right: false };
        self.join("semi", rules, |left, _: Option<&R>| left.copied())
    }

    /// Anti join: the left records that have no partner.
    pub fn anti(self) -> Stream<'p, impl Stage<Out = L>> {
        let rules = Rules { pairs: Pairs::None, left: true, right: false };
        self.join("anti", rules, |left, _: Option<&R>| left.copied())
    }

    fn join<Out: 'static>(
        self,
        kind: &str,
        rules: Rules,
        select: impl FnMut(Option<&L>, Option<&R>) -> Option<Out> + 'static,
    ) -> Stream<'p, impl Stage<Out = Out>> {
        let Self { name, sides, interval, fan_out } = self;
        let (pipeline, label) = (sides.pipeline(), format!("{name} ({kind}, {interval})"));
        check(pipeline, &label, interval, fan_out);
        let config = pipeline.config();
        let settings = Settings {
            name,
            interval,
            rules,
            fan_out,
            fire_max: config.fire_max,
            batch_max: config.batch_max,
            records_max: config.records_max,
            hash_seed: config.hash_seed,
        };
        sides.meet(label, |inputs| Made { settings, inputs, select })
    }
}

/// Rejects what cannot be, and warns of what never ends.
fn check(pipeline: Pipeline<'_>, label: &str, interval: Interval, fan_out: FanOut) {
    if let Err(error) = interval.check() {
        pipeline.reject(error);
    }
    fan_out.check(pipeline);
    for (kept, beyond) in [("left", interval.to), ("right", interval.from.saturating_neg())] {
        if beyond > FOR_EVER_NS {
            pipeline.warn(format!(
                "{label}: {kept} records are kept for ever, since the interval has no end; they \
                 grow up to records_max"
            ));
        }
    }
}

/// An interval join in the making.
struct Made<K, L, R, F> {
    settings: Settings,
    inputs: Inputs<K, L, R>,
    select: F,
}

impl<K, L, R, F, Out> Meets<L, R> for Made<K, L, R, F>
where
    K: Key,
    L: Copy + Stored,
    R: Copy + Stored,
    Out: 'static,
    F: FnMut(Option<&L>, Option<&R>) -> Option<Out> + 'static,
{
    type Out = Out;

    fn operator<N: Operator<Out>>(self, next: N) -> impl TwoInput<L, R> {
        IntervalOperator::new(self.settings, self.inputs, self.select, next)
    }
}
