//! How records come into a tree.

use super::Tree;
use super::nodes::{Id, Inner, Leaf, NONE, Nodes};
use crate::state::State;
use crate::time::Timestamp;
use crate::window::Aggregate;

impl Tree {
    /// Adds a record behind all that are not after it. O(log d) steps for a place `d` before the
    /// end, O(log n) combinations at worst.
    pub fn insert<V: Copy, A: Aggregate<V>>(
        &mut self,
        nodes: &mut Nodes<V, A::Acc>,
        aggregate: &A,
        at: Timestamp,
        value: V,
    ) {
        if self.is_empty() {
            let leaf = nodes.take_leaf(Leaf::new(at, value));
            *self = Self { root: leaf, first: leaf, last: leaf, height: 0 };
            return;
        }
        let id = self.leaf_for(nodes, at);
        let leaf = nodes.leaf_mut(id);
        let count = leaf.count_to(at);
        let is_end = id == self.last && count == leaf.len();
        if !leaf.is_full() {
            leaf.put(count, at, value);
            return match is_end {
                true => self.renew_end(nodes, aggregate, at, &value),
                false => nodes.renew(aggregate, id, 0),
            };
        }
        let upper = if is_end {
            // What comes in order fills its leaves.
            Leaf::new(at, value)
        } else {
            let mut upper = leaf.split();
            match count.checked_sub(leaf.len()) {
                Some(count) => upper.put(count, at, value),
                None => leaf.put(count, at, value),
            }
            upper
        };
        let low = upper.front().0;
        let upper = nodes.take_leaf(upper);
        if id == self.last {
            self.last = upper;
        }
        self.attach(nodes, aggregate, id, upper, low);
    }

    /// The leaf that a record of this time belongs to, from the end.
    #[inline]
    fn leaf_for<V: Copy, Acc: State>(&self, nodes: &Nodes<V, Acc>, at: Timestamp) -> Id {
        let (mut id, mut level) = (self.last, 0);
        while level < self.height {
            let parent = nodes.parent(id, level);
            if at >= nodes.inner(parent).low_of_last() {
                break;
            }
            (id, level) = (parent, level + 1);
        }
        for _ in 0..level {
            let inner = nodes.inner(id);
            id = inner.children()[inner.place_for(at)];
        }
        id
    }

    /// One more record at the end: one combination a level.
    fn renew_end<V: Copy, A: Aggregate<V>>(
        &self,
        nodes: &mut Nodes<V, A::Acc>,
        aggregate: &A,
        at: Timestamp,
        value: &V,
    ) {
        let mut id = nodes.parent(self.last, 0);
        while id != NONE {
            let inner = nodes.inner_mut(id);
            aggregate.accumulate(inner.last_acc_mut(), at, value);
            id = inner.parent;
        }
    }

    /// Puts a new node, which begins at `low`, behind the one it was split from; on the way up,
    /// splits nodes that are full.
    fn attach<V: Copy, A: Aggregate<V>>(
        &mut self,
        nodes: &mut Nodes<V, A::Acc>,
        aggregate: &A,
        mut lower: Id,
        mut upper: Id,
        mut low: Timestamp,
    ) {
        for level in 0.. {
            let parent = nodes.parent(lower, level);
            if parent == NONE {
                self.root = nodes.take_inner(Inner::new(level + 1, low, lower));
                self.height = level + 1;
                self.adopt(nodes, aggregate, [(self.root, lower), (self.root, upper)], low);
                return;
            }
            let inner = nodes.inner_mut(parent);
            if !inner.is_full() {
                self.adopt(nodes, aggregate, [(parent, lower), (parent, upper)], low);
                nodes.renew(aggregate, parent, level + 1);
                return;
            }
            let place = inner.place_of(lower);
            let split = if place + 1 == inner.children().len() {
                Inner::new(level + 1, low, upper)
            } else {
                inner.split()
            };
            let next = split.low();
            let split = nodes.take_inner(split);
            let owner = nodes.parent(lower, level);
            let other = if nodes.inner(split).children().contains(&upper) { split } else { owner };
            self.adopt(nodes, aggregate, [(owner, lower), (other, upper)], low);
            (lower, upper, low) = (parent, split, next);
        }
    }

    /// Makes `upper`, from `low` on, the child of a parent behind `lower`, unless it is one
    /// already, and says what the two of them hold.
    fn adopt<V: Copy, A: Aggregate<V>>(
        &self,
        nodes: &mut Nodes<V, A::Acc>,
        aggregate: &A,
        [(parent, lower), (owner, upper)]: [(Id, Id); 2],
        low: Timestamp,
    ) {
        let level = nodes.inner(parent).level - 1;
        if !nodes.inner(owner).children().contains(&upper) {
            let place = nodes.inner(owner).place_of(lower) + 1;
            nodes.inner_mut(owner).put(place, low, upper);
            nodes.set_parent(upper, level, owner);
        }
        for (parent, child) in [(parent, lower), (owner, upper)] {
            let sum = nodes.sum(aggregate, child, level);
            let inner = nodes.inner_mut(parent);
            let place = inner.place_of(child);
            *inner.acc_mut(place) = sum;
        }
    }
}
