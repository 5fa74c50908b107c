//! What the tests share: a slow and obvious model, and simulated worlds to run things in. The
//! tester, its sources and its sinks are the library's own, in `millstream::testing`.
#![allow(dead_code, unused_imports)] // Each test binary uses its part of it.

pub mod asof;
pub mod batch;
pub mod joins;
pub mod lookups;
pub mod machine;
pub mod model;
pub mod seeds;
pub mod sessions;
pub mod sliding;
pub mod tables;
pub mod time_or_count;
pub mod triggers;
pub mod world;

pub use millstream::testing as tester;
pub use millstream::testing::{Open, Probe, Said, Script, Seen};
pub use model::{Cut, Fired, Row};
pub use seeds::each_seed;
pub use world::{World, watch};
