//! Windows whose trigger decides when they yield results, and windows that keep their records.
//!
//! Start with `condition.rs` (what a trigger is) and `triggers.rs` (those there are), then
//! `operator.rs` (what happens to a record) and `firing.rs` (what happens when time moves on).

mod buffer;
mod combined;
mod condition;
mod contents;
pub mod evictors;
mod firing;
mod grouped;
mod operator;
mod putting;
mod record;
mod shape;
mod slot;
mod time;
pub mod triggers;
mod wall;

pub(super) use buffer::Buffered;
pub use buffer::Records;
pub use condition::{Moment, Trigger, Verdict, Ways};
pub(super) use contents::{Aggregated, Contents};
pub use evictors::Evictor;
pub(super) use evictors::KeepAll;
pub use grouped::{GlobalStream, TriggeredStream};
