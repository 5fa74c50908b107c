//! Many small things of one size: taken, given back, addressed by number.

use core::ops::{Index, IndexMut};

use serde::{Deserialize, Serialize};

use crate::memory::{Blocks, EachBulk};

use super::value::Stored;

/// No slot.
pub const NONE: u32 = u32::MAX;

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
#[derive(Serialize, Deserialize)]
pub struct Slab<T> {
    slots: Blocks<Slot<T>>,
    /// Slots handed back, linked by `next`.
    free: u32,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Slot<T> {
    next: u32,
    value: T,
}

impl<T> Slab<T> {
    /// A slab that holds nothing yet.
    pub const fn new() -> Self {
        Self { slots: Blocks::new(), free: NONE }
    }

    /// A slot with this value: one that was handed back, or else a fresh one. O(1), and now and
    /// then a block of 64 KiB.
    #[inline]
    pub fn take(&mut self, value: T) -> u32 {
        if self.free == NONE {
            return self.slots.push(Slot { next: NONE, value }) as u32;
        }
        let index = self.free;
        let slot = self.slot_mut(index);
        slot.value = value;
        self.free = slot.next;
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

    /// Shows the slots.
    pub fn bulk(&mut self, each: &mut EachBulk<'_>)
    where
        T: Stored,
    {
        each(&mut self.slots);
    }

    /// How many slots were ever taken fresh.
    #[cfg(test)]
    pub fn fresh(&self) -> u32 {
        self.slots.len() as u32
    }

    #[inline(always)]
    fn slot_mut(&mut self, index: u32) -> &mut Slot<T> {
        &mut self.slots[index as usize]
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
        &self.slots[index as usize].value
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
    use crate::memory::encoding::{decode, encode};

    #[test]
    fn slots_keep_their_values_and_are_used_again() {
        let mut slab = Slab::new();
        let slots: Vec<u32> = (0..10_000u64).map(|n| slab.take(n)).collect();
        assert!(slots.iter().zip(0..).all(|(&slot, n)| slab[slot] == n));
        let taken = slab.fresh();
        slots.iter().for_each(|&slot| slab.give(slot));
        assert!(slab.has_free());
        (0..10_000).for_each(|n| _ = slab.take(n));
        assert_eq!((slab.fresh(), slab.has_free()), (taken, false));
    }

    #[test]
    fn a_copy_hands_out_the_same_slots() {
        let mut slab = Slab::new();
        let slots: Vec<u32> = (0..5_000u64).map(|n| slab.take(n)).collect();
        slots.iter().step_by(3).for_each(|&slot| slab.give(slot));
        let mut bytes = Vec::new();
        encode(&slab, &mut bytes).unwrap();
        let mut copy: Slab<u64> = decode(&mut &bytes[..]).unwrap();
        for n in 0..3_000 {
            assert_eq!(copy.take(n), slab.take(n));
        }
        assert!(slots.iter().all(|&slot| copy[slot] == slab[slot]));
    }

    #[test]
    fn a_slot_larger_than_a_block_has_a_block_of_its_own() {
        let mut slab = Slab::new();
        let (one, two) = (slab.take([1u64; 9_000]), slab.take([2; 9_000]));
        assert_eq!((slab[one][8_999], slab[two][0], slab.fresh()), (1, 2, 2));
    }
}
