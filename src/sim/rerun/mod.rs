//! Running a pipeline again over what has been, and comparing what came of it.
//!
//! Start with `driver.rs`; `log.rs` writes down what comes of it, `reader.rs` reads that, and
//! `compare.rs` finds where two differ.

mod compare;
mod digest;
mod driver;
mod log;
mod reader;

pub use compare::{Comparison, Difference, compare};
pub use digest::Digest;
pub use driver::{Reran, Rerun};
pub use log::{At, LogSink, OutputLog};
pub use reader::{Entry, LogReader};
