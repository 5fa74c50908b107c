//! What all contestants are given, and how what they find is compared.
//!
//! A contestant is a program that is told a workload, a number of cores and a size, and prints one
//! line of JSON. What goes in is made here and lies in memory before anything is timed
//! (`readings.rs`, `auctions.rs`, `pace.rs`), what comes out is reduced to a number that does not
//! depend on its order (`digest.rs`), and passes are run and timed here too (`contest.rs`).
//! `by_hand/` has each workload as a careful programmer writes it: the baseline, the oracle, and
//! the body of operators where an engine wants them written by hand.

pub mod args;
pub mod auctions;
pub mod by_hand;
pub mod contest;
pub mod digest;
pub mod line;
pub mod pace;
pub mod readings;

pub use args::{Args, Workload};
pub use contest::{Input, Outcome, contest, pin};
pub use digest::{Digest, text};
pub use pace::{Pace, Stamps};
pub use readings::{CHUNK, Reading, part};

/// The same for all Rust contestants.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
