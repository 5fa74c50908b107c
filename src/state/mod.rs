//! What operators remember: keys, and the tables from keys to fixed-size state.
//!
//! May not know windows or records. Start with `table.rs`.

mod heap;
mod key;
mod panes;
mod table;
mod tags;
mod text;
mod ttl;
mod value;

pub use heap::{Heap, Place};
pub use key::{Key, hash};
pub use panes::{Pane, Panes};
pub use table::{Cursor, TOGETHER, Table};
pub use text::{Text, TextTooLong};
pub use ttl::{Lease, Sweep, Term, Ttl};
pub use value::State;
