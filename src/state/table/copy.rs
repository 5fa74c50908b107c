//! A copy of a table that goes on as the table would.

use super::super::key::Key;
use super::super::value::State;
use super::Table;
use super::arena::Arena;
use super::sub::Sub;

impl<K: Key, V: State> Clone for Table<K, V> {
    /// Copies it sub-table by sub-table: the copy has the same shape and seed, walks in the same
    /// order, splits at the same keys, and continues walks that were begun in this one. O(memory in
    /// use): a copy is for snapshots and no part of a step.
    fn clone(&self) -> Self {
        let (mut arena, mut last) = (Arena::new(), None);
        let copied = |&head: &Sub<K, V>| {
            // A sub-table that is not as deep as the directory has several entries in a row.
            if let Some((original, copy)) = last
                && head == original
            {
                return copy;
            }
            let copy = copy_chain(head, &mut arena);
            last = Some((head, copy));
            copy
        };
        let directory = self.directory.iter().map(copied).collect();
        let Self { shift, grown, splits, links, len, seed, .. } = *self;
        Self { directory, shift, grown, splits, links, len, seed, arena }
    }
}

/// Copies a sub-table and the links behind it into memory of another table.
fn copy_chain<K: Key, V: State>(head: Sub<K, V>, arena: &mut Arena<K, V>) -> Sub<K, V> {
    let first = arena.take(head.depth());
    let (mut copy, mut link) = (first, head);
    loop {
        copy.copy_slots(link);
        let Some(next) = link.next() else { return first };
        let behind = arena.take(next.depth());
        copy.set_next(Some(behind));
        (copy, link) = (behind, next);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Cursor;
    use super::*;

    /// A key whose hashes are all equal, or nearly.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    struct Clash(u32);

    impl Key for Clash {
        fn mix(self, _: u64) -> u64 {
            (u64::from(self.0) % 3).reverse_bits() >> 7 | 5
        }
    }

    fn order<K: Key>(table: &Table<K, u64>) -> Vec<(K, u64)> {
        let mut order = Vec::new();
        table.visit(&mut Cursor::default(), usize::MAX, |key, value| order.push((key, *value)));
        order
    }

    /// Everything but where in memory it is.
    fn shape<K, V>(table: &Table<K, V>) -> [u64; 6] {
        let Table { directory, shift, grown, splits, links, len, .. } = table;
        [directory.len(), *shift as usize, *grown as usize, *splits, *links, *len].map(|n| n as u64)
    }

    /// Copies at random moments; the copy goes on in the place of the table, and both must look the
    /// same after the same operations.
    fn goes_on_alike<K: Key>(seed: u64, range: u32, key: impl Fn(u32) -> K) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut table = Table::<K, u64>::new(seed);
        for _ in 0..20 {
            let mut copy = table.clone();
            assert_eq!((order(&copy), shape(&copy)), (order(&table), shape(&table)));
            for step in 0..random.u64(..2_000) {
                let k = key(random.u32(..range));
                match random.u32(..10) {
                    0..3 => assert_eq!(copy.remove(k), table.remove(k)),
                    _ => {
                        *copy.entry(k) += step;
                        *table.entry(k) += step;
                    }
                }
            }
            if random.u32(..8) == 0 {
                copy.clear();
                table.clear();
            }
            assert_eq!((order(&copy), shape(&copy)), (order(&table), shape(&table)));
            table = copy;
        }
    }

    #[test]
    fn a_copy_walks_in_the_same_order_and_splits_at_the_same_keys() {
        for seed in 0..5 {
            goes_on_alike(seed, 100, |n| n);
            goes_on_alike(seed, 40_000, u64::from);
            goes_on_alike(seed, 3_000, Clash);
        }
    }

    #[test]
    fn a_copy_is_of_its_own() {
        let mut table = Table::<u32, u64>::new(3);
        (0..2_000).for_each(|key| *table.entry(key) = 1);
        let copy = table.clone();
        (0..5_000).for_each(|key| *table.entry(key) += 1);
        drop(table);
        assert_eq!(copy.len(), 2_000);
        assert!(order(&copy).iter().all(|(_, value)| *value == 1));
    }

    #[test]
    fn a_walk_goes_on_in_the_copy() {
        let mut table = Table::<u32, u64>::new(3);
        (0..9_000).for_each(|key| *table.entry(key) = 1);
        let (mut cursor, mut seen) = (Cursor::default(), Vec::new());
        while !cursor.is_done() {
            table.visit(&mut cursor, 97, |key, value| seen.push((key, *value)));
            table = table.clone();
        }
        assert_eq!(seen, order(&table));
    }
}
