//! The same shards under a seed: one thread, virtual time, any interleaving, replayed exactly.
//!
//! Start with `world.rs`. What is outside of the shards is simulated too: `disk.rs` loses what a
//! disk may lose, `network/` what a network may, and clocks jump in `jumps.rs`. What has been is
//! run again by `rerun/`, which has no seed: one record at a time.

mod aside;
mod content;
mod crashes;
mod disk;
mod jumps;
#[cfg(feature = "net")]
mod network;
mod rerun;
mod world;

pub use disk::{SimDisk, SimStorage};
#[cfg(feature = "net")]
pub use network::{NetFaults, SimListener, SimNetwork, SimStream, Struck};
pub use rerun::{
    At, Comparison, Difference, Digest, Entry, LogReader, LogSink, OutputLog, Reran, Rerun, compare,
};
pub use world::{Outcome, Simulation};
