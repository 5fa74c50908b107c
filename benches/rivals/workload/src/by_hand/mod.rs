//! Each workload as a careful programmer writes it in an afternoon, with the obvious tools.
//!
//! What is given comes in order of time, or nearly so: `add` may be given what is behind what it
//! was given before, as long as `advance` has not passed it.

pub mod auctions;
pub mod hot;
pub mod join;
pub mod sellers;
pub mod windows;

pub use auctions::{Averages, Winners};
pub use hot::{Counts, Leading};
pub use join::Join;
pub use sellers::{Local, NewSellers};
pub use windows::{Sliding, Tumbling};

/// Hash tables of the field's best general-purpose kind.
pub type Table<K, V> = hashbrown::HashMap<K, V>;
