//! What waits for the watermark, in order of time.

use serde::{Deserialize, Serialize};

use crate::state::Stored;
use crate::time::Timestamp;
use crate::window::{Aggregate, Nodes, Tree};

/// Values in order of their times; those of the same time in the order in which they came.
///
/// O(1) for what comes in order, O(log d) for what belongs `d` places before the end, and no memory
/// is ever given back.
#[derive(Serialize, Deserialize)]
#[serde(bound = "V: Stored")]
pub struct Pending<V: Copy> {
    nodes: Nodes<V, ()>,
    tree: Tree,
    len: usize,
}

impl<V: Copy + Stored> Pending<V> {
    /// Nothing waits.
    pub fn new() -> Self {
        Self { nodes: Nodes::new(), tree: Tree::default(), len: 0 }
    }

    /// How many wait.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The time of the first.
    #[inline(always)]
    pub fn next(&self) -> Option<Timestamp> {
        self.tree.front(&self.nodes).map(|(at, _)| at)
    }

    /// Adds a value.
    #[inline]
    pub fn push(&mut self, at: Timestamp, value: V) {
        self.tree.insert(&mut self.nodes, &Nothing, at, value);
        self.len += 1;
    }

    /// Takes the first out.
    #[inline]
    pub fn pop(&mut self) -> Option<(Timestamp, V)> {
        let first = self.tree.pop(&mut self.nodes, &Nothing)?;
        self.len -= 1;
        Some(first)
    }
}

/// Aggregates nothing: the order is all that is wanted.
struct Nothing;

impl<V> Aggregate<V> for Nothing {
    type Acc = ();
    type Out = ();

    #[inline(always)]
    fn accumulate(&self, (): &mut (), _at: Timestamp, _value: &V) {}

    #[inline(always)]
    fn combine(&self, (): &mut (), (): &()) {}

    #[inline(always)]
    fn finish(&self, (): &()) {}
}
