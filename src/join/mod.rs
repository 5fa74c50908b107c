//! Two streams meet: what belongs together by key and by time.
//!
//! Each input has a watermark of its own, and what is late is late on its own input. So which pairs
//! there are does not depend on which input happened to be read first, and what one input has left
//! behind can go as soon as the other has passed it.
//!
//! May not know windows, which have joins of their own. Start with `bound.rs` (what may meet), then
//! `kept.rs` (what waits for partners) and `interval/operator.rs` (what happens to a record).
//! As-of joins are in `asof/`; they look at both inputs in one order of time, `in_order.rs`.

mod around;
mod arrivals;
mod asof;
mod bound;
mod broadcast;
mod in_order;
mod interval;
mod kept;
mod outlet;
mod pane;
mod temporal;

pub use around::{Around, AroundBetween, Rights};
pub use asof::AsofJoin;
pub use bound::{Bound, after, before, same_time};
pub use interval::{FanOut, IntervalJoin, JoinBetween};
pub use temporal::TemporalJoin;
