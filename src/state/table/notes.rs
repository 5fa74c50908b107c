//! Values as they were at a barrier, of the few keys of a chain that have changed since.
//!
//! To copy a chain before its first change takes a microsecond, to note one value some
//! nanoseconds. So the first changes to a chain are noted, and the chain is copied when its turn
//! comes, with what was noted put back for as long as that takes; or when it has too many notes, or
//! is to change in more than values.

use std::mem::swap;
use std::ptr::NonNull;

use super::sub::{Slot, Sub};

/// Notes of a chain at most: one more, and it is copied.
const MOST: u32 = 8;
/// Notes in one piece of memory.
const CHUNK: usize = 2048;

/// What a key had.
#[derive(Clone, Copy)]
struct Note<K, V> {
    slot: NonNull<Slot<K, V>>,
    value: V,
    /// The note before it of the same chain.
    before: Noted,
}

/// The notes of a chain: kept in its head, and meant for one copy only.
#[derive(Clone, Copy, Default)]
pub struct Noted {
    /// Which copy they are for; 0 is none.
    turn: u32,
    /// How many there are.
    count: u32,
    /// The number of the newest.
    newest: u32,
}

/// The notes of one table.
pub struct Notes<K, V> {
    turn: u32,
    len: usize,
    /// Chunks that stay from copy to copy.
    chunks: Vec<Vec<Note<K, V>>>,
}

impl<K, V> Default for Notes<K, V> {
    fn default() -> Self {
        Self { turn: 0, len: 0, chunks: Vec::new() }
    }
}

impl<K: Copy, V: Copy> Notes<K, V> {
    /// Forgets all notes, for another copy.
    pub fn begin(&mut self) {
        self.turn = self.turn.wrapping_add(1).max(1);
        self.len = 0;
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.chunks.len() * CHUNK * size_of::<Note<K, V>>()
    }

    /// Notes what is in a slot of a chain. Returns whether there was room for it.
    #[inline]
    pub fn add(&mut self, head: Sub<K, V>, slot: NonNull<Slot<K, V>>) -> bool {
        let before = self.of(head);
        if before.count == MOST {
            return false;
        }
        let newest = self.len as u32;
        if self.len == self.chunks.len() * CHUNK {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let chunk = &mut self.chunks[self.len / CHUNK];
        chunk.truncate(self.len % CHUNK);
        // SAFETY: the slot is full, and in a sub-table of the table whose notes these are.
        let value = unsafe { slot.as_ref() }.value;
        chunk.push(Note { slot, value, before });
        self.len += 1;
        head.set_noted(Noted { turn: self.turn, count: before.count + 1, newest });
        true
    }

    /// The notes of a chain for this copy.
    fn of(&self, head: Sub<K, V>) -> Noted {
        let noted = head.noted();
        if noted.turn == self.turn { noted } else { Noted::default() }
    }

    /// Calls `read` while all keys of a chain have what was noted of them.
    pub fn as_it_was<R>(&mut self, head: Sub<K, V>, read: impl FnOnce() -> R) -> R {
        let (mut newest, mut numbers, mut count) = (self.of(head), [0; MOST as usize], 0);
        // From the newest to the oldest: of two notes of a key the older one is what it had.
        while newest.count > 0 {
            numbers[count] = newest.newest as usize;
            newest = self.exchange(numbers[count]);
            count += 1;
        }
        let result = read();
        numbers[..count].iter().rev().for_each(|number| _ = self.exchange(*number));
        result
    }

    /// Swaps what is in a slot and what was noted of it, and returns the notes before.
    fn exchange(&mut self, number: usize) -> Noted {
        let note = &mut self.chunks[number / CHUNK][number % CHUNK];
        // SAFETY: since it was noted, nothing but values has changed in its chain: before a key
        // comes, goes or moves, the chain is copied, and its notes are not looked at again.
        swap(unsafe { &mut note.slot.as_mut().value }, &mut note.value);
        note.before
    }
}
