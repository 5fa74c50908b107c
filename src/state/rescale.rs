//! State that moves to another number of shards.

use crate::memory::EachBulk;
use crate::state::{Cursor, KEY_GROUPS, Key, State, Stored, Table, hash, key_group, owner};
use crate::time::TimerWheel;

/// A restore onto another number of shards, as one of them sees it.
///
/// ```
/// use millstream::state::Rescale;
/// let to = |shard| Rescale { shard, shards: 3, before: 2, hash_seed: 7 };
/// let owners = (0..3).filter(|shard| to(*shard).owns(42u64));
/// assert_eq!(owners.count(), 1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rescale {
    /// The shard that is restored.
    pub shard: usize,
    /// How many there are now.
    pub shards: usize,
    /// How many there were.
    pub before: usize,
    /// The [`Config::hash_seed`](crate::Config::hash_seed), which decides who owns which key.
    pub hash_seed: u64,
}

impl Rescale {
    /// Whether the key belongs to the shard now.
    #[inline]
    pub fn owns<K: Key>(&self, key: K) -> bool {
        owner(key_group(hash(key, self.hash_seed)), self.shards) == self.shard
    }

    /// Whether what a shard that there was held of no key falls to this one: what waited there, and
    /// what it had to show. All of it goes to one shard.
    pub fn follows(&self, shard: usize) -> bool {
        shard % self.shards == self.shard
    }

    /// Whether a shard that there was owned a key that belongs to this one now.
    pub fn takes_from(&self, shard: usize) -> bool {
        let mut groups = 0..KEY_GROUPS;
        groups.any(|it| owner(it, self.before) == shard && owner(it, self.shards) == self.shard)
    }
}

/// State by key that can move to another number of shards.
pub trait Rescaled: Stored {
    /// Shows what of it may be large, as the operator shows it that holds it.
    fn bulk(&mut self, each: &mut EachBulk<'_>);

    /// What belongs to one shard of what others held, of which there is at least one.
    ///
    /// # Errors
    /// Why it cannot be.
    fn rescaled(from: Vec<Self>, to: &Rescale) -> Result<Self, String>;
}

impl<K: Key, V: State> Table<K, V> {
    /// Takes over from another table the keys that are to be here, with their values, once `each`
    /// has made good what they say of the place where they were.
    pub(crate) fn take_over(
        &mut self,
        other: &Self,
        is_here: impl Fn(K) -> bool,
        mut each: impl FnMut(K, &mut V),
    ) {
        self.take(other, &is_here, &mut |key, value, _| each(key, value));
    }

    /// Takes over from another table the keys that are to be here; `combine` adds to a value that
    /// is here already what the other table has of the key.
    pub(crate) fn merge(
        &mut self,
        other: &Self,
        is_here: impl Fn(K) -> bool,
        mut combine: impl FnMut(&mut V, &V),
    ) {
        self.take(other, &is_here, &mut |_, value, here| {
            if let Some(mut here) = here {
                combine(&mut here, value);
                *value = here;
            }
        });
    }

    /// What is called is not known here, so that it is compiled once for a table, whoever has it.
    fn take(
        &mut self,
        other: &Self,
        is_here: &dyn Fn(K) -> bool,
        each: &mut dyn FnMut(K, &mut V, Option<V>),
    ) {
        other.visit(&mut Cursor::default(), usize::MAX, |key, value| {
            if is_here(key) {
                let mut value = *value;
                each(key, &mut value, self.get(key).copied());
                *self.entry(key) = value;
            }
        });
    }
}

impl<K: Key, V: State> Rescaled for Table<K, V> {
    fn bulk(&mut self, each: &mut EachBulk<'_>) {
        each(self);
    }

    fn rescaled(from: Vec<Self>, to: &Rescale) -> Result<Self, String> {
        let mut table = from.first().ok_or("there was no table")?.empty();
        let mut twice = false;
        for other in &from {
            table.merge(other, |key| to.owns(key), |_, _| twice = true);
        }
        match twice {
            true => Err("several shards have state of the same key".to_owned()),
            false => Ok(table),
        }
    }
}

impl<K: Key, T: Clone + Stored> Rescaled for TimerWheel<(K, T)> {
    fn bulk(&mut self, each: &mut EachBulk<'_>) {
        TimerWheel::bulk(self, each);
    }

    /// Timers of the same time keep the order in which they were set on their shard. How many there
    /// may be is not looked at.
    fn rescaled(from: Vec<Self>, to: &Rescale) -> Result<Self, String> {
        let mut wheel = from.first().ok_or("there was no wheel")?.empty();
        for other in from {
            for (at, (key, what)) in other.in_order_set() {
                if to.owns(key) && wheel.set(at, (key, what)).is_err() {
                    return Err("more timers than one shard can hold".to_owned());
                }
            }
        }
        Ok(wheel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_has_one_place_and_keeps_its_value() {
        for (before, shards) in [(1, 3), (3, 1), (2, 5), (5, 2), (4, 4)] {
            let to = |shard, shards| Rescale { shard, shards, before, hash_seed: 9 };
            let held = |shard| {
                let mut table = Table::<u32, u64>::new(9);
                let keys = (0..5_000).filter(|key| to(shard, before).owns(*key));
                keys.for_each(|key| *table.entry(key) = u64::from(key) * 3);
                table
            };
            let mut seen = vec![0; 5_000];
            for shard in 0..shards {
                let to = to(shard, shards);
                let from = (0..before).filter(|it| to.takes_from(*it)).map(held).collect();
                let table = Table::rescaled(from, &to).unwrap();
                table.visit(&mut Cursor::default(), usize::MAX, |key, value| {
                    seen[key as usize] += 1;
                    assert_eq!(*value, u64::from(key) * 3);
                });
            }
            assert!(seen.iter().all(|times| *times == 1), "{before} to {shards}");
        }
    }
}
