//! Records cross from stage to stage: by a swap of buffers on one shard, through rings between
//! shards.
//!
//! A full mesh of single-producer single-consumer rings connects the shards at every edge where
//! records are partitioned. A shard never blocks on a push: what a full ring refuses waits in the
//! port's outbox, and while it waits nothing that produces into that edge is asked for more, but
//! the shard goes on draining its own rings. Edges have an order, so the most downstream one can
//! always drain, and the mesh cannot deadlock.
//!
//! May not know sources, windows or drivers. Start with `edge.rs`, then `ports.rs` (sending) and
//! `inlet.rs` (receiving).

mod broadcast;
mod chosen;
mod edge;
mod in_turn;
mod inlet;
mod late;
mod outbox;
mod partition;
mod pipe;
mod port;
mod ports;
mod ring;
mod shuffle;
mod side;
mod two_choices;

pub use broadcast::ToAll;
pub use chosen::Chosen;
pub(crate) use edge::{behind, exchange, handover, local, local_of, placed};
pub use in_turn::InTurn;
pub use inlet::{Inlet, Lane};
pub(crate) use late::{LateRecords, with_late};
pub use outbox::{Mark, Outbox};
pub use partition::{ByKey, Route, To};
pub use pipe::{PipeReceiver, PipeSender, pipe, pipe_bytes};
pub use port::{Handover, Port};
pub use ports::{Exchange, Ports};
pub use ring::{RingReceiver, RingSender, ring};
pub use shuffle::{LocalOrShuffle, Shuffle};
pub use side::Side;
pub(crate) use side::pass_on_beside;
pub use two_choices::TwoChoices;
