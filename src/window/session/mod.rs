//! Sessions: what a key does until it has been silent for a gap.
//!
//! Start with `gap.rs` (what a session is), then `operator.rs` (what happens to a record),
//! `chain.rs` (the sessions of a key) and `firing.rs` (what happens when event time moves on).

mod chain;
mod firing;
mod gap;
mod grouped;
mod operator;

pub use gap::{FixedGap, Gap, GapBy, Session};
pub use grouped::SessionStream;
