//! Lists by the hundred thousand in one pool of memory, each dropped at once.

use core::ops::Index;

use serde::{Deserialize, Serialize};

use crate::memory::{Blocks, EachBulk};

use super::slab::NONE;
use super::value::Stored;

/// A list of one key, which is nothing but its ends: the entries are in [`Lists`].
/// `List::default()` is empty and takes no memory there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    first: u32,
    last: u32,
    len: u32,
}

impl List {
    /// The slot of the oldest entry; [`NONE`] if there is none, or none was kept.
    #[inline(always)]
    pub fn first(&self) -> u32 {
        self.first
    }

    /// How many entries it has, kept or only counted.
    #[inline(always)]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether it has none.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Default for List {
    fn default() -> Self {
        Self { first: NONE, last: NONE, len: 0 }
    }
}

/// The entries of any number of lists that grow at one end and are dropped whole.
///
/// An entry takes a slot of its own, so a key of one entry costs no more than that; where entries
/// leave one by one, [`Chunks`](super::Chunks) is for them. What an entry is linked by is what
/// links free slots as well: so a list is dropped in O(1), however long it is. Nothing goes back to
/// the system. At most 2^32 - 1 entries.
///
/// ```
/// use millstream::state::{List, Lists};
/// let (mut lists, mut one, mut two) = (Lists::new(), List::default(), List::default());
/// lists.push(&mut one, 'a');
/// lists.push(&mut two, 'x');
/// lists.push(&mut one, 'b');
/// let second = lists.after(one.first());
/// assert_eq!((lists[one.first()], lists[second]), ('a', 'b'));
/// lists.drop_all(&mut one);
/// assert_eq!((one, lists.len()), (List::default(), 1));
/// ```
#[derive(Serialize, Deserialize)]
pub struct Lists<E> {
    slots: Blocks<Slot<E>>,
    /// Slots of lists that were dropped, linked as these were.
    free: u32,
    len: usize,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Slot<E> {
    next: u32,
    entry: E,
}

impl<E: Copy> Lists<E> {
    /// A pool that holds nothing yet.
    pub const fn new() -> Self {
        Self { slots: Blocks::new(), free: NONE, len: 0 }
    }

    /// How many entries all lists have together, kept or only counted.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether all lists are empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds an entry behind the newest of a list. O(1), and now and then a block of 64 KiB.
    #[inline]
    pub fn push(&mut self, list: &mut List, entry: E) {
        let slot = self.take(entry);
        match list.last {
            NONE => list.first = slot,
            last => self.slots[last as usize].next = slot,
        }
        list.last = slot;
        self.count(list);
    }

    /// Adds an entry of which nothing is to be known but that it is there: it takes no memory.
    #[inline]
    pub fn count(&mut self, list: &mut List) {
        list.len = list.len.saturating_add(1);
        self.len += 1;
    }

    #[inline]
    fn take(&mut self, entry: E) -> u32 {
        let slot = Slot { next: NONE, entry };
        if self.free == NONE {
            return self.slots.push(slot) as u32;
        }
        let number = self.free;
        let place = &mut self.slots[number as usize];
        self.free = place.next;
        *place = slot;
        number
    }

    /// Drops all entries of a list. O(1).
    #[inline]
    pub fn drop_all(&mut self, list: &mut List) {
        if list.last != NONE {
            self.slots[list.last as usize].next = self.free;
            self.free = list.first;
        }
        self.len = self.len.saturating_sub(list.len as usize);
        *list = List::default();
    }

    /// The slot of the entry behind the one in `slot`; [`NONE`] behind the newest.
    #[inline(always)]
    pub fn after(&self, slot: u32) -> u32 {
        self.slots[slot as usize].next
    }

    /// Takes over a list of other lists.
    pub fn take_over(&mut self, other: &Self, list: &List) -> List {
        let (mut here, mut slot) = (List::default(), list.first);
        while slot != NONE {
            self.push(&mut here, other[slot]);
            slot = other.after(slot);
        }
        // Those that were only counted.
        (here.len..list.len).for_each(|_| self.count(&mut here));
        here
    }

    /// Shows the entries.
    pub fn bulk(&mut self, each: &mut EachBulk<'_>)
    where
        E: Stored,
    {
        each(&mut self.slots);
    }
}

impl<E: Copy> Default for Lists<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: Copy> Index<u32> for Lists<E> {
    type Output = E;

    #[inline(always)]
    fn index(&self, slot: u32) -> &E {
        &self.slots[slot as usize].entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::encoding::{decode, encode};

    /// The entries of a list, by steps.
    fn walk(lists: &Lists<u64>, list: &List) -> Vec<u64> {
        let mut slots = Vec::from_iter((list.first() != NONE).then_some(list.first()));
        while let Some(next) = slots.last().map(|&slot| lists.after(slot))
            && next != NONE
        {
            slots.push(next);
        }
        slots.into_iter().map(|slot| lists[slot]).collect()
    }

    #[test]
    fn many_lists_share_a_pool() {
        let mut rng = fastrand::Rng::with_seed(5);
        let mut lists = Lists::new();
        let mut all: Vec<(List, Vec<u64>, u32)> = vec![Default::default(); 40];
        for step in 0..60_000u64 {
            let (list, model, counted) = &mut all[rng.usize(..40)];
            match rng.u64(..50) {
                0 => {
                    lists.drop_all(list);
                    (*model, *counted) = Default::default();
                }
                1..5 => {
                    lists.count(list);
                    *counted += 1;
                }
                _ => {
                    lists.push(list, step);
                    model.push(step);
                }
            }
            assert_eq!(list.len(), model.len() as u32 + *counted);
            if step % 97 == 0 {
                all.iter().for_each(|(list, model, _)| assert_eq!(walk(&lists, list), *model));
            }
        }
        let most = lists.slots.len();
        assert_eq!(lists.len(), all.iter().map(|(list, ..)| list.len() as usize).sum::<usize>());
        all.iter_mut().for_each(|(list, ..)| lists.drop_all(list));
        assert!(lists.is_empty());
        // What was dropped serves again, down to the last slot, and no fresh one is taken before.
        let mut list = List::default();
        (0..most as u64).for_each(|n| lists.push(&mut list, n));
        assert_eq!((lists.slots.len(), walk(&lists, &list).len()), (most, most));
    }

    #[test]
    fn lists_are_taken_over_and_copied() {
        let (mut lists, mut list, mut other) = (Lists::new(), List::default(), List::default());
        (0..9).for_each(|n| lists.push(&mut list, n));
        (0..3).for_each(|_| lists.count(&mut list));
        (0..5).for_each(|n| lists.push(&mut other, n));
        lists.drop_all(&mut other);
        let mut there = Lists::new();
        let taken = there.take_over(&lists, &list);
        assert_eq!((taken.len(), there.len(), taken.is_empty()), (12, 12, false));
        assert_eq!(walk(&there, &taken), Vec::from_iter(0..9));
        let mut bytes = Vec::new();
        encode(&lists, &mut bytes).unwrap();
        let mut copy: Lists<u64> = decode(&mut &bytes[..]).unwrap();
        (0..7).for_each(|n| copy.push(&mut other, n));
        // The same slots are free there.
        assert_eq!((copy.slots.len(), walk(&copy, &other)), (16, Vec::from_iter(0..7)));
    }
}
