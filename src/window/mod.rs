//! Grouping by time: windows, and what they keep instead of records.
//!
//! Event-time windows are `[start, end)`, aligned to the epoch, and fire when the watermark reaches
//! `end`. Overlapping windows share slices; each slice has a pane, a table from key to accumulator.
//! A record costs one accumulation however many windows hold it, and a window that closes fires
//! some keys a step. Sessions (`session/`) have no panes: each key has its own.
//!
//! May not know drivers or sources. Start with `shape.rs` (how time is cut), then `operator.rs`
//! (what happens to a record) and `firing.rs` (what happens when event time moves on).

#[cfg(test)]
mod affine;
mod again;
mod aggregate;
pub mod aggregates;
mod count;
mod cumulative;
mod cuts;
mod deadlines;
mod deferred;
mod fifo;
mod firing;
mod gaps;
mod late;
mod operator;
mod periods;
mod precombine;
mod progress;
mod running;
mod session;
mod shape;
mod tree;
mod trigger;
mod windowed;

pub use aggregate::Aggregate;
pub use count::CountWindow;
pub use cumulative::Cumulative;
pub use cuts::{Cuts, Stretch};
pub use fifo::{Entry, Fifo};
pub use periods::{Disjoint, Period, Periods};
pub use precombine::PrecombinedStream;
pub use running::NESTED;
pub use session::{FixedGap, Gap, GapBy, Session, SessionStream};
pub use shape::{Slices, Sliding, Span, Tumbling, Window};
pub use tree::{Nodes, Tree};
pub use trigger::{
    Evictor, GlobalStream, Moment, Records, Trigger, TriggeredStream, Verdict, Ways, evictors,
    triggers,
};
pub use windowed::{Timing, Windowed, WindowedStream};
