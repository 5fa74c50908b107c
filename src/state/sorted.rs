//! Sorted maps by the hundred thousand in one pool of memory.

use serde::{Deserialize, Serialize};

use super::key::{Key, hash};
use super::slab::{NONE, Slab};
use super::value::Stored;
use crate::memory::EachBulk;

/// A sorted map, which is nothing but a root: its entries are in [`Sorted`]. `Root::default()` is
/// empty and takes no memory there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Root(u32);

impl Root {
    /// Whether it holds no entry.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.0 == NONE
    }
}

impl Default for Root {
    fn default() -> Self {
        Self(NONE)
    }
}

/// The entries of any number of sorted maps, in treaps (Seidel, Aragon, "Randomized Search Trees",
/// Algorithmica 1996) out of one pool.
///
/// The priority of an entry is the seeded hash of its key, so the shape of a tree is a matter of
/// its keys alone and not of the order in which they came: what is summed up along it is the same
/// to the last bit, whoever came first. All operations are O(log n), expected over the seed.
/// Nothing goes back to the system. At most 2^32 - 1 entries.
///
/// A value may sum up the entries below it: after each change `sum_up` is called for those on the
/// way, bottom up, with the value and those of the left and the right child.
///
/// ```
/// use millstream::state::{Root, Sorted};
/// let (mut sorted, mut map) = (Sorted::new(1), Root::default());
/// for key in [3u32, 1, 2] {
///     sorted.set(&mut map, key, key * 10, &mut |_, _, _| ());
/// }
/// assert_eq!(sorted.remove(&mut map, 1, &mut |_, _, _| ()), Some(10));
/// assert_eq!((sorted.nth(map, 0), sorted.rank(map, 3)), (Some((2, &20)), 1));
/// ```
#[derive(Serialize, Deserialize)]
pub struct Sorted<K, V> {
    nodes: Slab<Node<K, V>>,
    len: usize,
    seed: u64,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Node<K, V> {
    key: K,
    value: V,
    priority: u32,
    /// How many entries there are from here down.
    count: u32,
    left: u32,
    right: u32,
}

impl<K: Key, V: Copy> Sorted<K, V> {
    /// A pool that holds nothing yet.
    pub fn new(seed: u64) -> Self {
        Self { nodes: Slab::new(), len: 0, seed: hash(seed, 0x9fb2_1c65_1e98_df25) }
    }

    /// How many entries all maps hold together.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Shows the entries.
    pub fn bulk(&mut self, each: &mut EachBulk<'_>)
    where
        V: Stored,
    {
        self.nodes.bulk(each);
    }

    /// Whether all maps are empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many entries a map holds. O(1).
    #[inline]
    pub fn count(&self, Root(root): Root) -> usize {
        self.count_of(root) as usize
    }

    /// The value at the root of a map, which has summed up all of it. O(1).
    #[inline]
    pub fn top(&self, Root(root): Root) -> Option<&V> {
        self.value_of(root)
    }

    /// The value of a key. O(log n).
    pub fn get(&self, Root(root): Root, key: K) -> Option<&V> {
        let mut at = root;
        while at != NONE {
            let node = &self.nodes[at];
            if key == node.key {
                return Some(&node.value);
            }
            at = if key < node.key { node.left } else { node.right };
        }
        None
    }

    /// Sets the value of a key and returns the one before. O(log n).
    pub fn set(
        &mut self,
        Root(root): &mut Root,
        key: K,
        value: V,
        sum_up: &mut impl FnMut(&mut V, Option<&V>, Option<&V>),
    ) -> Option<V> {
        let mut before = None;
        *root = self.set_below(*root, key, value, &mut before, sum_up);
        self.len += usize::from(before.is_none());
        before
    }

    /// Takes a key out and returns its value. O(log n).
    pub fn remove(
        &mut self,
        Root(root): &mut Root,
        key: K,
        sum_up: &mut impl FnMut(&mut V, Option<&V>, Option<&V>),
    ) -> Option<V> {
        let mut before = None;
        *root = self.remove_below(*root, key, &mut before, sum_up);
        self.len -= usize::from(before.is_some());
        before
    }

    /// How many keys of a map are before `key`, whether or not it is there. O(log n).
    pub fn rank(&self, Root(root): Root, key: K) -> usize {
        let (mut at, mut rank) = (root, 0);
        while at != NONE {
            let node = &self.nodes[at];
            if key <= node.key {
                at = node.left;
            } else {
                rank += 1 + self.count_of(node.left);
                at = node.right;
            }
        }
        rank as usize
    }

    /// The entry that has `n` before it. O(log n).
    pub fn nth(&self, Root(root): Root, n: usize) -> Option<(K, &V)> {
        let (mut at, mut n) = (root, u32::try_from(n).ok()?);
        while at != NONE {
            let node = &self.nodes[at];
            let left = self.count_of(node.left);
            if n == left {
                return Some((node.key, &node.value));
            }
            if n < left {
                at = node.left;
            } else {
                n -= left + 1;
                at = node.right;
            }
        }
        None
    }

    /// Calls `each` on the entries from `from` on, in order, until it says no.
    ///
    /// O(log n + entries seen). Says whether it came to the end.
    pub fn visit(
        &self,
        Root(root): Root,
        from: Option<K>,
        each: &mut impl FnMut(K, &V) -> bool,
    ) -> bool {
        if root == NONE {
            return true;
        }
        let node = &self.nodes[root];
        if from.is_some_and(|from| node.key < from) {
            return self.visit(Root(node.right), from, each);
        }
        self.visit(Root(node.left), from, each)
            && each(node.key, &node.value)
            && self.visit(Root(node.right), None, each)
    }

    /// Takes over a map of another pool. O(n log n).
    pub fn take_over(
        &mut self,
        other: &Self,
        map: Root,
        sum_up: &mut impl FnMut(&mut V, Option<&V>, Option<&V>),
    ) -> Root {
        let mut here = Root::default();
        other.visit(map, None, &mut |key, value| {
            self.set(&mut here, key, *value, sum_up);
            true
        });
        here
    }

    #[inline(always)]
    fn count_of(&self, at: u32) -> u32 {
        if at == NONE { 0 } else { self.nodes[at].count }
    }

    #[inline(always)]
    fn value_of(&self, at: u32) -> Option<&V> {
        (at != NONE).then(|| &self.nodes[at].value)
    }

    /// Whether `one` belongs above `two`.
    #[inline(always)]
    fn is_above(&self, one: u32, two: u32) -> bool {
        let (one, two) = (&self.nodes[one], &self.nodes[two]);
        (one.priority, one.key) > (two.priority, two.key)
    }

    /// Makes good what a node knows of those below it.
    #[inline]
    fn settle(&mut self, at: u32, sum_up: &mut impl FnMut(&mut V, Option<&V>, Option<&V>)) {
        let Node { left, right, mut value, .. } = self.nodes[at];
        sum_up(&mut value, self.value_of(left), self.value_of(right));
        let count = 1 + self.count_of(left) + self.count_of(right);
        let node = &mut self.nodes[at];
        (node.value, node.count) = (value, count);
    }

    fn set_below(
        &mut self,
        at: u32,
        key: K,
        value: V,
        before: &mut Option<V>,
        sum_up: &mut impl FnMut(&mut V, Option<&V>, Option<&V>),
    ) -> u32 {
        if at == NONE {
            let priority = hash(key, self.seed) as u32;
            let fresh = Node { key, value, priority, count: 1, left: NONE, right: NONE };
            let at = self.nodes.take(fresh);
            self.settle(at, sum_up);
            return at;
        }
        let Node { key: here, left, right, .. } = self.nodes[at];
        if key == here {
            *before = Some(std::mem::replace(&mut self.nodes[at].value, value));
        } else if key < here {
            let child = self.set_below(left, key, value, before, sum_up);
            self.nodes[at].left = child;
            if self.is_above(child, at) {
                self.nodes[at].left = self.nodes[child].right;
                self.nodes[child].right = at;
                return self.risen(child, at, sum_up);
            }
        } else {
            let child = self.set_below(right, key, value, before, sum_up);
            self.nodes[at].right = child;
            if self.is_above(child, at) {
                self.nodes[at].right = self.nodes[child].left;
                self.nodes[child].left = at;
                return self.risen(child, at, sum_up);
            }
        }
        self.settle(at, sum_up);
        at
    }

    /// After `child` has changed places with its parent.
    fn risen(
        &mut self,
        child: u32,
        parent: u32,
        sum_up: &mut impl FnMut(&mut V, Option<&V>, Option<&V>),
    ) -> u32 {
        self.settle(parent, sum_up);
        self.settle(child, sum_up);
        child
    }

    fn remove_below(
        &mut self,
        at: u32,
        key: K,
        before: &mut Option<V>,
        sum_up: &mut impl FnMut(&mut V, Option<&V>, Option<&V>),
    ) -> u32 {
        if at == NONE {
            return NONE;
        }
        let Node { key: here, value, left, right, .. } = self.nodes[at];
        if key == here {
            *before = Some(value);
            self.nodes.give(at);
            return self.merge(left, right, sum_up);
        }
        if key < here {
            self.nodes[at].left = self.remove_below(left, key, before, sum_up);
        } else {
            self.nodes[at].right = self.remove_below(right, key, before, sum_up);
        }
        self.settle(at, sum_up);
        at
    }

    /// One tree of two, of which all of the first is before all of the second.
    fn merge(
        &mut self,
        one: u32,
        two: u32,
        sum_up: &mut impl FnMut(&mut V, Option<&V>, Option<&V>),
    ) -> u32 {
        if one == NONE || two == NONE {
            return if one == NONE { two } else { one };
        }
        let top = if self.is_above(one, two) {
            self.nodes[one].right = self.merge(self.nodes[one].right, two, sum_up);
            one
        } else {
            self.nodes[two].left = self.merge(one, self.nodes[two].left, sum_up);
            two
        };
        self.settle(top, sum_up);
        top
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    /// A value, and the sum of all values from here down, rounded differently in each order.
    type Summed = (u64, f64);

    fn sum_up(value: &mut Summed, left: Option<&Summed>, right: Option<&Summed>) {
        let below = |side: Option<&Summed>| side.map_or(0.0, |side| side.1);
        value.1 = below(left) + 1.0 / value.0 as f64 + below(right);
    }

    #[test]
    fn it_does_what_an_ordered_map_does() {
        let mut rng = fastrand::Rng::with_seed(5);
        let mut pool = Sorted::new(7);
        let mut maps: Vec<(Root, BTreeMap<u32, u64>)> = vec![Default::default(); 3];
        for step in 1..40_000u64 {
            let (root, model) = &mut maps[rng.usize(..3)];
            let key = rng.u32(..400);
            if rng.u64(..10) < 3 + 4 * (step / 10_000 % 2) {
                let before = pool.set(root, key, (step, 0.0), &mut sum_up);
                assert_eq!(before.map(|value| value.0), model.insert(key, step));
            } else {
                let before = pool.remove(root, key, &mut sum_up);
                assert_eq!(before.map(|value| value.0), model.remove(&key));
            }
            let probe = rng.u32(..400);
            assert_eq!(pool.get(*root, probe).map(|value| value.0), model.get(&probe).copied());
            assert_eq!(pool.rank(*root, probe), model.range(..probe).count());
            let nth = model.iter().nth(probe as usize);
            let got = pool.nth(*root, probe as usize).map(|(key, value)| (key, value.0));
            assert_eq!(got, nth.map(|(key, value)| (*key, *value)));
            assert_eq!((pool.count(*root), root.is_empty()), (model.len(), model.is_empty()));
            if step % 53 == 0 {
                let mut seen = Vec::new();
                pool.visit(*root, Some(probe), &mut |key, value| {
                    seen.push((key, value.0));
                    seen.len() < 20
                });
                let want = model.range(probe..).take(20).map(|(key, value)| (*key, *value));
                assert_eq!(seen, want.collect::<Vec<_>>());
            }
        }
        assert_eq!(pool.len(), maps.iter().map(|(_, model)| model.len()).sum::<usize>());
    }

    #[test]
    fn the_shape_does_not_know_who_came_first() {
        let mut rng = fastrand::Rng::with_seed(6);
        let mut pool = Sorted::new(7);
        let mut keys: Vec<u32> = (0..500).collect();
        let mut total = |keys: &[u32]| {
            let mut root = Root::default();
            (0..50).for_each(|key| _ = pool.set(&mut root, key * 7, (9, 0.0), &mut sum_up));
            for key in keys {
                pool.set(&mut root, *key, (u64::from(*key) + 1, 0.0), &mut sum_up);
            }
            (0..100).for_each(|key| _ = pool.remove(&mut root, key * 5, &mut sum_up));
            pool.top(root).map(|value| value.1.to_bits())
        };
        let first = total(&keys);
        rng.shuffle(&mut keys);
        assert_eq!(total(&keys), first);
    }
}
