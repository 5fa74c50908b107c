//! Tables meet tables, and streams meet tables, by key.
//!
//! Both are process functions over two connected inputs. Start with `tables.rs`.

mod stream;
mod tables;

pub use stream::WithTable;
pub use tables::TableJoin;

use crate::dataflow::{Change, Keyed, Stage};
use crate::state::{Key, State};
use crate::table::Changes;

/// The changes of a table, keyed for whatever keeps state by the same key: they stay where they are
/// if that is where their key belongs, and go there if not.
fn keyed<'p, K, V, S>(changes: Changes<'p, K, V, S>) -> Keyed<'p, K, (K, Change<V>)>
where
    K: Key,
    V: State,
    S: Stage<Out = (K, Change<V>)>,
{
    match changes.by_hash {
        true => changes.stream.partitioned_by(|(key, _)| *key),
        false => changes.stream.key_by(|(key, _)| *key),
    }
}
