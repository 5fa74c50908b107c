//! Which shard owns a key.

use std::rc::Rc;

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

/// Decides which shard a record goes to.
pub trait Route<T>: 'static {
    /// The shard, below the number of shards.
    fn shard(&self, value: &T) -> usize;
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
    fn shard(&self, value: &T) -> usize {
        owner(key_group(hash((self.key)(value), self.seed)), self.shards)
    }
}

/// All to one shard.
pub struct To(pub usize);

impl<T> Route<T> for To {
    #[inline(always)]
    fn shard(&self, _value: &T) -> usize {
        self.0
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
