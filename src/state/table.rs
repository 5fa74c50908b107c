//! The keyed state table of the hot path.
//!
//! Extendible hashing (Fagin, Nievergelt, Pippenger, Strong, "Extendible Hashing - A Fast Access
//! Method for Dynamic Files", TODS 1979) in memory: a directory, indexed by the top bits of the
//! hash, points to sub-tables of a few hundred slots. A sub-table that fills up splits in two by
//! the next bit of the hash; the others stay as they are. When a sub-table is as deep as the
//! directory, the directory doubles, which copies pointers and no keys. So no insertion ever pays
//! for a rehash of the whole table: the worst one pays for a split (a few microseconds), now and
//! then with a doubling.
//!
//! Inside a sub-table, one-byte tags are compared sixteen at a time, as in Swiss tables; see
//! [`tags`](super::tags). Different bits of the hash serve different ends: the top ones the
//! directory, bits 4 to 7 the home group in the sub-table, bits 8 to 14 the tag.
//!
//! Keys that share too many hash bits to be told apart (an attack, or a broken [`Key::mix`]) must
//! not blow up the directory. Beyond 65 536 entries it may be at most eight times as long as there
//! are sub-tables; where a split would need more, the sub-table gets an overflow link instead. Such
//! keys are slow, as slow as a list of sub-tables, and memory stays linear in the number of keys.

mod arena;
mod batch;
mod frozen;
mod notes;
mod stored;
mod sub;
#[cfg(test)]
mod tests;
mod walk;

pub use batch::TOGETHER;
pub use walk::Cursor;

use super::key::{Key, hash};
use super::value::State;
use crate::memory::Copied;
use arena::Arena;
use core::fmt;
use core::ptr::NonNull;
use frozen::Apart;
use notes::Notes;
use sub::{Slot, Sub};

/// How many directory entries there may be for each sub-table.
const SPREAD: usize = 8;

/// How many there may be in any case: 512 KiB of them, enough for some ten million keys.
///
/// Keys that come in the order of their hashes, out of another table, fill sub-tables at the full
/// depth while there are few of them.
const SPREAD_FROM: usize = 1 << 16;

/// State per key, for one shard: grows without ever stopping to rehash.
///
/// ```
/// # use millstream::state::Table;
/// let mut table = Table::<u64, u32>::new(1);
/// *table.entry(7) += 3;
/// assert_eq!(table.get(7), Some(&3));
/// ```
pub struct Table<K, V> {
    /// Two to the power of the global depth pointers; at least two.
    directory: Vec<Sub<K, V>>,
    /// 64 less the global depth: shifts a hash down to an index into the directory.
    shift: u32,
    /// Calls of `grow` so far: a change means that keys may have moved.
    grown: u64,
    /// Splits so far.
    splits: usize,
    /// Links behind the heads of chains, in all.
    links: usize,
    len: usize,
    seed: u64,
    arena: Arena<K, V>,
    /// While it is copied behind a barrier, or waits for what was.
    apart: Option<Box<Apart<K, V>>>,
    /// Memory for the next time.
    notes: Notes<K, V>,
    /// The last copy, if nothing has changed since.
    copied: Option<Copied>,
}

// SAFETY: the raw pointers lead only into memory that the table owns, and nothing else keeps them.
unsafe impl<K: Send, V: Send> Send for Table<K, V> {}

impl<K, V> fmt::Debug for Table<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("len", &self.len).finish_non_exhaustive()
    }
}

impl<K: Key, V: State> Table<K, V> {
    /// An empty table. Allocates one sub-table: `K` and `V` times 256, and 320 bytes.
    ///
    /// Tables with the same seed and the same history have the same order of keys.
    pub fn new(seed: u64) -> Self {
        // A small seed would leave the hashes of small keys in a pattern.
        Self::with_mixed_seed(hash(seed, 0x2545_f491_4f6c_dd1d))
    }

    fn with_mixed_seed(seed: u64) -> Self {
        let mut arena = Arena::new();
        let directory = vec![arena.take(0); 2];
        let (grown, splits, links, len, apart, copied) = Default::default();
        let notes = Notes::default();
        Self { directory, shift: 63, grown, splits, links, len, seed, arena, apart, notes, copied }
    }

    /// One without keys, which has the seed of this one.
    pub fn empty(&self) -> Self {
        Self::with_mixed_seed(self.seed)
    }

    /// How many keys it holds. O(1).
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds no key. O(1).
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The memory it holds on the heap, in bytes; never less than before. O(1).
    pub fn bytes(&self) -> usize {
        let directory = self.directory.capacity() * size_of::<Sub<K, V>>();
        self.arena.bytes() + directory + self.notes.bytes()
    }

    /// Splits ahead for `keys` keys, so that few or none of them meet a split later.
    ///
    /// O(keys): splits sub-tables until there is one for every 160 keys (fewer if slots are large).
    pub fn reserve(&mut self, keys: usize) {
        let tables = keys.div_ceil(Sub::<K, V>::SLOTS * 5 / 8);
        for depth in 0..tables.next_power_of_two().trailing_zeros() {
            let step = 1u64 << (63 - depth);
            for prefix in 0..1u64 << depth {
                let hash = prefix * 2 * step;
                if self.head(hash).depth() == depth {
                    self.grow(hash);
                }
            }
        }
    }

    /// The state of a key. O(1).
    #[inline]
    pub fn get(&self, key: K) -> Option<&V> {
        let slot = self.find(hash(key, self.seed), key)?;
        // SAFETY: the slot is full and in this table, which is borrowed.
        Some(unsafe { &(*slot.as_ptr()).value })
    }

    /// The state of a key, to change it. O(1).
    #[inline(always)]
    pub fn get_mut(&mut self, key: K) -> Option<&mut V> {
        let hash = hash(key, self.seed);
        let slot = self.find(hash, key)?;
        self.touch_slot(hash, slot);
        // SAFETY: the slot is full and in this table, which is borrowed mutably.
        Some(unsafe { &mut (*slot.as_ptr()).value })
    }

    /// The state of a key, to change it; a new key starts with the default.
    ///
    /// O(1) amortised, and at worst one split (a few microseconds) and one copy of the directory.
    #[inline]
    pub fn entry(&mut self, key: K) -> &mut V {
        let slot = self.find_or_add(hash(key, self.seed), key);
        // SAFETY: the slot is full and in this table, which is borrowed mutably.
        unsafe { &mut (*slot.as_ptr()).value }
    }

    /// Takes a key out and returns its state. O(1); leaves no tombstone behind.
    pub fn remove(&mut self, key: K) -> Option<V> {
        let hash = hash(key, self.seed);
        let mut link = Some(self.head(hash));
        while let Some(sub) = link {
            if let Some(at) = sub.find(hash, key) {
                self.touch(hash);
                self.len -= 1;
                return Some(sub.remove(at, self.seed));
            }
            link = sub.next();
        }
        None
    }

    /// The sub-table, or the head of the chain of them, for a hash.
    #[inline(always)]
    fn head(&self, hash: u64) -> Sub<K, V> {
        let index = (hash >> self.shift) as usize;
        debug_assert!(index < self.directory.len());
        // SAFETY: the directory has 2^(64 - shift) entries.
        unsafe { *self.directory.get_unchecked(index) }
    }

    #[inline(always)]
    fn find(&self, hash: u64, key: K) -> Option<NonNull<Slot<K, V>>> {
        let mut sub = self.head(hash);
        loop {
            if let Some(at) = sub.find(hash, key) {
                return Some(sub.slot(at));
            }
            sub = sub.next()?;
        }
    }

    /// The slot of a key, to change it.
    #[inline]
    fn find_or_add(&mut self, hash: u64, key: K) -> NonNull<Slot<K, V>> {
        match self.find(hash, key) {
            Some(slot) => {
                self.touch_slot(hash, slot);
                slot
            }
            None => {
                self.touch(hash);
                self.add(hash, key)
            }
        }
    }

    /// Adds a key that is not in the table.
    fn add(&mut self, hash: u64, key: K) -> NonNull<Slot<K, V>> {
        let slot = Slot { key, value: V::default() };
        loop {
            let mut link = Some(self.head(hash));
            while let Some(sub) = link {
                if let Some(slot) = sub.add(hash, slot) {
                    self.len += 1;
                    return slot;
                }
                link = sub.next();
            }
            self.grow(hash);
        }
    }

    /// Makes room where `hash` belongs: splits, or adds a link where that is no use.
    #[cold]
    fn grow(&mut self, hash: u64) {
        self.touch(hash);
        self.grown += 1;
        let head = self.head(hash);
        if head.depth() < 64 - self.shift {
            self.split(hash, head);
        } else if self.may_double() {
            self.double();
            self.split(hash, head);
        } else {
            self.add_link(head);
        }
    }

    /// Puts an empty link behind `sub`, ahead of those already there.
    fn add_link(&mut self, sub: Sub<K, V>) -> Sub<K, V> {
        let link = self.arena.take(sub.depth());
        link.set_next(sub.next());
        sub.set_next(Some(link));
        self.links += 1;
        link
    }

    /// Whether the directory may double: it must stay in proportion to the sub-tables (there is
    /// one more than there were splits) and off the low bits of the hash.
    fn may_double(&self) -> bool {
        let most = SPREAD_FROM.max(SPREAD * (self.splits + 1));
        self.directory.len() * 2 <= most && self.shift > Sub::<K, V>::LOW_BITS
    }

    /// Doubles the directory. O(its length), in pointers.
    fn double(&mut self) {
        let old = self.directory.len();
        self.directory.resize(old * 2, self.directory[0]);
        for index in (0..old).rev() {
            let sub = self.directory[index];
            self.directory[2 * index] = sub;
            self.directory[2 * index + 1] = sub;
        }
        self.shift -= 1;
    }

    /// Splits the chain of `head`, to which `hash` belongs, by the next bit of the hashes.
    fn split(&mut self, hash: u64, head: Sub<K, V>) {
        let depth = head.depth();
        let halves = [self.arena.take(depth + 1), self.arena.take(depth + 1)];
        let mut link = Some(head);
        while let Some(sub) = link {
            link = sub.next();
            self.share_out(sub, halves);
        }
        let span = self.directory.len() >> (depth + 1);
        let first = (hash >> self.shift) as usize & !(2 * span - 1);
        self.directory[first..first + span].fill(halves[0]);
        self.directory[first + span..first + 2 * span].fill(halves[1]);
        self.splits += 1;
        if let Some(next) = head.next() {
            self.give_chain(next);
        }
        self.arena.give(head);
    }

    /// Hands the links from `link` on back to the arena, with their keys.
    fn give_chain(&mut self, link: Sub<K, V>) {
        let mut next = Some(link);
        while let Some(link) = next {
            next = link.next();
            self.arena.give(link);
            self.links -= 1;
        }
    }

    /// Copies the keys of `sub` into the half each belongs to.
    fn share_out(&mut self, sub: Sub<K, V>, halves: [Sub<K, V>; 2]) {
        let (seed, bit) = (self.seed, 63 - halves[0].depth() + 1);
        sub.visit(&mut 0, &mut usize::MAX.clone(), &mut |key, value| {
            let hash = hash(key, seed);
            let mut half = halves[(hash >> bit) as usize & 1];
            let slot = Slot { key, value: *value };
            while half.add(hash, slot).is_none() {
                half = half.next().unwrap_or_else(|| self.add_link(half));
            }
        });
    }
}
