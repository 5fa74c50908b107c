//! Shards on pinned cores: one glommio executor for each. The only room that names glommio.
//!
//! An executor here is a pinned thread and nothing more: its one task is the hot loop, which never
//! yields, since there is no other task to yield to. Records never pass through glommio's channels,
//! wakers or sockets. glommio 0.9.0 has a reason of its own: when its preemption timer is due
//! before the first task queue has run, as it is on a loaded host when the thread loses its core
//! for longer than the timer, `run_task_queues` says that nothing is runnable and the executor goes
//! to sleep for good. `benches/alternatives/yielding.md` has the whole story. Start with
//! `engine.rs`, then `drive.rs`. What happens after a panic is in `poison.rs`, and in the shard's
//! `search.rs`.

mod careful;
mod coordinator;
mod drive;
mod engine;
mod monitor;
mod placement;
mod poison;
mod restart;
mod seat;
mod watchdog;

pub use coordinator::{Checkpoints, InMemory, Keep, Kept};
pub use engine::{Engine, Summary};
pub use monitor::Monitor;
pub use poison::{DeadLetter, DeadLetters, LetterFile, Poison};
pub use restart::Restart;
