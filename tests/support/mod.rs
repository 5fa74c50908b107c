//! What the tests share: a slow and obvious model, sources that do as they are told, a sink that
//! watches what it is given, and simulated worlds to run them in.
#![allow(dead_code, unused_imports)] // Each test binary uses its part of it.

pub mod model;
pub mod probe;
pub mod script;
pub mod sessions;
pub mod tester;
pub mod triggers;
pub mod world;

pub use model::{Cut, Fired, Row};
pub use probe::{Open, Probe, Seen};
pub use script::{Said, Script};
pub use world::{World, watch};
