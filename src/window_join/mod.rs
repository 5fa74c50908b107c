//! Two keyed streams meet in windows: what belongs together is what falls into the same one.
//!
//! Made of what joins say of their inputs and of how windows cut time, and so above both rooms. A
//! record is kept once for each window that holds it, in an arena of all windows; what a window
//! that fires has of a key is dropped at once when that key has had its turn. Start with
//! `operator.rs`, then `input.rs` (how the records of one input get into their windows),
//! `firing.rs` (whose turn it is) and `turn.rs` (what a window emits of one key).

mod firing;
mod input;
mod operator;
mod turn;

use std::rc::Rc;
use std::time::Duration;

use crate::dataflow::{Edge, Keyed, Meets, Operator, Stage, Stream, TwoInput};
use crate::error::ConfigError;
use crate::join::{FOR_EVER_NS, FanOut, Inputs, Sides};
use crate::state::{Key, Stored};
use crate::window::{Cuts, Slices, Span, Window};
use operator::{Settings, WindowJoinOperator};

impl<'p, K: Key, L: Copy + Stored> Keyed<'p, K, L> {
    /// Pairs each record with the records of another stream that have the same key and fall into
    /// the same window. [`window`](JoinInWindows::window) must follow.
    ///
    /// ```
    /// use millstream::{io::IterSource, ms, Record, Simulation, Timestamp, Tumbling};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let at = Timestamp::from_millis;
    ///     let bids = [Record::new(at(1), (7, 99)), Record::new(at(12), (7, 98))];
    ///     let asks = [Record::new(at(8), (7, 101)), Record::new(at(35), (7, 100))];
    ///     let bids = p.source(IterSource::new(bids.into_iter())).key_by(|bid| bid.0);
    ///     let asks = p.source(IterSource::new(asks.into_iter())).key_by(|ask| ask.0);
    ///     bids.window_join(asks)
    ///         .window(Tumbling::of(ms(10)))
    ///         .select_left(|bid, ask| ask.map(|ask| ask.1 - bid.1))
    ///         .for_each(move |spread| {
    ///             let first = spread.at < at(10);
    ///             assert_eq!(spread.value, first.then_some(2));
    ///         });
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn window_join<R: Copy + Stored>(
        self,
        right: Keyed<'p, K, R>,
    ) -> JoinInWindows<'p, K, L, R> {
        JoinInWindows { sides: Sides::of(self, right) }
    }
}

/// Two keyed streams that want to know in which windows they meet.
#[must_use = "a join does nothing until `window`, a selection and a sink follow"]
pub struct JoinInWindows<'p, K, L, R> {
    sides: Sides<'p, K, L, R>,
}

impl<'p, K: Key, L: Copy + Stored, R: Copy + Stored> JoinInWindows<'p, K, L, R> {
    /// The windows: any shape that is the same for all keys.
    ///
    /// A record is kept once for each window that holds it, and as many of those as
    /// [`records_max`](crate::Config::records_max) says; so windows that are many slides long take
    /// much room. The work for a record of many windows is cut into slices, and what follows it
    /// waits meanwhile.
    pub fn window(self, window: impl Window) -> WindowJoin<'p, K, L, R> {
        WindowJoin { sides: self.sides, cuts: window.cuts(), fan_out: FanOut::Any }
    }
}

/// Which of the records that a window holds of a key come out.
#[derive(Clone, Copy, Debug)]
struct Kind {
    /// Pairs of records.
    pairs: bool,
    /// Left records that have a partner, once each.
    matched: bool,
    /// Left records without partner.
    left: bool,
    /// Right records without partner.
    right: bool,
}

const NOTHING: Kind = Kind { pairs: false, matched: false, left: false, right: false };

/// Two keyed streams whose records belong together when they fall into the same window; wants a
/// selection, which says what kind of join it is.
///
/// Everything comes out when the window closes, which is when the watermarks of both streams have
/// reached its end, with the last instant of the window as its time. So what stays alone is known
/// to be alone. Where windows overlap, a pair comes out of each window that holds both.
#[must_use = "a join does nothing until a selection and a sink follow"]
pub struct WindowJoin<'p, K, L, R> {
    sides: Sides<'p, K, L, R>,
    cuts: Result<Rc<dyn Cuts>, ConfigError>,
    fan_out: FanOut,
}

impl<'p, K: Key, L: Copy + Stored, R: Copy + Stored> WindowJoin<'p, K, L, R> {
    /// How long after its end a window stays open for late records. Everything comes out later by
    /// that. Zero unless set.
    pub fn allowed_lateness(self, lateness: Duration) -> Self {
        Self { sides: self.sides.allowed_lateness(lateness), ..self }
    }

    /// How many pairs a left record may make in one window: the oldest arrivals first.
    /// [`FanOut::Any`] unless set.
    pub fn fan_out(self, fan_out: FanOut) -> Self {
        Self { fan_out, ..self }
    }

    /// Sends records that no window takes any more to streams of their own, the left ones to the
    /// first; otherwise they are dropped, and counted
    /// ([`Counter::Dropped`](crate::metrics::Counter)). Late ones are counted as
    /// [`Late`](crate::metrics::Counter) in either case.
    ///
    /// A record between two windows goes the same way, but was never late.
    pub fn with_late(self) -> (Self, Stream<'p, Edge<L>>, Stream<'p, Edge<R>>) {
        let (sides, left, right) = self.sides.with_late();
        (Self { sides, ..self }, left, right)
    }

    /// Inner join: every pair.
    pub fn select<Out: 'static>(
        self,
        mut f: impl FnMut(&L, &R) -> Out + 'static,
    ) -> Stream<'p, impl Stage<Out = Out>> {
        let kind = Kind { pairs: true, ..NOTHING };
        self.join("inner", kind, move |left, right| Some(f(left?, right?)))
    }

    /// Left join: every pair, and the left records without partner.
    pub fn select_left<Out: 'static>(
        self,
        mut f: impl FnMut(&L, Option<&R>) -> Out + 'static,
    ) -> Stream<'p, impl Stage<Out = Out>> {
        let kind = Kind { pairs: true, left: true, ..NOTHING };
        self.join("left", kind, move |left, right| Some(f(left?, right)))
    }

    /// Right join: every pair, and the right records without partner.
    pub fn select_right<Out: 'static>(
        self,
        mut f: impl FnMut(Option<&L>, &R) -> Out + 'static,
    ) -> Stream<'p, impl Stage<Out = Out>> {
        let kind = Kind { pairs: true, right: true, ..NOTHING };
        self.join("right", kind, move |left, right| Some(f(left, right?)))
    }

    /// Full join: every pair, and the records of both streams without partner.
    pub fn select_full<Out: 'static>(
        self,
        mut f: impl FnMut(Option<&L>, Option<&R>) -> Out + 'static,
    ) -> Stream<'p, impl Stage<Out = Out>> {
        let kind = Kind { pairs: true, left: true, right: true, ..NOTHING };
        self.join("full", kind, move |left, right| Some(f(left, right)))
    }

    /// Semi join: the left records that have a partner in the window, once each. Right records are
    /// counted, and not kept.
    pub fn semi(self) -> Stream<'p, impl Stage<Out = L>> {
        let kind = Kind { matched: true, ..NOTHING };
        self.join("semi", kind, |left, _: Option<&R>| left.copied())
    }

    /// Anti join: the left records that have no partner in the window. Right records are counted,
    /// and not kept.
    pub fn anti(self) -> Stream<'p, impl Stage<Out = L>> {
        let kind = Kind { left: true, ..NOTHING };
        self.join("anti", kind, |left, _: Option<&R>| left.copied())
    }

    fn join<Out: 'static>(
        self,
        name: &str,
        kind: Kind,
        select: impl FnMut(Option<&L>, Option<&R>) -> Option<Out> + 'static,
    ) -> Stream<'p, impl Stage<Out = Out>> {
        let Self { sides, cuts, fan_out } = self;
        let pipeline = sides.pipeline();
        fan_out.check(pipeline);
        // A pipeline that is refused is not run.
        let cuts = cuts.unwrap_or_else(|error| {
            pipeline.reject(error);
            Rc::new(Slices::SECOND)
        });
        let label = format!("window join ({name}, {cuts})");
        let Span { start, end } = cuts.window(cuts.end_after(0));
        if end.since(start) > FOR_EVER_NS as u64 {
            pipeline.warn(format!(
                "{label}: a window as long never closes, and all records are kept for ever; they \
                 grow up to records_max"
            ));
        }
        let config = pipeline.config();
        let settings = Settings {
            cuts,
            kind,
            fan_out,
            fire_max: config.fire_max,
            batch_max: config.batch_max,
            records_max: config.records_max,
            hash_seed: config.hash_seed,
        };
        sides.meet(label, |inputs| Made { settings, inputs, select })
    }
}

/// A window join in the making.
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
        WindowJoinOperator::new(self.settings, self.inputs, self.select, next)
    }
}
