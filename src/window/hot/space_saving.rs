//! Which keys come most often, in little memory.

use serde::{Deserialize, Serialize};

use crate::state::{Key, Table};

/// The most frequent keys of up to so many: "space-saving", Metwally et al. 2005.
///
/// One counter for each of the keys that are watched. A key that is not takes over the counter
/// that says least, and what that says is its error: it may have come so often before, or not at
/// all. So a count is never too low and too high by the error at most, and of `n` keys seen every
/// key that came more than `n / counters` times is watched.
///
/// The counters are in order, those that say most first. To count one up is to change its place
/// with the first that says the same: O(1).

#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct SpaceSaving<K: Key> {
    counters: Vec<Counted<K>>,
    counters_max: usize,
    /// Where the counter of a key is.
    places: Table<K, u32>,
    /// The place of the first counter that says as much as the index, if any does.
    first: Vec<u32>,
    seen: u32,
}

/// How often a key came, and by how much that may be too high.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted<K> {
    pub key: K,
    pub count: u32,
    pub error: u32,
}

impl<K: Key> SpaceSaving<K> {
    /// Nothing seen yet; with so many counters, for at most `seen_max` keys until it is cleared.
    pub fn new(counters_max: usize, seen_max: u32, seed: u64) -> Self {
        let mut places = Table::new(seed);
        places.reserve(counters_max);
        let counters = Vec::with_capacity(counters_max);
        let first = vec![0; seen_max as usize + 2];
        Self { counters, counters_max, places, first, seen: 0 }
    }

    /// How many keys came.
    #[inline]
    pub fn seen(&self) -> u32 {
        self.seen
    }

    /// How often a key came, at most; 0 if it is not watched.
    pub fn count(&self, key: K) -> u32 {
        self.places.get(key).map_or(0, |place| self.counters[*place as usize].count)
    }

    /// The keys that came most often, those first.
    pub fn most(&self) -> impl Iterator<Item = Counted<K>> {
        self.counters.iter().copied()
    }

    /// A key came.
    pub fn see(&mut self, key: K) {
        self.seen += 1;
        let place = match self.places.get(key) {
            Some(place) => *place as usize,
            None => self.watch(key),
        };
        self.count_up(place);
    }

    /// Gives a key a counter, the last one; returns its place.
    fn watch(&mut self, key: K) -> usize {
        let last = match self.counters.len() < self.counters_max {
            true => {
                self.counters.push(Counted { key, count: 0, error: 0 });
                self.first[0] = self.counters.len() as u32 - 1;
                self.counters.len() - 1
            }
            false => {
                let last = self.counters.len() - 1;
                let Counted { key: old, count, .. } = self.counters[last];
                self.places.remove(old);
                self.counters[last] = Counted { key, count, error: count };
                last
            }
        };
        *self.places.entry(key) = last as u32;
        last
    }

    fn count_up(&mut self, place: usize) {
        let count = self.counters[place].count as usize;
        let front = self.first[count] as usize;
        if front != place {
            self.counters.swap(front, place);
            *self.places.entry(self.counters[place].key) = place as u32;
            *self.places.entry(self.counters[front].key) = front as u32;
        }
        self.counters[front].count += 1;
        // Where nobody says so much any more this is never read.
        self.first[count] = front as u32 + 1;
        let is_first = front == 0 || self.counters[front - 1].count as usize > count + 1;
        if is_first {
            self.first[count + 1] = front as u32;
        }
    }

    /// Forgets all keys. O(counters).
    pub fn clear(&mut self) {
        for Counted { key, .. } in self.counters.drain(..) {
            self.places.remove(key);
        }
        self.seen = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The bounds of the paper, after every key, and again after a clearing.
        #[test]
        fn counts_are_as_good_as_promised(
            runs in prop::collection::vec(
                prop::collection::vec(prop_oneof![Just(7u64), 0..4u64, 0..60u64], 1..200),
                1..3,
            ),
            counters in 1..20usize,
        ) {
            let mut sketch = SpaceSaving::new(counters, 200, 1);
            for keys in runs {
                sketch.clear();
                let mut exact: BTreeMap<u64, u32> = BTreeMap::new();
                for key in keys {
                    sketch.see(key);
                    *exact.entry(key).or_default() += 1;
                    let most: Vec<_> = sketch.most().collect();
                    prop_assert!(most.len() <= counters);
                    prop_assert!(most.is_sorted_by(|a, b| a.count >= b.count));
                    let sum: u32 = most.iter().map(|counted| counted.count).sum();
                    prop_assert_eq!(sum, sketch.seen());
                    for Counted { key, count, error } in most {
                        prop_assert_eq!(sketch.count(key), count);
                        let came = exact.get(&key).copied().unwrap_or(0);
                        prop_assert!(came <= count && count - error <= came);
                        prop_assert!(error as usize * counters <= sketch.seen() as usize);
                    }
                    for (key, came) in &exact {
                        let must = *came as usize * counters > sketch.seen() as usize;
                        prop_assert!(!must || sketch.count(*key) >= *came);
                    }
                }
            }
        }
    }
}
