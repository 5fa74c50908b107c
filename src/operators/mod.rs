//! The steps a pipeline is written in: one operator, one file, with its example.
//!
//! Each file adds its method to [`Stream`](crate::dataflow::Stream) or
//! [`Keyed`](crate::dataflow::Keyed). May not know drivers. A new operator is one new file: start
//! from `map.rs` (stateless) or `reduce.rs` (keyed).

mod batch;
mod broadcast;
mod connect;
mod deduplicate;
mod direct;
mod event_time;
mod expiring;
mod filter;
mod filter_map;
mod flat_map;
mod global;
mod inspect;
mod key_by;
mod map;
mod ordered;
mod partial_key_by;
mod partition_custom;
mod process;
mod process_heap;
mod rebalance;
mod reduce;
mod shuffle;
mod side_output;
mod sink;
mod source;
mod tee;
mod union;

pub use batch::{BatchStream, Batched};
pub use connect::Either;
pub use expiring::Expiring;
pub use process::{
    AtEnd, KeyContext, Moved, NoKey, Order, Outputs, Process, SideOutput, Timer, TimerClock,
};
pub use process_heap::{HeapContext, ProcessHeap};
pub use source::SourceHead;
