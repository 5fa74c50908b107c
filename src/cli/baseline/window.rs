//! One thread, one hash table: a keyed tumbling count and sum.

use hashbrown::HashMap;

use super::Checksum;
use crate::cli::workload::{PERIOD_NS, WINDOW_NS, reading};

/// Counts and sums `records` readings of `keys` meters by window, in order of time.
pub fn count_and_sum(records: u64, keys: u64) -> Checksum {
    let mut checksum = Checksum::default();
    let mut open: HashMap<u64, (u64, u64)> = HashMap::new();
    let mut end = WINDOW_NS;
    for index in 0..records {
        let at = index as i64 * PERIOD_NS;
        if at >= end {
            close(&mut open, end, &mut checksum);
            end += WINDOW_NS;
        }
        let reading = reading(index, keys);
        let (count, sum) = open.entry(reading.key).or_default();
        *count += 1;
        *sum += u64::from(reading.value);
    }
    close(&mut open, end, &mut checksum);
    checksum
}

fn close(open: &mut HashMap<u64, (u64, u64)>, end: i64, checksum: &mut Checksum) {
    for (key, (count, sum)) in open.drain() {
        checksum.add(key, end, count, sum);
    }
}
