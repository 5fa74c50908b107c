//! Tables: a stream of upserts folded into rows by key, and what can be made of their changes.
//!
//! A table is seen as its changelog, [`Changes`]: records `(key, Change<V>)`, in which each
//! [`Change`](crate::Change) carries the row before it and the row after it. So whatever follows
//! retracts exactly, and keeps no copy of the table to do so. Three things hold of every changelog:
//!
//! - **A chain by key**: the old row of each change is the new row of the one before.
//! - **Nothing invisible**: no update to an equal row, and no delete and insert in the place of an
//!   update; unless [`Versions::keeping_equal`] asks for the former.
//! - **One place by key**: all changes of a key are on one shard, in order; as a rule the shard
//!   that owns the key's hash. Those of different keys are in no order across shards, so a group of
//!   rows from several shards sees one of many interleavings; what it comes to when all changes are
//!   in does not depend on which.
//!
//! | step | file | keeps |
//! |---|---|---|
//! | `keyed.table(f)` | `fold.rs` | a row by key, in the hash table of the process function |
//! | `filter`, `map_values` | `filter_map.rs` | nothing |
//! | `group_by(f)` | `group.rs` | nothing: rows go to the shard of their group |
//! | `aggregate(a)` | `aggregate.rs` | an accumulator by group, or its rows in a tree |
//! | `distinct(f)` | `distinct.rs` | a count by what is made of rows |
//! | `top_n(n, by)` | `top.rs` | all rows of each group, in order |
//! | `keyed.ranked::<N>(by)` | `ranked.rs` | the first `N` records by key |
//! | `suppress(s)` | `suppress.rs` | the first and the last row of what is held back |
//! | `until_closed(l)` | `closed.rs` | the last result of each open window |
//! | `join(table)` | `join/tables.rs` | the rows of both tables by key |
//! | `join_foreign(table, f)` | `join/foreign/` | rows and results by key, who names a row by its |
//! | `keyed.join_table(t)` | `join/stream.rs` | a row by key |
//! | `stream.join_global(t, f)` | `global.rs` | all rows on every shard |
//! | `view(v)` | `view/` | a copy of the rows, to be read from outside |
//!
//! What keeps rows is a process function (`operators/process.rs`), so batches, timers, room,
//! snapshots and limits are its. This room sits above those of its floor, since it is made of
//! them. May not know drivers. Start with `changes.rs`, then `fold.rs`.

mod aggregate;
mod changes;
mod closed;
mod distinct;
mod filter_map;
mod fold;
mod global;
mod group;
mod join;
mod ranked;
mod suppress;
mod top;
mod view;

pub use changes::Changes;
pub use fold::Versions;
pub use global::GlobalTable;
pub use group::Grouped;
pub use join::{ForeignJoin, TableJoin, WithTable};
pub use suppress::{Suppress, WhenFull};
pub use view::{Answer, Asked, Part, View};
