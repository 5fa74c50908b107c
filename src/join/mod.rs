//! Two streams meet: what belongs together by key and by time.
//!
//! Each input has a watermark of its own, and what is late is late on its own input. So which pairs
//! there are does not depend on which input happened to be read first, and what one input has left
//! behind can go as soon as the other has passed it.
//!
//! | join | room | how it looks at its inputs |
//! |---|---|---|
//! | `interval_join`, `cross_join` | `interval/`, `kept.rs`, `pane.rs` | as they come: each looks |
//! | `asof_join`, `temporal_join`, `with_broadcast` | `asof/` | in order of time, `in_turn.rs` |
//! | `window_around` | `around/` | in order of time, `in_turn.rs` |
//!
//! What meets in windows is in `window_join/`, a floor up.
//!
//! May not know windows. Start with `sides.rs` (what all joins say of their inputs) and `bound.rs`
//! (what may meet), then `interval/operator.rs` or `in_turn.rs` (what happens to a record).

mod around;
mod arrivals;
mod asof;
mod bound;
mod broadcast;
mod cross;
mod in_order;
mod in_turn;
mod interval;
mod kept;
mod outlet;
mod pane;
mod sides;
mod temporal;

pub use around::{Around, AroundBetween, Rights};
pub use asof::AsofJoin;
pub use bound::{Bound, after, before, same_time};
pub use cross::{CrossBetween, CrossJoin};
pub use interval::{FanOut, IntervalJoin, JoinBetween};
pub(crate) use sides::{FOR_EVER_NS, Inputs, Sides};
pub use temporal::TemporalJoin;
