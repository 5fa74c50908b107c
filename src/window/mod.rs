//! Grouping by time: windows, and what they keep instead of records.
//!
//! Event-time windows are `[start, end)`, the same for all keys, and fire when the watermark
//! reaches `end`. Overlapping windows share slices; each slice has a pane, a table from key to
//! accumulator. A record costs one accumulation however many windows hold it, a slide costs the
//! same however long the window is, and a window that closes fires some keys a step. Sessions
//! (`session/`) have no panes: each key has its own. Neither have windows with triggers
//! (`trigger/`), nor those that count records (`count.rs`, `time_or_count.rs`).
//!
//! May not know drivers or sources. Start with `cuts.rs` and `shape.rs` (how time is cut), then
//! `operator.rs` (what happens to a record), `firing.rs` (what happens when event time moves on),
//! `running.rs` (what windows have in common) and `again.rs` (what a late record leads to).

#[cfg(test)]
mod affine;
mod again;
mod aggregate;
pub mod aggregates;
#[cfg(feature = "calendar")]
mod calendar;
mod count;
mod cumulative;
mod cuts;
mod deferred;
mod fifo;
mod firing;
mod fold;
mod gaps;
mod hot;
mod operator;
mod pending;
mod periods;
mod precombine;
mod rolling;
mod running;
mod session;
mod shape;
mod time_or_count;
#[cfg(feature = "calendar")]
mod trading;
mod tree;
mod trigger;
mod windowed;
#[cfg(feature = "calendar")]
mod zone;

pub use aggregate::Aggregate;
#[cfg(feature = "calendar")]
pub use calendar::Calendar;
pub use count::CountWindow;
pub use cumulative::Cumulative;
pub use cuts::{Cuts, Stretch};
pub use fifo::{Entry, Fifo};
pub use hot::{HotKeys, SplitStream};
pub use periods::{Disjoint, Period, Periods};
pub use precombine::PrecombinedStream;
pub use rolling::{Rolling, RollingStream};
pub use running::NESTED;
pub use session::{FixedGap, Gap, GapBy, Session, SessionStream};
pub use shape::{Slices, Sliding, Span, Tumbling, Window};
pub use time_or_count::TimeOrCount;
#[cfg(feature = "calendar")]
pub use trading::TradingSessions;
pub use tree::{Nodes, Tree};
pub use trigger::{
    Evictor, GlobalStream, Moment, Records, Trigger, TriggeredStream, Verdict, Ways, evictors,
    triggers,
};
pub use windowed::{Timing, Windowed, WindowedStream};
#[cfg(feature = "calendar")]
pub use zone::{Date, TimeOfDay, Weekday};
