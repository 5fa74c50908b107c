//! Which shard owns a key.
//!
//! A key belongs to one of [`KEY_GROUPS`] groups, by its hash and nothing else, so for ever: the
//! hash is seeded from the config, and the seed is part of every snapshot. Groups, not keys, are
//! dealt to shards, which is what makes it possible to go on with another number of shards:
//!
//! - every group has exactly one [owner], on any number of shards up to
//!   that of groups; two shards that compute it always agree, without asking each other;
//! - each shard owns a contiguous range of groups, in the order of the shards, and the ranges
//!   differ in length by one group at most;
//! - on a change from `n` to `m` shards a group moves as a whole, and what a shard owns then was
//!   owned by neighbours before: by at most `n / m + 2` of them. So a restore reads a few whole
//!   ranges, and never sorts keys;
//! - even ranges in the order of the shards are the only ones but for rounding, so no more moves
//!   than they need. That is not the least that could move at all: from 2 to 3 shards half of the
//!   groups move, where a third would have to. A restore reads everything anyway, and ranges in
//!   order are what it reads fastest.

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::hash;

    fn owners(shards: usize) -> Vec<usize> {
        (0..KEY_GROUPS).map(|group| owner(group, shards)).collect()
    }

    #[test]
    fn every_shard_owns_a_contiguous_share() {
        for shards in (1..=256).chain([1000, KEY_GROUPS]) {
            let owners = owners(shards);
            assert!(owners.is_sorted());
            let mut shares = vec![0; shards];
            owners.iter().for_each(|owner| shares[*owner] += 1);
            let even = KEY_GROUPS / shards;
            assert!(shares.iter().all(|share| (even..=even + 1).contains(share)), "{shards}");
        }
    }

    #[test]
    fn every_hash_has_a_group() {
        assert_eq!((key_group(0), key_group(u64::MAX)), (0, KEY_GROUPS - 1));
        let groups = (0..100_000u64).map(|key| key_group(hash(key, 7)));
        assert_eq!(groups.collect::<std::collections::BTreeSet<_>>().len(), KEY_GROUPS);
    }

    /// On a change of the number of shards a shard keeps what it had of its new range, which it
    /// fills up from few others.
    #[test]
    fn a_change_of_shards_moves_few_ranges() {
        for (n, m) in (1..=12).flat_map(|n| (1..=12).map(move |m| (n, m))) {
            let (before, after) = (owners(n), owners(m));
            let kept = before.iter().zip(&after).filter(|(before, after)| before == after).count();
            let groups = KEY_GROUPS as f64;
            let range = |shard: usize, shards: usize| {
                let start = shard as f64 * groups / shards as f64;
                (start, start + groups / shards as f64)
            };
            let overlap = |shard| {
                let ((from, to), (new_from, new_to)) = (range(shard, n), range(shard, m));
                (to.min(new_to) - from.max(new_from)).max(0.0)
            };
            let most: f64 = (0..n.min(m)).map(overlap).sum();
            assert!((kept as f64 - most).abs() <= n.max(m) as f64, "{n} to {m}: {kept}, {most}");
            assert!(n != m || kept == KEY_GROUPS);
            for shard in 0..m {
                let given = before.iter().zip(&after).filter(|(_, after)| **after == shard);
                let mut givers: Vec<_> = given.map(|(before, _)| *before).collect();
                givers.dedup();
                assert!(givers.len() <= n / m + 2, "{n} to {m}: {shard} of {givers:?}");
            }
        }
    }
}
