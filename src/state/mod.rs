//! What operators remember: keys, and the tables from keys to fixed-size state.
//!
//! May not know windows or records. Start with `table.rs`; `chunks.rs` is for state that grows with
//! a key's records, `lists.rs` for such that goes all at once, `sorted.rs` for that in an order of
//! its own.

mod chunks;
mod key;
mod key_group;
mod lists;
mod panes;
mod rescale;
mod slab;
mod sorted;
mod table;
mod tags;
mod text;
mod ttl;
mod value;
mod versioned;

pub use crate::memory::{Bulk, EachBulk, Pieces, Spare};
pub use chunks::{Chunks, Place, Queue};
pub use key::{Key, hash};
pub use key_group::{KEY_GROUPS, key_group, owner};
pub use lists::{List, Lists};
pub use panes::{Pane, Panes};
pub use rescale::{Rescale, Rescaled};
pub use slab::{NONE, Slab};
pub use sorted::{Root, Sorted};
pub use table::{Cursor, TOGETHER, Table};
pub use text::{Text, TextTooLong};
pub use ttl::{Lease, Sweep, Term, Ttl};
pub use value::{State, Stored};
pub use versioned::{First, Version, Versioned};
