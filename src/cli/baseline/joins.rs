//! One thread, a map from key to two small sorted vectors: an interval join of two streams.

use hashbrown::HashMap;

use super::Checksum;
use crate::cli::workload::{PERIOD_NS, Reading, reading};

/// What is kept of a reading.
type Kept = (i64, u32);

/// The readings of one key, those of each stream in order of time.
#[derive(Default)]
struct Key {
    left: Vec<Kept>,
    right: Vec<Kept>,
}

/// Joins `records` readings of `keys` meters, those of even number with those of odd number which
/// are at most `reach` nanoseconds earlier or later, and sums up the pairs.
pub fn interval_join(records: u64, keys: u64, reach: i64) -> Checksum {
    let mut state = HashMap::<u64, Key>::new();
    let mut checksum = Checksum::default();
    for index in 0..records {
        let Reading { key, value } = reading(index, keys);
        let at = index as i64 * PERIOD_NS;
        let Key { left, right } = state.entry(key).or_default();
        let (mine, other) = if index % 2 == 0 { (left, right) } else { (right, left) };
        // Records come in order, so that what is too old for this one is too old for all to come.
        let old = other.iter().take_while(|kept| kept.0 < at - reach).count();
        other.drain(..old);
        for (_, partner) in other {
            checksum.add_pair(key, at, value, *partner);
        }
        mine.push((at, value));
    }
    checksum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_what_all_pairs_are() {
        let (records, keys, reach) = (2_000u64, 20, 50_000);
        let all: Vec<(i64, Reading)> =
            (0..records).map(|n| (n as i64 * PERIOD_NS, reading(n, keys))).collect();
        let mut want = Checksum::default();
        for (left, right) in all
            .iter()
            .step_by(2)
            .flat_map(|left| all.iter().skip(1).step_by(2).map(move |right| (left, right)))
        {
            if left.1.key == right.1.key && (left.0 - right.0).abs() <= reach {
                let later = left.0.max(right.0);
                want.add_pair(left.1.key, later, left.1.value, right.1.value);
            }
        }
        assert_eq!(interval_join(records, keys, reach), want);
        assert!(want.results > 100);
    }
}
