//! Two streams joined by key and interval: a map from key to two small queues.

use std::collections::VecDeque;

use super::Table;
use crate::readings::Reading;

/// What is kept of a reading.
type Kept = (i64, u32);

/// The readings of one key.
#[derive(Default)]
struct Sides {
    left: VecDeque<Kept>,
    right: VecDeque<Kept>,
}

/// Joins readings of one key that are at most `reach` apart.
pub struct Join {
    reach: i64,
    keys: Table<u32, Sides>,
}

impl Join {
    /// At most `reach` nanoseconds apart.
    pub fn new(reach: i64) -> Self {
        Self { reach, keys: Table::new() }
    }

    /// Takes a reading; `safe` is how far time has come on both streams: what is out of reach from
    /// there on is dropped when its key comes up. A row is key, later time, and both values.
    #[inline]
    pub fn add(
        &mut self,
        is_left: bool,
        reading: Reading,
        safe: i64,
        mut emit: impl FnMut([u64; 4]),
    ) {
        let Reading { at, key, value } = reading;
        let Sides { left, right } = self.keys.entry(key).or_default();
        let (mine, other) = if is_left { (left, right) } else { (right, left) };
        let least = safe - self.reach;
        for side in [&mut *mine, &mut *other] {
            while side.pop_front_if(|kept| kept.0 < least).is_some() {}
        }
        for (when, partner) in other.iter().filter(|kept| (kept.0 - at).abs() <= self.reach) {
            let (left, right) = if is_left { (value, *partner) } else { (*partner, value) };
            emit([key.into(), at.max(*when) as u64, left.into(), right.into()]);
        }
        mine.push_back((at, value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::readings::reading;

    #[test]
    fn all_pairs_within_reach_are_found_once() {
        let all: Vec<_> = (0..2_000).map(|n| reading(n, 20, 1)).collect();
        let row = |left: &Reading, right: &Reading| {
            [left.key.into(), left.at.max(right.at) as u64, left.value.into(), right.value.into()]
        };
        for reach in [0, 1, 30, 5_000] {
            let (mut found, mut expected) = (Vec::new(), Vec::new());
            let mut join = Join::new(reach);
            for (number, reading) in all.iter().enumerate() {
                let (is_left, before) = (number % 2 == 0, &all[..number]);
                join.add(is_left, *reading, reading.at, |row| found.push(row));
                let others = before.iter().skip(usize::from(is_left)).step_by(2);
                let near = others.filter(|it| it.key == reading.key && reading.at - it.at <= reach);
                expected.extend(near.map(|it| match is_left {
                    true => row(reading, it),
                    false => row(it, reading),
                }));
            }
            found.sort_unstable();
            expected.sort_unstable();
            assert_eq!(found, expected);
        }
    }
}
