//! One fixed-capacity piece of a table: tags, a head, slots.
//!
//! A sub-table is `GROUPS` groups of sixteen slots. A key's home group comes from the low bits of
//! its hash; a full group passes the key on to the next. That gives the one rule that probing
//! rests on: *every group between a key's home and the group it sits in is full*. A look-up may
//! stop at the first group with an empty slot.

use super::super::key::{Key, hash};
use super::super::tags::{EMPTY, GROUP, Slots, Tags, tag};
use super::super::value::State;
use super::notes::Noted;
use crate::memory::prefetch;
use core::marker::PhantomData;
use core::ptr::NonNull;

/// A key and its value, side by side.
#[derive(Clone, Copy)]
pub struct Slot<K, V> {
    pub key: K,
    pub value: V,
}

/// What a sub-table knows about itself; has a cache line of its own after the tags.
pub struct Head<K, V> {
    /// The next link of an overflow chain, or of the free list.
    pub next: Option<Sub<K, V>>,
    /// How many leading hash bits all keys here share.
    pub depth: u32,
    /// What was noted of the chain that it is the head of.
    pub noted: Noted,
}

/// Bytes in a cache line.
pub const LINE: usize = 64;

/// A pointer to a sub-table.
///
/// Invariant of the type, on which every `SAFETY` below leans: an arena made it, so it points to
/// `BYTES` bytes with initialised tags and head; the arena outlives it because it is a private
/// field of the same table; a slot is initialised when its tag is not `EMPTY`. Memory is only
/// reached through these raw pointers, under the table's `&self` or `&mut self`.
pub struct Sub<K, V> {
    base: NonNull<u8>,
    of: PhantomData<*mut Slot<K, V>>,
}

impl<K, V> Clone for Sub<K, V> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for Sub<K, V> {}

impl<K, V> PartialEq for Sub<K, V> {
    /// Whether it is the same piece of memory.
    fn eq(&self, other: &Self) -> bool {
        self.base == other.base
    }
}

impl<K, V> Sub<K, V> {
    /// Groups: fewer for large slots, so that a split copies at most some 20 KiB per side.
    const GROUPS: usize = match size_of::<Slot<K, V>>() {
        0..=64 => 16,
        65..=192 => 8,
        _ => 4,
    };
    /// Slots.
    pub const SLOTS: usize = Self::GROUPS * GROUP;
    /// Keys at which a sub-table counts as full: 7/8 of the slots.
    pub const LIMIT: usize = Self::SLOTS / 8 * 7;
    /// Alignment, in bytes.
    pub const ALIGN: usize =
        if align_of::<Slot<K, V>>() > LINE { align_of::<Slot<K, V>>() } else { LINE };
    /// Where the slots start, in bytes.
    const FIRST: usize = (Self::SLOTS + LINE).next_multiple_of(Self::ALIGN);
    /// Size in bytes; an odd number of lines, so that sub-tables do not fight for cache sets.
    pub const BYTES: usize =
        (Self::FIRST + Self::SLOTS * size_of::<Slot<K, V>>()).next_multiple_of(Self::ALIGN);
    /// Low hash bits used by home and tag; the directory must stay above them.
    pub const LOW_BITS: u32 = 15;

    /// Makes an empty sub-table in fresh memory.
    ///
    /// # Safety
    /// `base` must point to `BYTES` bytes aligned to `ALIGN`, used by nothing else, that stay
    /// allocated as long as any copy of the result is used.
    pub unsafe fn new(base: NonNull<u8>, depth: u32) -> Self {
        let sub = Self { base, of: PhantomData };
        sub.reset(depth);
        sub
    }

    /// Empties it: writes tags and head. `SLOTS` bytes of work.
    pub fn reset(self, depth: u32) {
        // SAFETY: the tags and the head lie within the sub-table and are aligned for it.
        unsafe {
            self.base.write_bytes(EMPTY, Self::SLOTS);
            self.head().write(Head { next: None, depth, noted: Noted::default() });
        }
    }

    #[inline(always)]
    fn head(self) -> NonNull<Head<K, V>> {
        // SAFETY: the head lies after the tags, within the sub-table.
        unsafe { self.base.add(Self::SLOTS).cast() }
    }

    /// Counts the full slots. Reads all tags: some 20 ns.
    pub fn count(self) -> usize {
        (0..Self::GROUPS / 4)
            .map(|four| {
                let bits = |n: usize| u64::from(self.tags(four * 4 + n).full().0) << (16 * n);
                (bits(0) | bits(1) | bits(2) | bits(3)).count_ones() as usize
            })
            .sum()
    }

    /// How many leading hash bits all keys here share.
    #[inline(always)]
    pub fn depth(self) -> u32 {
        // SAFETY: the head is initialised.
        unsafe { (*self.head().as_ptr()).depth }
    }

    /// What was noted of the chain that it is the head of.
    #[inline(always)]
    pub fn noted(self) -> Noted {
        // SAFETY: the head is initialised.
        unsafe { (*self.head().as_ptr()).noted }
    }

    /// Sets what was noted.
    #[inline(always)]
    pub fn set_noted(self, noted: Noted) {
        // SAFETY: the head is initialised.
        unsafe { (*self.head().as_ptr()).noted = noted }
    }

    /// Starts loading the head.
    #[inline(always)]
    pub fn prefetch_head(self) {
        prefetch(self.head().as_ptr().cast::<u8>());
    }

    /// The next link.
    #[inline(always)]
    pub fn next(self) -> Option<Self> {
        // SAFETY: the head is initialised.
        unsafe { (*self.head().as_ptr()).next }
    }

    /// Sets the next link.
    pub fn set_next(self, next: Option<Self>) {
        // SAFETY: the head is initialised.
        unsafe { (*self.head().as_ptr()).next = next }
    }

    /// The slot at `at`, below `SLOTS`; it need not be full.
    #[inline(always)]
    pub fn slot(self, at: usize) -> NonNull<Slot<K, V>> {
        debug_assert!(at < Self::SLOTS);
        // SAFETY: the slots lie within the sub-table, and FIRST is a multiple of their alignment.
        unsafe { self.base.add(Self::FIRST).cast::<Slot<K, V>>().add(at) }
    }

    /// The home group of a hash: from bit 4 on, so that one mask gives where its tags start.
    #[inline(always)]
    pub fn home(hash: u64) -> usize {
        (hash >> 4) as usize % Self::GROUPS
    }

    /// The tag of a hash: bits 8 to 14, which neither the home nor the directory uses.
    #[inline(always)]
    pub fn tag(hash: u64) -> u8 {
        tag(hash >> 8)
    }

    /// Where the tags of a group lie, to prefetch them.
    #[inline(always)]
    pub fn tags_at(self, group: usize) -> *mut [u8; GROUP] {
        debug_assert!(group < Self::GROUPS);
        // SAFETY: the tags lie at the start of the sub-table.
        unsafe { self.base.add(group * GROUP).cast().as_ptr() }
    }

    /// The tags of a group.
    #[inline(always)]
    pub fn tags(self, group: usize) -> Tags {
        // SAFETY: the tags are initialised, and nothing writes them during the load.
        Tags::load(unsafe { &*self.tags_at(group) })
    }

    /// Whether the slot at `at` holds something.
    #[inline(always)]
    pub fn is_full(self, at: usize) -> bool {
        debug_assert!(at < Self::SLOTS);
        // SAFETY: the tag lies within the sub-table and is initialised.
        unsafe { self.base.add(at).read() != EMPTY }
    }

    #[inline(always)]
    fn set_tag(self, at: usize, tag: u8) {
        debug_assert!(at < Self::SLOTS);
        // SAFETY: the tag lies within the sub-table.
        unsafe { self.base.add(at).write(tag) }
    }
}

impl<K: Key, V: State> Sub<K, V> {
    /// Finds a key: where it sits.
    #[inline(always)]
    pub fn find(self, hash: u64, key: K) -> Option<usize> {
        for distance in 0..Self::GROUPS {
            let group = (Self::home(hash) + distance) % Self::GROUPS;
            let tags = self.tags(group);
            for slot in tags.matching(Self::tag(hash)) {
                let at = group * GROUP + slot;
                // SAFETY: the tag fits, so it is not EMPTY, and the slot is initialised.
                if unsafe { (*self.slot(at).as_ptr()).key == key } {
                    return Some(at);
                }
            }
            if tags.empty().0 != 0 {
                return None;
            }
        }
        None
    }

    /// Adds a key that is not here yet, unless its home group is full and the sub-table has
    /// reached its limit.
    #[inline(always)]
    pub fn add(self, hash: u64, slot: Slot<K, V>) -> Option<NonNull<Slot<K, V>>> {
        for distance in 0..Self::GROUPS {
            let group = (Self::home(hash) + distance) % Self::GROUPS;
            if let Some(free) = self.tags(group).empty().next() {
                let at = group * GROUP + free;
                return Some(self.put(at, hash, slot));
            }
            if distance == 0 && self.count() >= Self::LIMIT {
                return None;
            }
        }
        None
    }

    /// Fills the slot at `at`.
    #[inline(always)]
    pub fn put(self, at: usize, hash: u64, slot: Slot<K, V>) -> NonNull<Slot<K, V>> {
        self.set_tag(at, Self::tag(hash));
        // SAFETY: the slot lies within the sub-table; this initialises it.
        unsafe { self.slot(at).write(slot) };
        self.slot(at)
    }

    /// Whether the slot at `at` holds `key`.
    #[inline(always)]
    pub fn holds(self, at: usize, key: K) -> bool {
        // SAFETY: a full slot is initialised.
        self.is_full(at) && unsafe { (*self.slot(at).as_ptr()).key == key }
    }

    /// Removes the key at `at`, which is full, and leaves no tombstone.
    ///
    /// A hole in a group that was not full harms nobody: by the rule above no key has passed it.
    /// A hole in a full group is filled with a key that did pass this group, if there is one, and
    /// the hole moves to where that key sat; this goes on up to a group that is not full.
    pub fn remove(self, at: usize, seed: u64) -> V {
        let mut hole = at;
        // SAFETY: the caller says the slot is full.
        let value = unsafe { self.slot(at).read().value };
        while let Some(from) = self.passer(hole / GROUP, seed) {
            // SAFETY: both slots lie within the sub-table, are different and full.
            unsafe { self.slot(from).copy_to_nonoverlapping(self.slot(hole), 1) };
            // SAFETY: the tag lies within the sub-table.
            self.set_tag(hole, unsafe { self.base.add(from).read() });
            hole = from;
        }
        self.set_tag(hole, EMPTY);
        value
    }

    /// A key beyond `group` that passed it because it was full, nearest group first.
    fn passer(self, group: usize, seed: u64) -> Option<usize> {
        for distance in 1..Self::GROUPS {
            if self.tags((group + distance - 1) % Self::GROUPS).empty().0 != 0 {
                break;
            }
            let there = (group + distance) % Self::GROUPS;
            for slot in self.tags(there).full() {
                let at = there * GROUP + slot;
                let home = Self::home(hash(self.read(at).key, seed));
                if (there + Self::GROUPS - home) % Self::GROUPS >= distance {
                    return Some(at);
                }
            }
        }
        None
    }

    /// Copies out a slot that is full.
    #[inline(always)]
    pub fn read(self, at: usize) -> Slot<K, V> {
        // SAFETY: the caller says the slot is full, so it is initialised.
        unsafe { self.slot(at).read() }
    }

    /// The first full slot at `from` or behind it.
    #[inline]
    pub fn full_from(self, from: usize) -> Option<usize> {
        (from / GROUP..Self::GROUPS).find_map(|group| {
            let seen = from.saturating_sub(group * GROUP);
            let full = self.tags(group).full().0 & (u32::MAX << seen);
            (full != 0).then(|| group * GROUP + full.trailing_zeros() as usize)
        })
    }

    /// Whether `keep` says yes to the slot at `at`, which is full.
    #[inline]
    pub fn is_kept(self, at: usize, keep: &mut impl FnMut(K, &V) -> bool) -> bool {
        let Slot { key, value } = self.read(at);
        keep(key, &value)
    }

    /// Starts loading the slots of a group, if there is one of this number.
    #[inline(always)]
    fn prefetch_group(self, group: usize) {
        if group < Self::GROUPS {
            let first = self.slot(group * GROUP).as_ptr().cast::<u8>();
            for line in 0..(GROUP * size_of::<Slot<K, V>>()).div_ceil(LINE) {
                prefetch(first.wrapping_add(line * LINE));
            }
        }
    }

    /// Calls `each` on the full slots and where they are, until it fails.
    #[inline]
    pub fn try_each<E>(
        self,
        mut each: impl FnMut(usize, &Slot<K, V>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.prefetch_group(0);
        self.prefetch_group(1);
        for group in 0..Self::GROUPS {
            self.prefetch_group(group + 2);
            for slot in self.tags(group).full() {
                let at = group * GROUP + slot;
                // SAFETY: the slot is full, and `each` has nothing that could change it.
                each(at, unsafe { self.slot(at).as_ref() })?;
            }
        }
        Ok(())
    }

    /// Calls `each` on the full slots from `*from` on, each for one unit of budget, and moves
    /// `*from` on. True when it came to the end.
    #[inline]
    pub fn visit<'a>(
        self,
        from: &mut u32,
        budget: &mut usize,
        each: &mut impl FnMut(K, &'a V),
    ) -> bool
    where
        V: 'a,
    {
        let first = *from as usize;
        for group in first / GROUP..Self::GROUPS {
            self.prefetch_group(group + 2);
            let seen = if group == first / GROUP { first % GROUP } else { 0 };
            for slot in Slots(self.tags(group).full().0 & (u32::MAX << seen)) {
                *from = (group * GROUP + slot) as u32;
                if *budget == 0 {
                    return false;
                }
                *budget -= 1;
                // SAFETY: the slot is full, and the caller borrows the table for as long as `each`
                // may look at it.
                let slot = unsafe { self.slot(*from as usize).as_ref() };
                each(slot.key, &slot.value);
            }
        }
        true
    }
}
