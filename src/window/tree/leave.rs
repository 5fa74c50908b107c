//! How records leave a tree: at the front.

use super::Tree;
use super::nodes::{Id, NONE, Nodes};
use crate::state::State;
use crate::time::Timestamp;
use crate::window::Aggregate;

impl Tree {
    /// Takes the first record out. O(log n).
    pub fn pop<V: Copy, A: Aggregate<V>>(
        &mut self,
        nodes: &mut Nodes<V, A::Acc>,
        aggregate: &A,
    ) -> Option<(Timestamp, V)> {
        let front = self.front(nodes)?;
        nodes.leaf_mut(self.first).leave(1);
        self.settle(nodes, aggregate);
        Some(front)
    }

    /// Takes out all records up to and including `at`. O(log n), however many they are.
    pub fn evict<V: Copy, A: Aggregate<V>>(
        &mut self,
        nodes: &mut Nodes<V, A::Acc>,
        aggregate: &A,
        at: Timestamp,
    ) {
        if self.front(nodes).is_none_or(|(first, _)| first > at) {
            return;
        }
        let mut id = self.root;
        for level in (0..self.height).rev() {
            // All children before this one end at or before `at`.
            let count = nodes.inner(id).place_for(at);
            for place in 0..count {
                nodes.give(nodes.inner(id).children()[place], level);
            }
            nodes.inner_mut(id).leave(count);
            id = nodes.inner(id).children()[0];
        }
        self.first = id;
        let leaf = nodes.leaf_mut(id);
        leaf.leave(leaf.count_to(at));
        self.settle(nodes, aggregate);
    }

    /// Records have left the first leaf: drops what is empty, and renews what is above.
    fn settle<V: Copy, A: Aggregate<V>>(&mut self, nodes: &mut Nodes<V, A::Acc>, aggregate: &A) {
        if nodes.leaf(self.first).len() > 0 {
            nodes.renew(aggregate, self.first, 0);
        } else {
            self.drop_empty(nodes, aggregate);
        }
        while self.height > 0 && nodes.inner(self.root).children().len() == 1 {
            let only = nodes.inner(self.root).children()[0];
            nodes.inner_mut(self.root).leave(1);
            nodes.give(self.root, self.height);
            self.height -= 1;
            nodes.set_parent(only, self.height, NONE);
            self.root = only;
        }
    }

    fn drop_empty<V: Copy, A: Aggregate<V>>(
        &mut self,
        nodes: &mut Nodes<V, A::Acc>,
        aggregate: &A,
    ) {
        let mut id = self.first;
        for level in 0.. {
            let parent = nodes.parent(id, level);
            nodes.give(id, level);
            if parent == NONE {
                *self = Self::default();
                return;
            }
            nodes.inner_mut(parent).leave(1);
            if !nodes.inner(parent).children().is_empty() {
                self.first = Self::first_leaf(nodes, parent, level + 1);
                nodes.renew(aggregate, parent, level + 1);
                return;
            }
            id = parent;
        }
    }

    fn first_leaf<V: Copy, Acc: State>(nodes: &Nodes<V, Acc>, mut id: Id, level: u32) -> Id {
        for _ in 0..level {
            id = nodes.inner(id).children()[0];
        }
        id
    }
}
