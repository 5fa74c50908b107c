//! A state table whose keys are updated, gone over and added, and hashbrown's map, with the hasher
//! that comes with it.

use std::hint::black_box;

use hashbrown::HashMap;
use millstream::state::{Cursor, Table};

/// Updates of one round: as many as a batch of the engine has.
pub const BATCH: usize = 256;

/// Keys in the order in which they are updated, before the same ones come round again.
const UPDATES: usize = 256 * BATCH;

const RECORDS: [u64; BATCH] = [3; BATCH];

/// Keys without a pattern, all different: an odd factor takes no two numbers to the same.
pub fn distinct(count: usize) -> Vec<u64> {
    (1..=count as u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect()
}

/// Some of the keys at random, with repetition.
pub fn updates_of(keys: &[u64]) -> Vec<u64> {
    let mut random = fastrand::Rng::with_seed(7);
    (0..UPDATES).map(|_| keys[random.usize(..keys.len())]).collect()
}

/// The engine's table, grown from empty up to these keys.
pub fn table_of(keys: &[u64]) -> Table<u64, u64> {
    let mut table = Table::new(1);
    keys.iter().for_each(|key| *table.entry(*key) += 1);
    table
}

/// A map, grown the same way.
pub fn map_of(keys: &[u64]) -> HashMap<u64, u64> {
    let mut map = HashMap::new();
    keys.iter().for_each(|key| *map.entry(*key).or_default() += 1);
    map
}

/// Updates a batch of keys that are there, all at once.
pub fn update_batch(table: &mut Table<u64, u64>, batch: &[u64]) {
    table.update_batch(black_box(&RECORDS), batch, |sum, record| *sum += record);
}

/// Updates them one by one.
pub fn update_each(table: &mut Table<u64, u64>, batch: &[u64]) {
    for (key, record) in batch.iter().zip(black_box(&RECORDS)) {
        *table.entry(*key) += record;
    }
}

/// Updates them one by one in a map.
pub fn update_map(map: &mut HashMap<u64, u64>, batch: &[u64]) {
    for (key, record) in batch.iter().zip(black_box(&RECORDS)) {
        *map.entry(*key).or_default() += record;
    }
}

/// Goes over all keys.
pub fn walk_table(table: &Table<u64, u64>) -> u64 {
    let mut sum = 0;
    table.visit(&mut Cursor::default(), usize::MAX, |key, value| sum ^= key ^ value);
    sum
}

/// Goes over all keys of a map.
pub fn walk_map(map: &HashMap<u64, u64>) -> u64 {
    map.iter().fold(0, |sum, (key, value)| sum ^ key ^ value)
}
