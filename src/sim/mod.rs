//! The same shards under a seed: one thread, virtual time, any interleaving, replayed exactly.
//!
//! Start with `world.rs`.

mod crashes;
mod disk;
mod world;

pub use disk::{SimDisk, SimStorage};
pub use world::{Outcome, Simulation};
