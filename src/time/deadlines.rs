//! What is due when, for keys by the million: a wheel that grows by blocks.

use serde::{Deserialize, Serialize};

/// No chunk.
const NONE: u32 = u32::MAX;
/// Slots of a level, as a power of two: one bit of a `u64` each.
const SLOT_BITS: u32 = 6;
/// Levels enough for 64 bits of nanoseconds.
const LEVELS: usize = 64_usize.div_ceil(SLOT_BITS as usize);
/// Entries of a chunk.
const CHUNK: usize = 16;
/// Chunks that are allocated together.
const BLOCK: usize = 64;

/// Keys, each with the time at which somebody must look at it, in exact order of time.
///
/// A hierarchical timing wheel (Varghese and Lauck, 1987) whose slots are lists of chunks: setting
/// appends to a list, and an entry moves at most once to each level on its way down, from one
/// piece of memory that is read through to one that is written through.
/// [`TimerWheel`](super::TimerWheel) holds so many timers and no more, and can cancel; here there
/// may be as many entries as keys, and nothing is ever cancelled: whoever is told looks whether
/// there is still something to do.
#[derive(Clone, Serialize, Deserialize)]
#[serde(bound(deserialize = "K: Deserialize<'de>"))]
pub struct Deadlines<K> {
    blocks: Vec<Box<[Chunk<K>]>>,
    /// Memory for the first of them, if it was asked for.
    #[serde(skip)]
    spare: Option<Vec<Chunk<K>>>,
    /// Chunks of no slot, linked by `next`.
    free: u32,
    /// The slots, level by level.
    slots: Box<[Slot]>,
    /// For each level, which of its slots hold entries.
    occupied: [u64; LEVELS],
    /// The tick that has been reached. The entries of a level share the digits above that level
    /// with it, and none of their slots lies behind it.
    position: u64,
    /// The slot whose entries are on their way down.
    moving: Option<usize>,
}

/// Entries in the order in which they were set.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Chunk<K> {
    entries: [(i64, K); CHUNK],
    next: u32,
}

/// A list of chunks: the entries from `first` of the head to `filled` of the tail.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Slot {
    head: u32,
    tail: u32,
    first: u32,
    filled: u32,
}

const EMPTY: Slot = Slot { head: NONE, tail: NONE, first: 0, filled: 0 };

/// What one unit of work came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Popped<K> {
    /// This is due: the time that was set, and the key.
    Due(i64, K),
    /// An entry came nearer.
    Moved,
    /// Nothing is due.
    Nothing,
}

impl<K: Copy> Deadlines<K> {
    /// Nothing is due at any time.
    pub fn new() -> Self {
        Self {
            blocks: Vec::new(),
            spare: None,
            free: NONE,
            slots: vec![EMPTY; LEVELS << SLOT_BITS].into_boxed_slice(),
            occupied: [0; LEVELS],
            position: 0,
            moving: None,
        }
    }

    /// The same with memory for some hundred entries, for whoever may wait long for the first.
    pub fn with_room() -> Self {
        let (blocks, spare) = (Vec::with_capacity(8), Some(Vec::with_capacity(BLOCK)));
        Self { blocks, spare, ..Self::new() }
    }

    /// Something is due at `at`; if that has passed, at once. Allocates only to hold more entries
    /// than ever before.
    #[inline]
    pub fn set(&mut self, at: i64, key: K) {
        let tick = tick(at).max(self.position);
        let level = (tick ^ self.position).checked_ilog2().unwrap_or(0) / SLOT_BITS;
        let digit = (tick >> (level * SLOT_BITS)) as usize & ((1 << SLOT_BITS) - 1);
        self.occupied[level as usize] |= 1 << digit;
        self.push((level as usize) << SLOT_BITS | digit, (at, key));
    }

    /// Those of several that are to be here, each in the order in which it was set.
    pub fn of(all: impl IntoIterator<Item = Self>, is_here: impl Fn(&K) -> bool) -> Self {
        let mut here = Self::new();
        all.into_iter().for_each(|other| here.take_over(other, &is_here));
        here
    }

    fn take_over(&mut self, mut other: Self, is_here: &dyn Fn(&K) -> bool) {
        loop {
            match other.pop(i64::MAX) {
                Popped::Due(at, key) if is_here(&key) => self.set(at, key),
                Popped::Due(..) | Popped::Moved => {}
                Popped::Nothing => break,
            }
        }
    }

    /// One unit of work towards what is due at `now` or before.
    #[inline]
    pub fn pop(&mut self, now: i64) -> Popped<K> {
        if let Some(slot) = self.moving {
            return self.move_down(slot);
        }
        let reached = tick(now);
        let Some((slot, start)) = self.earliest().filter(|(_, start)| *start <= reached) else {
            self.position = self.position.max(reached);
            return Popped::Nothing;
        };
        self.position = start;
        if slot >> SLOT_BITS == 0 {
            return self.take(slot).map_or(Popped::Nothing, |(at, key)| Popped::Due(at, key));
        }
        self.moving = Some(slot);
        self.move_down(slot)
    }

    /// Moves an entry of `slot`, which `position` has entered, to a lower level.
    fn move_down(&mut self, slot: usize) -> Popped<K> {
        match self.take(slot) {
            Some((at, key)) => self.set(at, key),
            None => self.moving = None,
        }
        if self.slots[slot].head == NONE {
            self.moving = None;
        }
        Popped::Moved
    }

    /// The first slot that holds entries, and the tick at which it begins. The lower the level, the
    /// nearer.
    #[inline]
    fn earliest(&self) -> Option<(usize, u64)> {
        let level = self.occupied.iter().position(|slots| *slots != 0)?;
        let digit = self.occupied[level].trailing_zeros();
        let shift = level as u32 * SLOT_BITS;
        let own = ((1 << SLOT_BITS) - 1) << shift | ((1 << shift) - 1);
        let start = self.position & !own | u64::from(digit) << shift;
        Some((level << SLOT_BITS | digit as usize, start))
    }

    #[inline]
    fn push(&mut self, slot: usize, entry: (i64, K)) {
        let Slot { tail, filled, .. } = self.slots[slot];
        if tail == NONE || filled as usize == CHUNK {
            self.add_chunk(slot, entry);
            return;
        }
        self.chunk(tail).entries[filled as usize] = entry;
        self.slots[slot].filled += 1;
    }

    /// Puts a chunk with one entry behind the others of a slot.
    fn add_chunk(&mut self, slot: usize, entry: (i64, K)) {
        if self.free == NONE {
            self.add_block(entry);
        }
        let index = self.free;
        let chunk = self.chunk(index);
        chunk.entries[0] = entry;
        let free = std::mem::replace(&mut chunk.next, NONE);
        self.free = free;
        let Slot { tail, .. } = self.slots[slot];
        if tail == NONE {
            self.slots[slot] = Slot { head: index, tail: index, first: 0, filled: 1 };
        } else {
            self.chunk(tail).next = index;
            (self.slots[slot].tail, self.slots[slot].filled) = (index, 1);
        }
    }

    #[cold]
    fn add_block(&mut self, entry: (i64, K)) {
        let first = (self.blocks.len() * BLOCK) as u32;
        let chunk = |index| {
            let next = if index + 1 == BLOCK as u32 { NONE } else { first + index + 1 };
            Chunk { entries: [entry; CHUNK], next }
        };
        let mut block = self.spare.take().unwrap_or_else(|| Vec::with_capacity(BLOCK));
        block.extend((0..BLOCK as u32).map(chunk));
        self.blocks.push(block.into_boxed_slice());
        self.free = first;
    }

    /// Takes the oldest entry of a slot.
    #[inline]
    fn take(&mut self, slot: usize) -> Option<(i64, K)> {
        let Slot { head, tail, first, filled } = self.slots[slot];
        if head == NONE {
            return None;
        }
        let free = self.free;
        let chunk = self.chunk(head);
        let entry = chunk.entries[first as usize];
        let end = if head == tail { filled } else { CHUNK as u32 };
        if first + 1 < end {
            self.slots[slot].first += 1;
            return Some(entry);
        }
        let next = std::mem::replace(&mut chunk.next, free);
        self.free = head;
        if next == NONE {
            self.slots[slot] = EMPTY;
            self.occupied[slot >> SLOT_BITS] &= !(1 << (slot % (1 << SLOT_BITS)));
        } else {
            (self.slots[slot].head, self.slots[slot].first) = (next, 0);
        }
        Some(entry)
    }

    #[inline(always)]
    fn chunk(&mut self, index: u32) -> &mut Chunk<K> {
        &mut self.blocks[index as usize / BLOCK][index as usize % BLOCK]
    }
}

/// Nanoseconds from the beginning of time: flipping the sign makes the order that of unsigned
/// numbers.
#[inline(always)]
const fn tick(at: i64) -> u64 {
    (at as u64) ^ (1 << 63)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything due at `now`, in order.
    fn due(deadlines: &mut Deadlines<u32>, now: i64) -> Vec<(i64, u32)> {
        let mut all = Vec::new();
        loop {
            match deadlines.pop(now) {
                Popped::Due(at, key) => all.push((at, key)),
                Popped::Moved => {}
                Popped::Nothing => return all,
            }
        }
    }

    #[test]
    fn all_of_time_is_in_order() {
        let mut deadlines = Deadlines::new();
        let times = [i64::MAX, 0, -1, i64::MIN, 63, 64, 65, 1 << 40, -(1 << 50), 64];
        for (key, at) in (0..).zip(times) {
            deadlines.set(at, key);
        }
        let want = [(i64::MIN, 3), (-(1 << 50), 8), (-1, 2), (0, 1), (63, 4), (64, 5), (64, 9)];
        assert_eq!(due(&mut deadlines, 64), want);
        deadlines.set(3, 77);
        assert_eq!(due(&mut deadlines, i64::MAX), [(3, 77), (65, 6), (1 << 40, 7), (i64::MAX, 0)]);
    }

    /// Against a sorted list, with times set near and far while others fall due.
    #[test]
    fn fires_what_a_sorted_list_would() {
        let mut rng = fastrand::Rng::with_seed(7);
        let mut deadlines = Deadlines::new();
        let (mut waiting, mut now) = (Vec::new(), -1_000_000i64);
        for key in 0..20_000u32 {
            let far = rng.u32(1..34);
            let at = now + rng.i64(-5..1 << far);
            deadlines.set(at, key);
            waiting.push((at, key));
            if rng.u8(..) < 40 {
                let far = rng.u32(1..30);
                now += rng.i64(0..1 << far);
                let mut want: Vec<_> = waiting.extract_if(.., |entry| entry.0 <= now).collect();
                want.sort_by_key(|entry| entry.0);
                let mut got = due(&mut deadlines, now);
                // Those set for a time that had passed come as of the time that was reached.
                got.sort_by_key(|entry| entry.0);
                let sorted = |mut all: Vec<(i64, u32)>| {
                    all.sort_unstable();
                    all
                };
                assert_eq!(sorted(got), sorted(want));
            }
        }
    }

    #[test]
    fn those_of_several_come_in_one_order() {
        let set = |deadlines: &mut Deadlines<u32>, all: [(i64, u32); 3]| {
            all.into_iter().for_each(|(at, key)| deadlines.set(at, key));
        };
        let (mut one, mut other) = (Deadlines::new(), Deadlines::new());
        set(&mut one, [(70, 1), (5, 2), (70, 3)]);
        assert_eq!(due(&mut one, 6), [(5, 2)]);
        one.set(3, 4); // which has passed
        set(&mut other, [(70, 5), (1 << 40, 6), (4, 7)]);
        let mut all = Deadlines::of([one, other], |key| *key != 3);
        assert_eq!(due(&mut all, 1 << 41), [(3, 4), (4, 7), (70, 1), (70, 5), (1 << 40, 6)]);
    }

    /// Work can stop anywhere, and others can be set between.
    #[test]
    fn work_in_pieces_comes_to_the_same() {
        let mut deadlines = Deadlines::new();
        (0..1000u32).for_each(|key| deadlines.set(1_000_000 + i64::from(key) * 997, key));
        let mut got = Vec::new();
        for key in 0..200_000u32 {
            match deadlines.pop(3_000_000) {
                Popped::Due(at, key) => got.push((at, key)),
                Popped::Moved if key < 500 => deadlines.set(2_500_000, 1000 + key),
                Popped::Moved => {}
                Popped::Nothing => break,
            }
        }
        assert!(got.is_sorted_by_key(|entry| entry.0), "in order of time");
        assert!(got.len() > 1000);
        assert_eq!(deadlines.pop(i64::MAX), Popped::Nothing);
    }
}
