//! The grammar: how steps make a stage, and stages a pipeline.
//!
//! Operators add their methods to [`Stream`] and [`Keyed`] from their own files on a higher floor,
//! so this room never learns their names. May not know rings, sources or windows. Start with
//! `operator.rs`, then `stage.rs`.

mod change;
mod context;
mod fabric;
mod operator;
mod pipeline;
mod plan;
mod record;
mod saved;
mod shown;
mod stage;
mod stream;

pub use change::Change;
pub use context::{Context, Work};
pub use fabric::{Fabric, Link};
pub(crate) use operator::pass_on;
pub use operator::{Batch, Operator, Pressure};
pub use pipeline::{Built, Pipeline, build};
pub(crate) use plan::SINK;
pub use plan::{NodeId, Plan};
pub use record::Record;
pub use saved::Saved;
pub use shown::{Held, Shown};
pub use stage::{Edge, Runnable, Stage};
pub use stream::{KeyColumn, Keyed, Stream, Upstream};
