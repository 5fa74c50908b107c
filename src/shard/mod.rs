//! One core's whole share of a pipeline. The hot path: `step.rs`, one screen.
//!
//! May not know who drives it: a pinned executor (`runtime/`), the caller's thread (`embed.rs`), a
//! simulation (`sim/`).

mod careful;
mod checkpoint;
mod embed;
mod lockstep;
mod search;
mod snapshot;
mod step;
mod worst;

pub(crate) use careful::{Care, Counts, Ended, Failure, Trial, beyond, run_with_care};
pub use embed::{Input, InputSource, Output};
pub(crate) use lockstep::Lockstep;
pub use lockstep::Place;
pub(crate) use search::{Search, Verdict};
pub use snapshot::Snapshot;
pub use step::{Latencies, Shard};
pub use worst::{StageWork, WorstStep};
