//! The nodes of trees, in a pool.

use serde::{Deserialize, Serialize};

use crate::state::{Slab, State};
use crate::time::Timestamp;
use crate::window::Aggregate;

/// Where a node is.
pub type Id = u32;

/// No node.
pub const NONE: Id = u32::MAX;

/// Records of a leaf, and children of an inner node, at most.
pub const WIDTH: usize = 16;

/// Records in order of time.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Leaf<V> {
    pub parent: Id,
    /// Where the records begin: those before have left.
    from: u32,
    to: u32,
    at: [Timestamp; WIDTH],
    values: [V; WIDTH],
}

impl<V: Copy> Leaf<V> {
    /// A leaf of one record.
    pub fn new(at: Timestamp, value: V) -> Self {
        Self { parent: NONE, from: 0, to: 1, at: [at; WIDTH], values: [value; WIDTH] }
    }

    pub fn len(&self) -> usize {
        (self.to - self.from) as usize
    }

    pub fn is_full(&self) -> bool {
        self.len() == WIDTH
    }

    /// The first record.
    #[inline]
    pub fn front(&self) -> (Timestamp, V) {
        (self.at[self.from as usize], self.values[self.from as usize])
    }

    /// The first `count` records leave.
    #[inline]
    pub fn leave(&mut self, count: usize) {
        self.from += count as u32;
    }

    /// How many records are not after `at`.
    #[inline]
    pub fn count_to(&self, at: Timestamp) -> usize {
        let times = &self.at[self.from as usize..self.to as usize];
        // Most that come belong at the end.
        times.len() - times.iter().rev().take_while(|time| **time > at).count()
    }

    /// Puts a record behind the first `count`; there must be room.
    pub fn put(&mut self, count: usize, at: Timestamp, value: V) {
        if self.from > 0 && self.to as usize == WIDTH {
            let held = self.from as usize..self.to as usize;
            self.at.copy_within(held.clone(), 0);
            self.values.copy_within(held, 0);
            (self.from, self.to) = (0, self.to - self.from);
        }
        let (place, end) = (self.from as usize + count, self.to as usize);
        self.at.copy_within(place..end, place + 1);
        self.values.copy_within(place..end, place + 1);
        (self.at[place], self.values[place]) = (at, value);
        self.to += 1;
    }

    /// Splits a full leaf: the upper half goes into a new one.
    pub fn split(&mut self) -> Self {
        let mut upper = *self;
        upper.from = (WIDTH / 2) as u32;
        self.to = upper.from;
        upper
    }
}

/// Children in order of time.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Inner<Acc> {
    pub parent: Id,
    /// Levels of nodes below it.
    pub level: u32,
    len: u32,
    /// No record of a child is before this, and none of the child before it is after; that of the
    /// first child says nothing.
    low: [Timestamp; WIDTH],
    child: [Id; WIDTH],
    acc: [Acc; WIDTH],
}

impl<Acc: State> Inner<Acc> {
    /// A node with one child.
    pub fn new(level: u32, low: Timestamp, child: Id) -> Self {
        let acc = [Acc::default(); WIDTH];
        Self { parent: NONE, level, len: 1, low: [low; WIDTH], child: [child; WIDTH], acc }
    }

    pub fn children(&self) -> &[Id] {
        &self.child[..self.len as usize]
    }

    pub fn is_full(&self) -> bool {
        self.len as usize == WIDTH
    }

    /// Where the first child begins.
    pub fn low(&self) -> Timestamp {
        self.low[0]
    }

    /// Where the last child begins.
    #[inline]
    pub fn low_of_last(&self) -> Timestamp {
        self.low[self.len as usize - 1]
    }

    /// The place of the last child that begins at or before `at`, or of the first.
    #[inline]
    pub fn place_for(&self, at: Timestamp) -> usize {
        let lows = &self.low[1..self.len as usize];
        lows.len() - lows.iter().rev().take_while(|low| **low > at).count()
    }

    /// The place of a child.
    #[inline]
    pub fn place_of(&self, child: Id) -> usize {
        let from_end = self.children().iter().rev().take_while(|id| **id != child).count();
        self.len as usize - 1 - from_end
    }

    /// Puts a child at a place; there must be room.
    pub fn put(&mut self, place: usize, low: Timestamp, child: Id) {
        let end = self.len as usize;
        self.low.copy_within(place..end, place + 1);
        self.child.copy_within(place..end, place + 1);
        self.acc.copy_within(place..end, place + 1);
        (self.low[place], self.child[place]) = (low, child);
        self.len += 1;
    }

    /// The first `count` children leave.
    pub fn leave(&mut self, count: usize) {
        let end = self.len as usize;
        self.low.copy_within(count..end, 0);
        self.child.copy_within(count..end, 0);
        self.acc.copy_within(count..end, 0);
        self.len -= count as u32;
    }

    /// Splits a full node: the upper half goes into a new one.
    pub fn split(&mut self) -> Self {
        let mut upper = *self;
        upper.leave(WIDTH / 2);
        self.len = (WIDTH / 2) as u32;
        upper
    }

    #[inline]
    pub fn acc_mut(&mut self, place: usize) -> &mut Acc {
        &mut self.acc[place]
    }

    /// That of the last child.
    #[inline]
    pub fn last_acc_mut(&mut self) -> &mut Acc {
        &mut self.acc[self.len as usize - 1]
    }
}

/// The nodes of any number of trees. What is taken out serves the next that needs it; nothing goes
/// back to the system.
#[derive(Serialize, Deserialize)]
pub struct Nodes<V: Copy, Acc: Copy> {
    leaves: Slab<Leaf<V>>,
    inners: Slab<Inner<Acc>>,
    /// Inner nodes that were cut off with all below them, linked by `parent`.
    cut: Id,
}

impl<V: Copy, Acc: State> Nodes<V, Acc> {
    /// A pool that holds nothing yet.
    pub const fn new() -> Self {
        Self { leaves: Slab::new(), inners: Slab::new(), cut: NONE }
    }

    #[inline(always)]
    pub(super) fn leaf(&self, id: Id) -> &Leaf<V> {
        &self.leaves[id]
    }

    #[inline(always)]
    pub(super) fn leaf_mut(&mut self, id: Id) -> &mut Leaf<V> {
        &mut self.leaves[id]
    }

    #[inline(always)]
    pub(super) fn inner(&self, id: Id) -> &Inner<Acc> {
        &self.inners[id]
    }

    #[inline(always)]
    pub(super) fn inner_mut(&mut self, id: Id) -> &mut Inner<Acc> {
        &mut self.inners[id]
    }

    /// The parent of a node with so many levels below it.
    #[inline]
    pub(super) fn parent(&self, id: Id, level: u32) -> Id {
        if level == 0 { self.leaves[id].parent } else { self.inners[id].parent }
    }

    pub(super) fn set_parent(&mut self, id: Id, level: u32, parent: Id) {
        let known = match level {
            0 => &mut self.leaves[id].parent,
            _ => &mut self.inners[id].parent,
        };
        *known = parent;
    }

    pub(super) fn take_leaf(&mut self, leaf: Leaf<V>) -> Id {
        while !self.leaves.has_free() && self.cut != NONE {
            self.take_apart();
        }
        self.leaves.take(leaf)
    }

    /// A new inner node, which its children take for their parent.
    pub(super) fn take_inner(&mut self, inner: Inner<Acc>) -> Id {
        if !self.inners.has_free() && self.cut != NONE {
            self.take_apart();
        }
        let id = self.inners.take(inner);
        for &child in inner.children() {
            self.set_parent(child, inner.level - 1, id);
        }
        id
    }

    /// Takes back a node that nothing is below of, or a subtree. O(1).
    pub(super) fn give(&mut self, id: Id, level: u32) {
        if level == 0 {
            self.leaves.give(id);
        } else {
            self.inners[id].parent = self.cut;
            self.cut = id;
        }
    }

    /// Takes the newest subtree that was cut off apart, down to its children.
    fn take_apart(&mut self) {
        let (id, inner) = (self.cut, self.inners[self.cut]);
        self.cut = inner.parent;
        for &child in inner.children() {
            self.give(child, inner.level - 1);
        }
        self.inners.give(id);
    }

    /// Leaves and inner nodes ever taken fresh.
    #[cfg(test)]
    pub(super) fn taken(&self) -> [u32; 2] {
        [self.leaves.fresh(), self.inners.fresh()]
    }

    /// The aggregate of a node.
    pub(super) fn sum<A: Aggregate<V, Acc = Acc>>(&self, aggregate: &A, id: Id, level: u32) -> Acc {
        let mut sum = Acc::default();
        if level == 0 {
            let leaf = &self.leaves[id];
            for place in leaf.from as usize..leaf.to as usize {
                aggregate.accumulate(&mut sum, leaf.at[place], &leaf.values[place]);
            }
        } else {
            let inner = &self.inners[id];
            for acc in &inner.acc[..inner.len as usize] {
                aggregate.combine(&mut sum, acc);
            }
        }
        sum
    }

    /// Brings the aggregates of all nodes above this one up to date.
    pub(super) fn renew<A: Aggregate<V, Acc = Acc>>(
        &mut self,
        aggregate: &A,
        mut id: Id,
        mut level: u32,
    ) {
        loop {
            let parent = self.parent(id, level);
            if parent == NONE {
                break;
            }
            let sum = self.sum(aggregate, id, level);
            let inner = &mut self.inners[parent];
            let place = inner.place_of(id);
            *inner.acc_mut(place) = sum;
            (id, level) = (parent, level + 1);
        }
    }
}

impl<V: Copy, Acc: State> Default for Nodes<V, Acc> {
    fn default() -> Self {
        Self::new()
    }
}
