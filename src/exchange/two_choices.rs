//! To one of two shards by key.

use std::rc::Rc;

use crate::dataflow::{Context, Placement, Record, Saved};
use crate::exchange::partition::Route;
use crate::exchange::ports::Ports;
use crate::state::{Key, hash, key_group, owner};

/// Of the two shards that a key has, to the one that has been sent less so far.
///
/// "The Power of Both Choices", Nasir et al. 2015: each sender counts only what it has sent itself,
/// and the shards are balanced all the same.
pub struct TwoChoices<F> {
    key: Rc<F>,
    seed: u64,
    /// How many records each shard has been sent.
    sent: Vec<u64>,
}

impl<F> TwoChoices<F> {
    /// Routes by `key` over this many shards, hashing with `seed`.
    pub fn new(key: Rc<F>, seed: u64, shards: usize) -> Self {
        Self { key, seed, sent: vec![0; shards] }
    }

    /// The shard that owns the key, and another one if there is any.
    #[inline]
    fn choices(&self, hash: u64) -> (usize, usize) {
        let shards = self.sent.len();
        let first = owner(key_group(hash), shards);
        // The group is made of the top bits; the low half is as good as a second hash.
        let away = ((hash & u64::from(u32::MAX)) * (shards as u64 - 1)) >> u32::BITS;
        let second = first + 1 + away as usize;
        (first, if second < shards { second } else { second - shards })
    }
}

impl<T, K: Key, F: Fn(&T) -> K + 'static> Route<T> for TwoChoices<F> {
    #[inline]
    fn send(&mut self, record: Record<T>, ports: &mut Ports<T>, _cx: &mut Context) {
        let Some(record) = ports.push_if_alone(record) else { return };
        let (first, second) = self.choices(hash((self.key)(&record.value), self.seed));
        let shard = if self.sent[second] < self.sent[first] { second } else { first };
        self.sent[shard] += 1;
        ports.push(shard, record);
    }

    fn save(&self, out: &mut Saved) {
        out.put("two choices", &self.sent);
    }

    fn load(&mut self, from: &mut Saved) {
        from.take_unless_rescaled("two choices", &mut self.sent);
    }

    fn placement(&self) -> Placement {
        Placement::Anywhere
    }
}
