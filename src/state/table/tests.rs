//! A table against a `HashMap`, and the promises of the walks.

use super::*;
use std::collections::HashMap;
use std::hash::Hash;

/// A key whose hashes are all equal, or nearly: `SPREAD` different ones.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
struct Clash<const HASHES: u64>(u32);

impl<const HASHES: u64> Key for Clash<HASHES> {
    fn mix(self, _: u64) -> u64 {
        (u64::from(self.0) % HASHES).reverse_bits() >> 7 | 5
    }
}

/// Applies random operations to both, with keys made from numbers below `range`.
fn against_model<K: Key + Hash>(seed: u64, range: u32, steps: usize, key: impl Fn(u32) -> K) {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut table = Table::<K, u64>::new(seed);
    let mut model = HashMap::<K, u64>::new();
    for step in 0..steps {
        let k = key(random.u32(..range));
        match random.u32(..1000) {
            0..150 => assert_eq!(table.get(k), model.get(&k)),
            150..350 => assert_eq!(table.remove(k), model.remove(&k)),
            350..640 => {
                *table.entry(k) += step as u64;
                *model.entry(k).or_default() += step as u64;
            }
            640..990 => {
                let count = random.usize(..200);
                let keys: Vec<K> = (0..count).map(|_| key(random.u32(..range))).collect();
                let records: Vec<u64> = (0..count).map(|_| random.u64(..9)).collect();
                for keys in keys.chunks(batch::TOGETHER) {
                    table.warm(keys);
                    let mut next = 0..keys.len();
                    table.get_batch(keys, |place, state| {
                        assert_eq!(next.next(), Some(place));
                        assert_eq!(state, model.get(&keys[place]));
                    });
                    assert!(next.is_empty());
                }
                table.update_batch(&records, &keys, |sum, &x| *sum = *sum * 3 + x);
                for (k, x) in keys.iter().zip(&records) {
                    let sum = model.entry(*k).or_default();
                    *sum = sum.wrapping_mul(3).wrapping_add(*x);
                    *sum %= 1 << 40;
                }
                table.update_batch(&records, &keys, |sum, _| *sum %= 1 << 40);
            }
            990..996 => check(&table, &model, random.usize(1..100)),
            996..998 => {
                let mut seen = HashMap::new();
                let mut cursor = Cursor::default();
                let budget = random.usize(1..100);
                while !table.drain(&mut cursor, budget, |k, &v| _ = seen.insert(k, v)) {}
                assert_eq!(seen, model);
                model.clear();
            }
            998 if random.bool() => {
                let (mut cursor, budget) = (Cursor::default(), random.usize(1..100));
                let mut done = false;
                while !done {
                    let mut calls = 0;
                    done = table.retain_slice(&mut cursor, budget, |_, v| {
                        calls += 1;
                        v % 3 != 0
                    });
                    assert!(calls <= budget);
                }
                model.retain(|_, v| *v % 3 != 0);
            }
            998 => {
                let mut cursor = Cursor::default();
                while !table.clear_slice(&mut cursor, random.usize(1..4)) {}
                model.clear();
            }
            _ => table.reserve(random.usize(..4000)),
        }
        assert_eq!(table.len(), model.len());
    }
    check(&table, &model, usize::MAX);
}

/// Every key of the model is in the table with its value, seen once by slices within budget.
fn check<K: Key + Hash>(table: &Table<K, u64>, model: &HashMap<K, u64>, budget: usize) {
    let (mut seen, mut cursor, mut done) = (HashMap::new(), Cursor::default(), false);
    while !done {
        let mut calls = 0;
        done = table.visit(&mut cursor, budget, |k, &v| {
            assert_eq!(seen.insert(k, v), None);
            calls += 1;
        });
        assert!(calls <= budget);
    }
    assert_eq!(&seen, model);
    assert!(model.iter().all(|(&k, v)| table.get(k) == Some(v)));
    assert_eq!(table.is_empty(), model.is_empty());
}

#[test]
fn random_operations_agree_with_a_hash_map() {
    for seed in 0..6 {
        against_model(seed, 60, 2_000, |n| n);
        against_model(seed, 3_000, 4_000, u64::from);
        against_model(seed, 40_000, 4_000, |n| (n, n as u8));
    }
}

#[test]
fn keys_that_cannot_be_told_apart_are_slow_but_right() {
    against_model(1, 600, 1_500, Clash::<1>);
    against_model(2, 3_000, 1_500, Clash::<3>);
    against_model(3, 3_000, 1_500, Clash::<300>);
    let mut table = Table::<_, u8>::new(0);
    for n in 0..5_000 {
        *table.entry(Clash::<1>(n)) += 1;
    }
    assert!(table.directory.len() <= SPREAD_FROM, "{}", table.directory.len());
    assert!(table.bytes() < 5_000 * 8 * 4 + SPREAD_FROM * 8, "{}", table.bytes());
}

#[test]
fn keys_behind_links_are_found_together() {
    let mut table = Table::<Clash<1>, u32>::new(1);
    (0..2_000).for_each(|n| *table.entry(Clash(n)) = n);
    assert!(table.links > 0);
    for n in 0..2_000 {
        table.remove(Clash(n));
        if n % 40 == 0 {
            let keys: [_; batch::TOGETHER] = core::array::from_fn(|more| Clash(n + more as u32));
            table.get_batch(&keys, |place, state| assert_eq!(state, table.get(keys[place])));
        }
    }
}

#[test]
fn keys_that_come_in_the_order_of_their_hashes_are_told_apart() {
    let (mut from, mut one_by_one, mut together) = (Table::new(5), Table::new(5), Table::new(5));
    (0..200_000u32).for_each(|n| *from.entry(n) = u64::from(n));
    let (mut keys, mut values) = (Vec::new(), Vec::new());
    from.visit(&mut Cursor::default(), usize::MAX, |key, value| {
        *one_by_one.entry(key) = *value;
        keys.push(key);
        values.push(*value);
    });
    together.update_batch(&values, &keys, |here, value| *here = *value);
    for table in [&one_by_one, &together] {
        assert_eq!((table.links, table.len()), (0, from.len()));
        assert!(table.bytes() < from.bytes() * 2, "{} {}", table.bytes(), from.bytes());
        assert!(keys.iter().all(|&key| table.get(key) == from.get(key)));
    }
}

#[test]
fn walks_by_parts_see_each_key_once_and_in_step() {
    for (keys, others, budget) in [(9, 9, 3), (5_000, 300, 7), (5_000, 20_000, 100)] {
        let (mut table, mut other) = (Table::new(3), Table::new(3));
        (0..keys).for_each(|n| *table.entry(n) = 1u8);
        (0..others).for_each(|n| *other.entry(n) = 1u16);
        let (mut from, mut seen, mut over) = (0, Vec::new(), false);
        while !over {
            let until = table.part_behind(from, [&other].into_iter());
            let (mut here, mut there) = (Cursor::at(from), Cursor::at(from));
            while !other.visit_until(until, &mut there, &mut budget.clone(), |n, _| {
                assert!(!seen.contains(&n), "{n} is in a part that is over");
            }) {}
            while !table.visit_until(until, &mut here, &mut budget.clone(), |n, _| seen.push(n)) {}
            (from, over) = (until, until == 0);
        }
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..keys));
    }
    let mut table = Table::<u32, u8>::new(3);
    let other = Table::<u32, u8>::new(4);
    (0..5_000).for_each(|n| *table.entry(n) = 1);
    assert_eq!(table.part_behind(0, [&other].into_iter()), 0, "another order of hashes");
}

#[test]
fn what_a_walk_has_passed_is_cleared_and_nothing_else() {
    let mut table = Table::<u32, u8>::new(3);
    (0..3_000).for_each(|n| *table.entry(n) = 1);
    let (mut cursor, mut seen) = (Cursor::default(), 0);
    let mut done = false;
    while !done {
        let from = cursor;
        done = table.visit_until(0, &mut cursor, &mut 77, |_, _| seen += 1);
        table.clear_passed(from, &cursor);
        assert!(table.len() + seen >= 3_000);
        assert!(table.len() + seen <= 3_000 + Sub::<u32, u8>::SLOTS);
    }
    assert_eq!((table.len(), seen), (0, 3_000));
}

#[test]
fn a_large_table_keeps_every_key_and_clears_for_reuse() {
    let mut table = Table::<u64, u64>::new(9);
    let keys: Vec<u64> = (0..1_000_000).collect();
    table.update_batch(&keys, &keys, |v, k| *v += k + 1);
    assert_eq!(table.len(), keys.len());
    assert!(keys.iter().all(|&k| table.get(k) == Some(&(k + 1))));
    let (bytes, splits) = (table.bytes(), table.splits);
    table.clear();
    assert!(table.is_empty() && table.get(1).is_none());
    table.update_batch(&keys, &keys, |v, k| *v += k);
    assert_eq!((table.bytes(), table.splits, table.len()), (bytes, splits, keys.len()));
    assert!(bytes < keys.len() * 16 * 3, "{bytes}");
}

#[test]
fn the_order_depends_on_seed_and_history_only() {
    let order = |seed| {
        let (mut table, mut order) = (Table::<u64, u8>::new(seed), Vec::new());
        (0..9_999).for_each(|k| *table.entry(k) += 1);
        (0..9_999).step_by(3).for_each(|k| _ = table.remove(k));
        table.visit(&mut Cursor::default(), usize::MAX, |k, _| order.push(k));
        order
    };
    assert_eq!(order(1), order(1));
    assert_ne!(order(1), order(2));
}

#[test]
fn a_reserved_table_splits_little() {
    let mut table = Table::<u32, u8>::new(3);
    table.reserve(100_000);
    let splits = table.splits;
    (0..100_000).for_each(|k| *table.entry(k) += 1);
    assert!(table.splits - splits < splits / 10, "{splits} then {}", table.splits);
}

#[test]
fn odd_shapes_of_key_and_value() {
    #[derive(Clone, Copy, Default, serde::Serialize, serde::Deserialize)]
    #[repr(align(128))]
    struct Wide([u64; 30]);
    impl Wide {
        fn bump(&mut self) {
            self.0[29] += 1;
        }
    }
    let (mut wide, mut none) = (Table::<u16, Wide>::new(0), Table::<(), ()>::new(0));
    for k in 0..3_000 {
        wide.entry(k % 1_000).bump();
        none.entry(());
    }
    assert!((0..1_000).all(|k| wide.get(k).is_some_and(|w| w.0[29] == 3)));
    assert_eq!((wide.len(), none.len(), none.remove(())), (1_000, 1, Some(())));
}

#[test]
fn walking_a_table_that_changes_does_no_harm() {
    let (mut table, mut cursor) = (Table::<u64, u64>::new(4), Cursor::default());
    let mut k = 0;
    while !table.visit(&mut cursor, 7, |_, _| ()) {
        for _ in 0..5 {
            *table.entry(k) += 1;
            k += 1;
        }
        if k % 100_000 == 0 {
            table.clear();
        }
        if k > 200_000 {
            break;
        }
    }
    assert!(table.visit(&mut Cursor::default(), usize::MAX, |_, _| ()));
}

#[test]
fn a_table_can_be_sent_to_another_thread() {
    let mut table = Table::<u64, u64>::new(0);
    *table.entry(1) = 2;
    let table = std::thread::spawn(move || table).join();
    assert_eq!(table.ok().and_then(|table| table.get(1).copied()), Some(2));
}
