//! Tables meet tables, and streams meet tables, by key.
//!
//! All are process functions over two connected inputs. Start with `tables.rs`.

mod foreign;
mod stream;
mod tables;

pub use foreign::ForeignJoin;
pub use stream::WithTable;
pub use tables::TableJoin;

use crate::dataflow::{Change, Keyed, Placement, Stage};
use crate::operators::Either;
use crate::state::{Key, State};
use crate::table::Changes;

/// The changes of two tables by one key, on one edge.
fn connected<'p, K, L, R, S, O>(
    left: Changes<'p, K, L, S>,
    right: Changes<'p, K, R, O>,
) -> Keyed<'p, K, Either<(K, Change<L>), (K, Change<R>)>>
where
    K: Key,
    L: State,
    R: State,
    S: Stage<Out = (K, Change<L>)>,
    O: Stage<Out = (K, Change<R>)>,
{
    if !(left.by_hash && right.by_hash) {
        return keyed(left).connect(keyed(right));
    }
    let both = left.stream.connect_of(right.stream, Placement::ByKey);
    both.keyed_here(|change| match change {
        Either::Left((key, _)) | Either::Right((key, _)) => *key,
    })
}

/// The changes of a table, keyed for whatever keeps state by the same key: they stay where they are
/// if that is where their key belongs, and go there if not.
fn keyed<'p, K, V, S>(changes: Changes<'p, K, V, S>) -> Keyed<'p, K, (K, Change<V>)>
where
    K: Key,
    V: State,
    S: Stage<Out = (K, Change<V>)>,
{
    match changes.by_hash {
        true => changes.keyed_here(),
        false => changes.stream.key_by(|(key, _)| *key),
    }
}
