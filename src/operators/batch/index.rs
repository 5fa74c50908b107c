//! Where each key of a batch is in it.

use crate::state::{Key, hash};

/// The places of keys, counted from 0 in the order in which they came; all are forgotten at once.
///
/// Open addressing over memory that is taken at the beginning and at most half full. A slot counts
/// only if it was written for this batch, so forgetting costs nothing however many keys there were.
pub struct Index<K> {
    slots: Box<[Slot]>,
    keys: Vec<K>,
    /// The number of this batch, from 1.
    batch: u64,
    seed: u64,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    batch: u64,
    place: usize,
}

impl<K: Key> Index<K> {
    /// Room for so many keys in a batch.
    pub fn new(keys: usize, seed: u64) -> Self {
        let slots = keys.saturating_mul(2).next_power_of_two().max(2);
        let slots = vec![Slot::default(); slots].into_boxed_slice();
        Self { slots, keys: Vec::with_capacity(keys), batch: 1, seed }
    }

    /// The place of a key, which is the next one if it is new.
    #[inline]
    pub fn place_of(&mut self, key: K) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = hash(key, self.seed) as usize & mask;
        loop {
            let slot = &mut self.slots[at];
            if slot.batch != self.batch {
                let place = self.keys.len();
                *slot = Slot { batch: self.batch, place };
                self.keys.push(key);
                return place;
            }
            if self.keys[slot.place] == key {
                return slot.place;
            }
            at = (at + 1) & mask;
        }
    }

    /// No key has a place any more.
    pub fn clear(&mut self) {
        self.keys.clear();
        self.batch += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_a_list() {
        let mut rng = fastrand::Rng::with_seed(3);
        let mut index = Index::new(40, 9);
        for _ in 0..500 {
            let mut list: Vec<u8> = Vec::new();
            for _ in 0..40 {
                let key = rng.u8(..50);
                let place = list.iter().position(|known| *known == key).unwrap_or(list.len());
                assert_eq!(index.place_of(key), place);
                if place == list.len() {
                    list.push(key);
                }
            }
            index.clear();
        }
    }
}
