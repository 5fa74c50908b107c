//! One thread, two maps: the rows of two tables that have the same key, while both change.

use hashbrown::HashMap;

use super::Checksum;
use crate::cli::workload::{Reading, mix};

/// The upsert of this number: first each row once, in some order of keys, then updates of any.
#[inline(always)]
pub fn upsert(index: u64, rows: u64) -> Reading {
    let bits = mix(index / 2 + (index % 2) * rows);
    let key = if index / 2 < rows { index / 2 } else { ((bits >> 32) * rows) >> 32 };
    Reading { key, value: (bits & 0xffff) as u32 }
}

/// Joins two tables of so many rows by key, through so many upserts: those of even number change
/// the left table.
pub fn join(upserts: u64, rows: u64) -> Checksum {
    let (mut left, mut right) = (HashMap::<u64, u32>::new(), HashMap::<u64, u32>::new());
    let mut checksum = Checksum::default();
    for index in 0..upserts {
        let Reading { key, value } = upsert(index, rows);
        let (mine, other) = if index % 2 == 0 { (&mut left, &right) } else { (&mut right, &left) };
        let old = mine.insert(key, value);
        let Some(partner) = other.get(&key) else { continue };
        let row = |value: u32| u64::from(value) * u64::from(*partner);
        if old != Some(value) {
            checksum.change(key, old.map(row), Some(row(value)));
        }
    }
    checksum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_comes_to_the_join_of_the_last_rows() {
        let (upserts, rows) = (3_000, 500);
        let last = |side: u64| {
            let of_side = (0..upserts).filter(move |index| index % 2 == side);
            of_side.map(|index| upsert(index, rows)).map(|row| (row.key, row.value))
        };
        let (left, right): (HashMap<_, _>, HashMap<_, _>) = (last(0).collect(), last(1).collect());
        let mut want = Checksum::default();
        for (key, value) in left {
            want.change(key, None, Some(u64::from(value) * u64::from(right[&key])));
        }
        assert_eq!(join(upserts, rows), want);
        assert_eq!(want.results, rows);
    }
}
