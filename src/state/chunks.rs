//! Queues by the hundred thousand in one pool of memory.

use core::ops::{Index, IndexMut};

use serde::{Deserialize, Serialize};

use super::slab::{NONE, Slab};
use super::value::Stored;
use crate::memory::EachBulk;

/// Entries of a chunk. A queue wastes less than this at each of its ends.
const CHUNK: u32 = 8;

/// Where an entry is. It stays there until it is popped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place(u32);

/// A queue of one key, which is nothing but its two ends: the entries are in [`Chunks`].
/// `Queue::default()` is empty and takes no memory there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    front: Place,
    /// Where the next entry goes; its chunk is there already unless the queue is empty.
    end: Place,
    len: u32,
}

impl Queue {
    /// The place of the oldest entry, or the end.
    #[inline(always)]
    pub fn front(&self) -> Place {
        self.front
    }

    /// The place behind the newest entry.
    #[inline(always)]
    pub fn end(&self) -> Place {
        self.end
    }

    /// How many entries it holds.
    #[inline(always)]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Whether it holds none.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Default for Queue {
    fn default() -> Self {
        Self { front: Place(NONE), end: Place(NONE), len: 0 }
    }
}

/// The entries of any number of queues, in doubly linked chunks out of one pool.
///
/// Push, pop and a step to a neighbour are O(1) at worst. A chunk that falls empty serves the next
/// queue that needs one; nothing goes back to the system. At most 2^28 entries: one that is
/// alone in its queue may have two chunks to itself.
///
/// ```
/// use millstream::state::{Chunks, Queue};
/// let (mut chunks, mut one, mut two) = (Chunks::new(), Queue::default(), Queue::default());
/// chunks.push(&mut one, 'a');
/// chunks.push(&mut two, 'x');
/// chunks.push(&mut one, 'b');
/// assert_eq!((chunks.pop(&mut one), chunks.pop(&mut one)), (Some('a'), Some('b')));
/// assert_eq!((chunks.pop(&mut one), chunks.len()), (None, 1));
/// ```
#[derive(Serialize, Deserialize)]
pub struct Chunks<E: Copy> {
    slab: Slab<Chunk<E>>,
    len: usize,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Chunk<E> {
    before: u32,
    after: u32,
    entries: [E; CHUNK as usize],
}

impl<E: Copy> Chunks<E> {
    /// A pool that holds nothing yet.
    pub const fn new() -> Self {
        Self { slab: Slab::new(), len: 0 }
    }

    /// How many entries all queues hold together.
    #[inline(always)]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Shows the entries.
    pub fn bulk(&mut self, each: &mut EachBulk<'_>)
    where
        E: Stored,
    {
        self.slab.bulk(each);
    }

    /// Whether all queues are empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds an entry behind the newest of a queue.
    #[inline]
    pub fn push(&mut self, queue: &mut Queue, entry: E) {
        if queue.is_empty() {
            let chunk = Chunk { before: NONE, after: NONE, entries: [entry; CHUNK as usize] };
            queue.front = Place(self.slab.take(chunk) * CHUNK);
            queue.end = queue.front;
        }
        self[queue.end] = entry;
        let Place(place) = queue.end;
        queue.end = match (place + 1) % CHUNK {
            0 => Place(self.follow(place / CHUNK, entry) * CHUNK),
            _ => Place(place + 1),
        };
        queue.len += 1;
        self.len += 1;
    }

    /// Puts a chunk behind the last one of a queue.
    fn follow(&mut self, last: u32, filler: E) -> u32 {
        let chunk = Chunk { before: last, after: NONE, entries: [filler; CHUNK as usize] };
        let chunk = self.slab.take(chunk);
        self.slab[last].after = chunk;
        chunk
    }

    /// Takes the oldest entry out of a queue.
    #[inline]
    pub fn pop(&mut self, queue: &mut Queue) -> Option<E> {
        if queue.is_empty() {
            return None;
        }
        let (Place(place), entry) = (queue.front, self[queue.front]);
        let next = self.after(queue.front);
        if next.0 / CHUNK != place / CHUNK {
            self.slab.give(place / CHUNK);
        }
        (queue.front, queue.len) = (next, queue.len - 1);
        if queue.is_empty() {
            self.slab.give(next.0 / CHUNK);
            *queue = Queue::default();
        }
        self.len -= 1;
        Some(entry)
    }

    /// Takes over a queue of other chunks; `each` is shown where each entry was and where it is.
    pub fn take_over(
        &mut self,
        other: &Self,
        queue: &Queue,
        mut each: impl FnMut(Place, Place),
    ) -> Queue {
        let (mut here, mut place) = (Queue::default(), queue.front());
        for _ in 0..queue.len() {
            let end = here.end();
            self.push(&mut here, other[place]);
            each(place, if end.0 == NONE { here.front() } else { end });
            place = other.after(place);
        }
        here
    }

    /// The place behind that of an entry: the next entry's, or the end of the queue.
    #[inline(always)]
    pub fn after(&self, Place(place): Place) -> Place {
        match (place + 1) % CHUNK {
            0 => Place(self.slab[place / CHUNK].after * CHUNK),
            _ => Place(place + 1),
        }
    }

    /// The place before this one, which must not be the front.
    #[inline(always)]
    pub fn before(&self, Place(place): Place) -> Place {
        match place % CHUNK {
            0 => Place(self.slab[place / CHUNK].before * CHUNK + CHUNK - 1),
            _ => Place(place - 1),
        }
    }
}

impl<E: Copy> Default for Chunks<E> {
    fn default() -> Self {
        Self::new()
    }
}

impl<E: Copy> Index<Place> for Chunks<E> {
    type Output = E;

    #[inline(always)]
    fn index(&self, Place(place): Place) -> &E {
        &self.slab[place / CHUNK].entries[(place % CHUNK) as usize]
    }
}

impl<E: Copy> IndexMut<Place> for Chunks<E> {
    #[inline(always)]
    fn index_mut(&mut self, Place(place): Place) -> &mut E {
        &mut self.slab[place / CHUNK].entries[(place % CHUNK) as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    /// The entries of a queue there and back again, by steps.
    fn walk(chunks: &Chunks<u64>, queue: &Queue) -> Vec<u64> {
        let (mut place, mut there, mut back) = (queue.front(), Vec::new(), Vec::new());
        for _ in 0..queue.len() {
            there.push(chunks[place]);
            place = chunks.after(place);
        }
        assert_eq!(place, queue.end());
        for _ in 0..queue.len() {
            place = chunks.before(place);
            back.insert(0, chunks[place]);
        }
        assert_eq!(there, back);
        there
    }

    #[test]
    fn many_queues_share_a_pool() {
        let mut rng = fastrand::Rng::with_seed(3);
        let mut chunks = Chunks::new();
        let mut queues: Vec<(Queue, VecDeque<u64>)> = vec![Default::default(); 40];
        for step in 0..60_000u64 {
            let (queue, model) = &mut queues[rng.usize(..40)];
            // Phases in which the queues grow, and phases in which they shrink.
            if rng.u64(..10) < 3 + 4 * (step / 10_000 % 2) {
                chunks.push(queue, step);
                model.push_back(step);
            } else {
                assert_eq!(chunks.pop(queue), model.pop_front());
            }
            if step % 97 == 0 {
                assert_eq!(*model, walk(&chunks, queue));
            }
        }
        assert_eq!(chunks.len(), queues.iter().map(|(_, model)| model.len()).sum::<usize>());
    }

    #[test]
    fn an_empty_queue_holds_no_chunk() {
        let (mut chunks, mut queue) = (Chunks::new(), Queue::default());
        for n in 1..40u64 {
            (0..n).for_each(|n| chunks.push(&mut queue, n));
            (0..n).for_each(|n| assert_eq!(chunks.pop(&mut queue), Some(n)));
            assert_eq!(queue, Queue::default());
        }
        // As many chunks as the longest queue took, and no more, were ever needed.
        let fresh: Vec<u32> = (0..5).map(|_| chunks.slab.take(chunks.slab[0])).collect();
        assert!(fresh.iter().all(|&chunk| chunk < 5) && !chunks.slab.has_free());
    }
}
