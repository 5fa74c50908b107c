//! Updating many keys at once, with the cache misses of different keys overlapped.

use super::super::key::{Key, hash};
use super::super::tags::GROUP;
use super::super::value::State;
use super::Table;
use super::sub::{LINE, Slot, Sub};
use crate::memory::prefetch;
use core::mem::MaybeUninit;
use core::ptr::NonNull;

/// Records whose cache misses overlap: enough to cover the way to memory, few enough that the
/// lines prefetched first are still in the first-level cache when they are used.
pub const TOGETHER: usize = 64;

/// What the passes over a group of records hand on: small, on the stack, never zeroed.
///
/// Each pass writes, or has had written, the first `count` of each; the loops go by index, since
/// zipped iterators cost as many instructions a record as a pass itself.
struct Scratch<K, V> {
    /// The low bits of the hashes: home group and tag.
    lows: [MaybeUninit<u16>; TOGETHER],
    heads: [MaybeUninit<Sub<K, V>>; TOGETHER],
    /// The slot for the key, if all goes well: the first slot of the home group whose tag fits,
    /// else the first that is empty, else any.
    slots: [MaybeUninit<u8>; TOGETHER],
}

impl<K: Key, V: State> Table<K, V> {
    /// Updates the state of `keys[i]` with `records[i]`, for all `i` in order.
    ///
    /// Does exactly what `each(table.entry(keys[i]), &records[i])` in a loop would do, but looks
    /// ahead: up to 64 keys are hashed and their tags and slots prefetched before the first of
    /// them is updated. If one slice is longer, the rest of it is left alone. O(1) amortised a
    /// record; a few nanoseconds while the table fits the caches. No allocation unless it grows.
    #[inline]
    pub fn update_batch<T>(&mut self, records: &[T], keys: &[K], mut each: impl FnMut(&mut V, &T)) {
        debug_assert_eq!(records.len(), keys.len());
        for (records, keys) in records.chunks(TOGETHER).zip(keys.chunks(TOGETHER)) {
            let count = records.len().min(keys.len());
            self.copied = None;
            let done = match (self.links, self.apart.is_some()) {
                (0, false) => {
                    self.update_some::<T, false>(&records[..count], &keys[..count], &mut each)
                }
                (0, true) => self.update_apart(&records[..count], &keys[..count], &mut each),
                _ => 0,
            };
            if done < count {
                self.update_plainly(&records[done..count], &keys[done..count], &mut each);
            }
        }
    }

    /// Starts loading what it takes to look up these keys, for callers that look them up one by
    /// one soon after: at most 64 of them, or the first are gone again before they are used.
    ///
    /// Changes nothing but the caches. A few nanoseconds a key.
    #[inline]
    pub fn warm(&self, keys: &[K]) {
        assert!(keys.len() <= TOGETHER);
        let mut scratch = Scratch::new();
        let keys = &keys[..keys.len().min(TOGETHER)];
        self.locate(keys, &mut scratch);
        scratch.match_tags(keys.len());
    }

    /// Looks up keys, as `get` would one by one, but looks ahead: their cache misses overlap. Calls
    /// `found` with the place of each among them and its state, in order: at most 64 of them.
    #[inline]
    pub fn get_batch<'a>(&'a self, keys: &[K], mut found: impl FnMut(usize, Option<&'a V>)) {
        assert!(keys.len() <= TOGETHER);
        let mut scratch = Scratch::new();
        self.locate(keys, &mut scratch);
        scratch.match_tags(keys.len());
        for (i, &key) in keys.iter().enumerate() {
            // SAFETY: passes 1 and 2 wrote as many of these as there are keys.
            let (sub, at) = unsafe {
                (scratch.heads[i].assume_init(), usize::from(scratch.slots[i].assume_init()))
            };
            let state = if sub.holds(at, key) {
                // SAFETY: the slot is full and in this table, which is borrowed.
                Some(unsafe { &(*sub.slot(at).as_ptr()).value })
            } else if sub.is_full(at) || self.links > 0 {
                self.get(key)
            } else {
                // An empty candidate: no tag of the home group fitted, and there is room in it.
                None
            };
            found(i, state);
        }
    }

    /// Record by record: for a table with overflow links, and after a split.
    #[cold]
    fn update_plainly<T>(&mut self, records: &[T], keys: &[K], each: &mut impl FnMut(&mut V, &T)) {
        for (record, &key) in records.iter().zip(keys) {
            each(self.entry(key), record);
        }
    }

    /// The same as [`update_some`](Self::update_some), while the table is copied behind a barrier.
    #[inline(never)]
    fn update_apart<T>(
        &mut self,
        records: &[T],
        keys: &[K],
        each: &mut impl FnMut(&mut V, &T),
    ) -> usize {
        self.update_some::<T, true>(records, keys, each)
    }

    /// One group of at most `TOGETHER` records, in three passes; says how many it got done. Before
    /// it changes something that `IS_APART`, that is noted or copied.
    #[inline(always)]
    fn update_some<T, const IS_APART: bool>(
        &mut self,
        records: &[T],
        keys: &[K],
        each: &mut impl FnMut(&mut V, &T),
    ) -> usize {
        let mut scratch = Scratch::new();
        let count = records.len().min(keys.len()).min(TOGETHER);
        self.locate(&keys[..count], &mut scratch);
        scratch.match_tags(count);
        if IS_APART {
            scratch.prefetch_heads(count);
        }
        self.apply::<T, IS_APART>(&records[..count], &keys[..count], &scratch, each)
    }

    /// Pass 1, for at most `TOGETHER` keys: hash, look up the directory, prefetch the tags.
    #[inline(always)]
    #[expect(clippy::needless_range_loop)] // So the compiler sees that no index is out of bounds.
    fn locate(&self, keys: &[K], scratch: &mut Scratch<K, V>) {
        assert!(keys.len() <= TOGETHER);
        for i in 0..keys.len() {
            let hash = hash(keys[i], self.seed);
            let sub = self.head(hash);
            prefetch(sub.tags_at(Sub::<K, V>::home(hash)));
            scratch.lows[i].write(hash as u16);
            scratch.heads[i].write(sub);
        }
    }

    /// Pass 3: check the key and update, or settle where the key belongs.
    ///
    /// Only growth moves keys; after it the candidates may point at old copies, so the rest of the
    /// group is left to the caller.
    #[inline(always)]
    fn apply<T, const IS_APART: bool>(
        &mut self,
        records: &[T],
        keys: &[K],
        scratch: &Scratch<K, V>,
        each: &mut impl FnMut(&mut V, &T),
    ) -> usize {
        assert!(records.len() == keys.len() && keys.len() <= TOGETHER);
        let grown = self.grown;
        for i in 0..records.len() {
            let (key, record) = (keys[i], &records[i]);
            // SAFETY: passes 1 and 2 wrote as many of these as there are keys, and so records.
            let (sub, at) =
                unsafe { (scratch.heads[i].assume_init(), scratch.slots[i].assume_init()) };
            if sub.holds(at.into(), key) {
                let slot = sub.slot(at.into());
                if IS_APART {
                    self.touch_slot(hash(key, self.seed), slot);
                }
                // SAFETY: the slot is full and in this table, which is borrowed mutably.
                each(unsafe { &mut (*slot.as_ptr()).value }, record);
                continue;
            }
            let slot = match IS_APART {
                true => self.find_or_add(hash(key, self.seed), key),
                false => self.settle(sub, at.into(), key),
            };
            // SAFETY: as above.
            each(unsafe { &mut (*slot.as_ptr()).value }, record);
            if self.grown != grown {
                return i + 1;
            }
        }
        records.len()
    }

    /// Finds or adds a key that its candidate slot does not hold, in a table without links.
    ///
    /// A candidate that was and still is empty can have the key: none of the tags in the home
    /// group fitted, and with room there the key is nowhere else, nor was it added since, which
    /// would have filled this very slot. The tag has been read again since pass 2, so a slot that
    /// an earlier record of the group has filled is seen to be full. Keys that come in the order of
    /// their hashes, as out of another table, all have the same candidate then: the next empty slot
    /// of the home group will do, if still no tag there fits.
    #[inline(always)]
    fn settle(&mut self, sub: Sub<K, V>, at: usize, key: K) -> NonNull<Slot<K, V>> {
        let hash = hash(key, self.seed);
        let mut place = at;
        if sub.is_full(at) {
            let home = Sub::<K, V>::home(hash);
            let tags = sub.tags(home);
            match tags.empty().next() {
                Some(free) if tags.matching(Sub::<K, V>::tag(hash)).0 == 0 => {
                    place = home * GROUP + free;
                }
                _ => return self.find_or_add(hash, key),
            }
        }
        self.len += 1;
        sub.put(place, hash, Slot { key, value: V::default() })
    }
}

impl<K: Key, V: State> Scratch<K, V> {
    /// Nothing written yet.
    #[inline(always)]
    const fn new() -> Self {
        Self {
            lows: [const { MaybeUninit::uninit() }; TOGETHER],
            heads: [const { MaybeUninit::uninit() }; TOGETHER],
            slots: [const { MaybeUninit::uninit() }; TOGETHER],
        }
    }

    /// Starts loading what notes are found by.
    #[inline(always)]
    fn prefetch_heads(&self, count: usize) {
        for head in &self.heads[..count] {
            // SAFETY: pass 1 wrote as many of these as there are keys.
            unsafe { head.assume_init() }.prefetch_head();
        }
    }

    /// Pass 2: match the tags, prefetch the slot that will be needed. No branches.
    #[inline(always)]
    fn match_tags(&mut self, count: usize) {
        const { assert!(Sub::<K, V>::SLOTS <= 256 && Sub::<K, V>::LOW_BITS <= u16::BITS) };
        for i in 0..count {
            // SAFETY: pass 1 wrote as many of these as there are keys.
            let (low, sub) = unsafe { (self.lows[i].assume_init(), self.heads[i].assume_init()) };
            let low = u64::from(low);
            let home = Sub::<K, V>::home(low);
            let tags = sub.tags(home);
            let fitting = tags.matching(Sub::<K, V>::tag(low)).0;
            let first = (fitting | tags.empty().0 << GROUP).trailing_zeros() as usize;
            let at = home * GROUP + first % GROUP;
            let first_byte = sub.slot(at).as_ptr().cast::<u8>();
            prefetch(first_byte);
            if !LINE.is_multiple_of(size_of::<Slot<K, V>>().max(1)) {
                prefetch(first_byte.wrapping_add(size_of::<Slot<K, V>>() - 1));
            }
            self.slots[i].write(at as u8);
        }
    }
}
