//! The same shards under a seed: one thread, virtual time, any interleaving, replayed exactly.
//!
//! Start with `world.rs`. What has been is run again by `rerun/`, which has no seed: one record at
//! a time.

mod aside;
mod content;
mod crashes;
mod disk;
mod rerun;
mod world;

pub use disk::{SimDisk, SimStorage};
pub use rerun::{
    At, Comparison, Difference, Digest, Entry, LogReader, LogSink, OutputLog, Reran, Rerun, compare,
};
pub use world::{Outcome, Simulation};
