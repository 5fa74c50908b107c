//! The same shards under a seed: one thread, virtual time, any interleaving, replayed exactly.
//!
//! Start with `world.rs`.

mod world;

pub use world::{Outcome, Simulation};
