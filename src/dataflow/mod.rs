//! The grammar: how steps make a stage, and stages a pipeline.
//!
//! Operators add their methods to [`Stream`] and [`Keyed`] from their own files on a higher floor,
//! so this room never learns their names. May not know rings, sources or windows. Start with
//! `operator.rs`, then `stage.rs`.

mod before;
mod change;
mod checkpoint;
mod context;
mod fabric;
mod giver;
mod operator;
mod pace;
mod pipeline;
mod plan;
mod progress;
mod record;
mod rescale;
mod saved;
mod shown;
mod stage;
mod stream;
mod two_input;

pub use before::Placement;
pub use change::Change;
pub use checkpoint::{Checkpoint, Epoch};
pub(crate) use context::GHOST;
pub use context::{Context, Work};
pub use fabric::{Fabric, Link};
pub use giver::{Ask, Gave, Given, Giver};
pub(crate) use operator::pass_on;
pub use operator::{Batch, Operator, Pressure};
pub(crate) use pace::Pace;
pub use pipeline::{Built, Pipeline, build};
pub use plan::{NodeId, Plan};
pub(crate) use plan::{SINK, SOURCE};
pub(crate) use progress::{BETWEEN_LOOKS, Growth, MOVES, Progress};
pub use record::Record;
pub use rescale::Others;
pub(crate) use saved::{Known, Piece, Reference};
pub use saved::{Part, Saved};
pub use shown::{Held, Shown};
pub use stage::{Edge, Runnable, Stage};
pub use stream::{KeyColumn, Keyed, Stream, Upstream};
pub use two_input::{Meeting, Meets, Reached, TwoInput};
