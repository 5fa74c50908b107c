//! Keys that have more than their share of the records, split over the shards they arrive on.
//!
//! Each sending shard finds out by itself which keys are hot (`detector.rs`), aggregates their
//! records by slice where they arrive, and sends the owner one part for each slice (`splitter.rs`).
//! All else goes straight to the owner, in the same lane, so that nobody can tell the difference.
//! Start with `split.rs`.

mod detector;
mod settings;
mod space_saving;
mod split;
mod splitter;

pub use settings::HotKeys;
pub use split::SplitStream;
