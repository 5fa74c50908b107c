//! Which shard owns a key.

use std::rc::Rc;

use crate::dataflow::{Context, Record, Saved};
use crate::exchange::ports::Ports;
use crate::state::{Key, hash};

/// How many key groups there are. A key belongs to a group for ever; groups are dealt to shards in
/// contiguous ranges, and state is kept so that a group can be moved.
pub const KEY_GROUPS: usize = 1 << KEY_GROUP_BITS;

const KEY_GROUP_BITS: u32 = 12;

/// The group of a key with this hash: its top bits. State tables hash with a seed of their own, so
/// that the keys of one shard still spread over all of a table.
#[inline(always)]
pub const fn key_group(hash: u64) -> usize {
    (hash >> (u64::BITS - KEY_GROUP_BITS)) as usize
}

/// The shard that owns a group, of so many.
#[inline(always)]
pub const fn owner(group: usize, shards: usize) -> usize {
    (group * shards) >> KEY_GROUP_BITS
}

/// Decides which shard a record goes to, or which shards.
pub trait Route<T>: 'static {
    /// Puts a record into the ports that it goes to.
    fn send(&mut self, record: Record<T>, ports: &mut Ports<T>, cx: &mut Context);

    /// A batch has ended, and what fits has been sent.
    #[inline(always)]
    fn on_batch_end(&mut self, _ports: &Ports<T>) {}

    /// Puts what it keeps between two records into a snapshot.
    fn save(&self, _out: &mut Saved) {}

    /// Takes it from a snapshot.
    fn load(&mut self, _from: &mut Saved) {}
}

/// To the shard that owns the record's key.
pub struct ByKey<F> {
    key: Rc<F>,
    seed: u64,
    shards: usize,
}

impl<F> ByKey<F> {
    /// Routes by `key` over this many shards, hashing with `seed`.
    pub fn new(key: Rc<F>, seed: u64, shards: usize) -> Self {
        Self { key, seed, shards }
    }
}

impl<T, K: Key, F: Fn(&T) -> K + 'static> Route<T> for ByKey<F> {
    #[inline(always)]
    fn send(&mut self, record: Record<T>, ports: &mut Ports<T>, _cx: &mut Context) {
        if let Some(record) = ports.push_if_alone(record) {
            let group = key_group(hash((self.key)(&record.value), self.seed));
            ports.push(owner(group, self.shards), record);
        }
    }
}

/// All to one shard.
pub struct To(pub usize);

impl<T: 'static> Route<T> for To {
    #[inline(always)]
    fn send(&mut self, record: Record<T>, ports: &mut Ports<T>, _cx: &mut Context) {
        ports.push(self.0, record);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shard_owns_a_contiguous_share() {
        for shards in [1, 2, 3, 5, 64] {
            let owners: Vec<_> = (0..KEY_GROUPS).map(|group| owner(group, shards)).collect();
            assert!(owners.is_sorted());
            for shard in 0..shards {
                let share = owners.iter().filter(|&&owner| owner == shard).count();
                assert!(share.abs_diff(KEY_GROUPS / shards) <= 1, "{shards} {shard} {share}");
            }
        }
    }
}
