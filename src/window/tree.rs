//! Records in order of time, whatever order they come in, with the aggregate of all of them.

mod insert;
mod leave;
mod nodes;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::state::State;
use crate::time::Timestamp;
use crate::window::Aggregate;

pub use nodes::Nodes;
use nodes::{Id, NONE};

/// A sequence in order of time, and of arrival where times are equal, with its aggregate.
///
/// A B+-tree whose nodes are in a pool shared with other trees, [`Nodes`]; of itself it is four
/// numbers. Each inner node keeps the aggregate of each child, so that of everything is at hand at
/// the root. Insertion starts at the last leaf and climbs only as far as it must: a record that
/// belongs `d` records before the end is placed in O(log d) steps. That is the finger of FiBA
/// (Tangwongsan, Hirzel, Schneider, "Optimal and general out-of-order sliding-window aggregation",
/// PVLDB 2019) on a plainer tree: where FiBA keeps aggregates in a form that makes O(log d)
/// combinations do on the average, here they are kept up to the root at each change, for O(log n)
/// combinations at worst: one a level at the end, a node's width a level elsewhere, and twice that
/// where a node splits.
///
/// Records leave at the front, one by one or all up to a time. Either takes O(log n), however many
/// leave: whole subtrees are cut off, and taken apart later, as their nodes are needed. `n` is the
/// most that the tree has held since it was last empty.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Tree {
    root: Id,
    /// The leaf at the front.
    first: Id,
    /// The leaf at the end: the finger.
    last: Id,
    /// Levels of inner nodes.
    height: u32,
}

impl Default for Tree {
    fn default() -> Self {
        Self { root: NONE, first: NONE, last: NONE, height: 0 }
    }
}

impl Tree {
    /// Whether it holds no record.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.root == NONE
    }

    /// The first record, and its time.
    #[inline]
    pub fn front<V: Copy, Acc: State>(&self, nodes: &Nodes<V, Acc>) -> Option<(Timestamp, V)> {
        (!self.is_empty()).then(|| nodes.leaf(self.first).front())
    }

    /// The aggregate of all records. O(1): at most a node's width of combinations.
    pub fn total<V: Copy, A: Aggregate<V>>(
        &self,
        nodes: &Nodes<V, A::Acc>,
        aggregate: &A,
    ) -> A::Acc {
        match self.is_empty() {
            true => A::Acc::default(),
            false => nodes.sum(aggregate, self.root, self.height),
        }
    }
}
