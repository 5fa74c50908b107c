//! Many small things of one size: taken, given back, addressed by number.

use core::ops::{Index, IndexMut};

/// No slot.
pub const NONE: u32 = u32::MAX;

/// What one block takes, about, in bytes: small enough that the system hands it over in
/// microseconds.
const BLOCK_BYTES: usize = 64 << 10;

/// Slots in blocks, a free list, and nothing given back to the system.
///
/// A slot keeps its number and its place for ever: the slab grows by whole blocks, and only the
/// list of their addresses is ever copied. So growing is no rare big job, and a slab that has held
/// the most it ever will allocates no more.
///
/// ```
/// use millstream::state::Slab;
/// let mut slab = Slab::new();
/// let (one, two) = (slab.take('a'), slab.take('b'));
/// slab.give(one);
/// assert_eq!((slab[two], slab.take('c')), ('b', one));
/// ```
pub struct Slab<T> {
    blocks: Vec<Vec<Slot<T>>>,
    /// Slots handed back, linked by `next`.
    free: u32,
    /// Slots ever taken.
    fresh: u32,
}

struct Slot<T> {
    next: u32,
    value: T,
}

impl<T> Slab<T> {
    /// How many slots a block has, as a power of two.
    const BITS: u32 = {
        let slots = BLOCK_BYTES / size_of::<Slot<T>>();
        if slots < 2 { 0 } else { slots.ilog2() }
    };

    /// A slab that holds nothing yet.
    pub const fn new() -> Self {
        Self { blocks: Vec::new(), free: NONE, fresh: 0 }
    }

    /// A slot with this value: one that was handed back, or else a fresh one. O(1), and now and
    /// then a block of 64 KiB.
    #[inline]
    pub fn take(&mut self, value: T) -> u32 {
        if self.free == NONE {
            return self.take_fresh(value);
        }
        let index = self.free;
        let slot = self.slot_mut(index);
        slot.value = value;
        self.free = slot.next;
        index
    }

    fn take_fresh(&mut self, value: T) -> u32 {
        let index = self.fresh;
        if index & ((1 << Self::BITS) - 1) == 0 {
            self.blocks.push(Vec::with_capacity(1 << Self::BITS));
        }
        self.blocks[(index >> Self::BITS) as usize].push(Slot { next: NONE, value });
        self.fresh += 1;
        index
    }

    /// Takes a slot back, with the value in it, which is dropped when the slot is taken. O(1).
    #[inline]
    pub fn give(&mut self, index: u32) {
        let free = self.free;
        self.slot_mut(index).next = free;
        self.free = index;
    }

    /// Whether the next slot to be taken is one that was handed back.
    #[inline]
    pub fn has_free(&self) -> bool {
        self.free != NONE
    }

    /// How many slots were ever taken fresh.
    #[cfg(test)]
    pub fn fresh(&self) -> u32 {
        self.fresh
    }

    #[inline(always)]
    fn slot_mut(&mut self, index: u32) -> &mut Slot<T> {
        let place = index as usize & ((1 << Self::BITS) - 1);
        &mut self.blocks[(index >> Self::BITS) as usize][place]
    }
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Index<u32> for Slab<T> {
    type Output = T;

    #[inline(always)]
    fn index(&self, index: u32) -> &T {
        let place = index as usize & ((1 << Self::BITS) - 1);
        &self.blocks[(index >> Self::BITS) as usize][place].value
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    #[inline(always)]
    fn index_mut(&mut self, index: u32) -> &mut T {
        &mut self.slot_mut(index).value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_keep_their_values_and_are_used_again() {
        let mut slab = Slab::new();
        let slots: Vec<u32> = (0..10_000u64).map(|n| slab.take(n)).collect();
        assert!(slots.iter().zip(0..).all(|(&slot, n)| slab[slot] == n));
        let blocks = slab.blocks.len();
        slots.iter().for_each(|&slot| slab.give(slot));
        assert!(slab.has_free());
        (0..10_000).for_each(|n| _ = slab.take(n));
        assert_eq!((slab.blocks.len(), slab.has_free()), (blocks, false));
    }

    #[test]
    fn a_slot_larger_than_a_block_has_a_block_of_its_own() {
        let mut slab = Slab::new();
        let (one, two) = (slab.take([1u64; 9_000]), slab.take([2; 9_000]));
        assert_eq!((slab[one][8_999], slab[two][0], slab.blocks.len()), (1, 2, 2));
    }
}
