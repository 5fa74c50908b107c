//! One thread, a hash table and an ordered set of timeouts: readings in a row of meters that fall
//! silent now and then.

use std::collections::BTreeSet;

use hashbrown::HashMap;

use super::Checksum;
use crate::cli::workload::{PERIOD_NS, reading};

/// Counts and sums what each of `keys` meters reads in a row, out of `records` readings in order of
/// time; one that is silent for `timeout` nanoseconds begins anew.
pub fn count_and_sum(records: u64, keys: u64, timeout: i64) -> Checksum {
    let mut checksum = Checksum::default();
    let mut rows: HashMap<u64, (i64, u64, u64)> = HashMap::new();
    let mut timeouts: BTreeSet<(i64, u64)> = BTreeSet::new();
    // No timeout is due before this.
    let mut next = i64::MAX;
    for index in 0..records {
        let at = index as i64 * PERIOD_NS;
        if next <= at {
            next = fire(&mut timeouts, &mut rows, at, &mut checksum);
        }
        let reading = reading(index, keys);
        let (deadline, count, sum) = rows.entry(reading.key).or_default();
        if *count > 0 {
            timeouts.remove(&(*deadline, reading.key));
        }
        *deadline = at + timeout;
        *count += 1;
        *sum += u64::from(reading.value);
        timeouts.insert((*deadline, reading.key));
        next = next.min(*deadline);
    }
    fire(&mut timeouts, &mut rows, i64::MAX, &mut checksum);
    checksum
}

/// Ends the rows whose timeouts are due, and says when the next one might be.
fn fire(
    timeouts: &mut BTreeSet<(i64, u64)>,
    rows: &mut HashMap<u64, (i64, u64, u64)>,
    now: i64,
    checksum: &mut Checksum,
) -> i64 {
    while let Some(&(deadline, key)) = timeouts.first() {
        if deadline > now {
            return deadline;
        }
        timeouts.pop_first();
        if let Some((deadline, count, sum)) = rows.remove(&key) {
            checksum.add(key, deadline, count, sum);
        }
    }
    i64::MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_finds_the_stretches_between_silences() {
        for (records, keys, timeout) in [(1, 1, 9), (20_000, 100, 300_000), (9_000, 7, 20_000)] {
            let mut times: Vec<Vec<(i64, u64)>> = vec![Vec::new(); keys as usize];
            for index in 0..records {
                let reading = reading(index, keys);
                times[reading.key as usize].push((index as i64 * PERIOD_NS, reading.value.into()));
            }
            let mut naive = Checksum::default();
            for (key, times) in times.iter().enumerate() {
                for row in times.chunk_by(|a, b| b.0 - a.0 < timeout) {
                    let sum = row.iter().map(|reading| reading.1).sum();
                    let deadline = row[row.len() - 1].0 + timeout;
                    naive.add(key as u64, deadline, row.len() as u64, sum);
                }
            }
            assert_eq!(count_and_sum(records, keys, timeout), naive);
        }
    }
}
