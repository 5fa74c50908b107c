//! For tests of pipelines: a driver with a virtual clock, cases as text, and the contract that
//! every operator keeps.
//!
//! | what is asked | what to take |
//! |---|---|
//! | What does my pipeline make of these records, and what does it hold then? | [`TestDriver`] |
//! | Can a reader see at a glance what goes in and what comes out? | [`Marbles`] |
//! | Do my steps give the same results in every way records may come? | [`Tester`] |
//!
//! All three run the shards and operators that a deployment runs, the last one its rings too, in
//! the calling thread and without a clock. May not know the runtime. Start with `driver.rs`.

mod contract;
mod difference;
mod driver;
mod host;
mod input;
mod marbles;
mod output;
mod probe;
mod script;
mod scripted;

pub use contract::{Broken, Case, Tester};
pub use driver::TestDriver;
pub use input::{TestHead, TestInput};
pub use marbles::{Board, FromWord, MarbleError, Marbles, ToWord};
pub use output::TestOutput;
pub use probe::{Open, Probe, Seen};
pub use script::{Said, Script};
pub use scripted::{Attempt, ScriptedLookup};
