//! Which keys are hot on this shard, now.

use serde::{Deserialize, Serialize};

use fastrand::Rng;

use crate::state::{Key, Table};
use crate::window::hot::settings::HotKeys;
use crate::window::hot::space_saving::SpaceSaving;

/// Finds out which keys are hot, and remembers for which of them something is held.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Detector<K: Key> {
    settings: HotKeys,
    sketch: SpaceSaving<K>,
    random: Random,
    /// Records until the next one that is looked at.
    until: u32,
    hot: Vec<K>,
    /// Keys that are hot, and those that were and of which something is held.
    known: Table<K, Known>,
}

/// Random numbers that a snapshot can hold.
#[derive(Clone, Serialize, Deserialize)]
#[serde(from = "u64", into = "u64")]
struct Random(Rng);

impl From<u64> for Random {
    fn from(seed: u64) -> Self {
        Self(Rng::with_seed(seed))
    }
}

impl From<Random> for u64 {
    fn from(Random(rng): Random) -> u64 {
        rng.get_seed()
    }
}

/// What is known of a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Whether it is hot.
    pub is_hot: bool,
    /// Parts of it that are held.
    pub parts: u32,
}

impl<K: Key> Detector<K> {
    /// No key is hot.
    pub fn new(settings: HotKeys, seed: u64) -> Self {
        let counters = settings.counters();
        let mut detector = Self {
            settings,
            sketch: SpaceSaving::new(counters, settings.samples(), seed),
            random: Random(Rng::with_seed(seed)),
            until: 0,
            hot: Vec::with_capacity(counters),
            known: Table::new(seed),
        };
        detector.until = detector.draw();
        detector
    }

    /// A record with this key has come. O(1); returns whether it is time to decide.
    #[inline(always)]
    pub fn see(&mut self, key: K) -> bool {
        self.until -= 1;
        self.until == 0 && self.look_at(key)
    }

    #[inline(never)]
    fn look_at(&mut self, key: K) -> bool {
        self.until = self.draw();
        self.sketch.see(key);
        self.sketch.seen() == self.settings.samples()
    }

    /// Records up to and with the next one that is looked at.
    fn draw(&mut self) -> u32 {
        self.random.0.u32(1..2 * self.settings.records_of_sample())
    }

    /// Decides anew which keys are hot; returns how many are. O(counters), which are few.
    #[cold]
    pub fn decide(&mut self) -> usize {
        let Self { settings, sketch, hot, known, .. } = self;
        let least = settings.least();
        hot.retain(|key| {
            let stays = 2 * sketch.count(*key) >= least;
            if !stays {
                known.entry(*key).is_hot = false;
                forget_if_unused(known, *key);
            }
            stays
        });
        for counted in sketch.most().take_while(|counted| counted.count >= least) {
            let known = known.entry(counted.key);
            if !known.is_hot {
                known.is_hot = true;
                hot.push(counted.key);
            }
        }
        sketch.clear();
        hot.len()
    }

    /// What is known of a key, if it is hot or something of it is held.
    #[inline(always)]
    pub fn known(&self, key: K) -> Option<Known> {
        if self.known.is_empty() { None } else { self.known.get(key).copied() }
    }

    /// Something of a key is held.
    pub fn on_part_begun(&mut self, key: K) {
        self.known.entry(key).parts += 1;
    }

    /// It is held no more.
    pub fn on_part_sent(&mut self, key: K) {
        self.known.entry(key).parts -= 1;
        forget_if_unused(&mut self.known, key);
    }

    /// The keys that are hot.
    pub fn hot(&self) -> impl Iterator<Item = &K> {
        self.hot.iter()
    }
}

fn forget_if_unused<K: Key>(known: &mut Table<K, Known>, key: K) {
    if known.get(key) == Some(&Known::default()) {
        known.remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hot(detector: &Detector<u64>) -> Vec<u64> {
        detector.hot().copied().collect()
    }

    /// Half of the records have key 7; then none has.
    #[test]
    fn a_key_becomes_hot_and_cools_down() {
        let settings = HotKeys::above(0.3).sample_every(4).decide_after(100);
        let mut detector = Detector::new(settings, 1);
        let mut decisions = Vec::new();
        for n in 0..4_000u64 {
            let key = if n % 2 == 0 && n < 2_000 { 7 } else { 1_000 + n };
            if detector.see(key) {
                detector.decide();
                decisions.push(hot(&detector));
            }
        }
        assert!((9..12).contains(&decisions.len()), "{decisions:?}");
        assert_eq!(decisions.iter().filter(|hot| **hot == [7]).count(), 5, "{decisions:?}");
        assert_eq!(decisions.last(), Some(&Vec::new()));
        assert!(detector.known.is_empty());
    }

    /// Between a share and half of it a key stays what it was.
    #[test]
    fn a_hot_key_stays_so_at_half_its_share() {
        let settings = HotKeys::above(0.5).sample_every(1).decide_after(20);
        let mut detector = Detector::new(settings, 1);
        let mut decide = |sevens: usize| {
            for n in 0..20 {
                let key = if n < sevens { 7 } else { 100 + n as u64 };
                assert_eq!(detector.see(key), n == 19);
            }
            detector.decide();
            hot(&detector)
        };
        assert!(decide(9).is_empty());
        assert_eq!(decide(10), [7]);
        assert_eq!(decide(5), [7]);
        assert!(decide(4).is_empty());
        assert!(decide(9).is_empty());
    }

    #[test]
    fn a_key_that_cooled_down_is_known_until_its_parts_are_sent() {
        let settings = HotKeys::above(1.0).sample_every(1).decide_after(1);
        let mut detector = Detector::new(settings, 1);
        let come = |detector: &mut Detector<u64>, key| {
            assert!(detector.see(key));
            detector.decide();
        };
        come(&mut detector, 7);
        detector.on_part_begun(7);
        come(&mut detector, 8);
        assert_eq!(detector.known(7), Some(Known { is_hot: false, parts: 1 }));
        detector.on_part_sent(7);
        assert_eq!(detector.known(7), None);
        assert_eq!(detector.known(8), Some(Known { is_hot: true, parts: 0 }));
    }
}
