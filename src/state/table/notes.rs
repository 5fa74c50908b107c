//! Values as they were at a barrier, of the few keys of a chain that have changed since.
//!
//! To copy a chain before its first change takes a microsecond, to note one value some
//! nanoseconds. So the first changes to a chain are noted, and the chain is copied when its turn
//! comes, with what was noted put back for as long as that takes; or when it has too many notes, or
//! is to change in more than values.

use std::ptr::NonNull;

use super::sub::{Slot, Sub};
use crate::memory::prefetch;

/// Notes of a chain at most: one more, and it is copied.
const MOST: usize = 8;
/// Chains whose notes are in one piece of memory.
const CHUNK: usize = 256;

/// What a key had.
#[derive(Clone, Copy)]
struct Note<K, V> {
    slot: NonNull<Slot<K, V>>,
    value: V,
}

/// The notes of a chain, from the oldest on: side by side, so that they come from memory together.
type Page<K, V> = [Note<K, V>; MOST];

/// Where the notes of a chain are: kept in its head, and meant for one copy only.
#[derive(Clone, Copy, Default)]
pub struct Noted {
    /// Which copy they are for; 0 is none.
    turn: u32,
    /// How many there are.
    count: u32,
    /// The number of their page.
    page: u32,
}

/// The notes of one table.
pub struct Notes<K, V> {
    turn: u32,
    /// Pages that were written for this copy.
    pages: usize,
    /// Chunks that stay from copy to copy.
    chunks: Vec<Vec<Page<K, V>>>,
}

impl<K, V> Default for Notes<K, V> {
    fn default() -> Self {
        Self { turn: 0, pages: 0, chunks: Vec::new() }
    }
}

impl<K: Copy, V: Copy> Notes<K, V> {
    /// Forgets all notes, for another copy.
    pub fn begin(&mut self) {
        self.turn = self.turn.wrapping_add(1).max(1);
        self.pages = 0;
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.chunks.len() * CHUNK * size_of::<Page<K, V>>()
    }

    /// Notes what is in a slot of a chain. Returns whether there was room for it.
    #[inline]
    pub fn add(&mut self, head: Sub<K, V>, slot: NonNull<Slot<K, V>>) -> bool {
        let Noted { count, page, .. } = self.of(head);
        // SAFETY: the slot is full, and in a sub-table of the table whose notes these are.
        let note = Note { slot, value: unsafe { slot.as_ref() }.value };
        let page = match count {
            0 => self.begin_page(note),
            _ => match self.page(page).get_mut(count as usize) {
                Some(free) => {
                    *free = note;
                    page
                }
                None => return false,
            },
        };
        head.set_noted(Noted { turn: self.turn, count: count + 1, page });
        true
    }

    /// The next page, with its first note.
    fn begin_page(&mut self, first: Note<K, V>) -> u32 {
        let number = self.pages;
        if number == self.chunks.len() * CHUNK {
            self.chunks.push(Vec::with_capacity(CHUNK));
        }
        let chunk = &mut self.chunks[number / CHUNK];
        chunk.truncate(number % CHUNK);
        chunk.push([first; MOST]);
        self.pages += 1;
        number as u32
    }

    #[inline]
    fn page(&mut self, number: u32) -> &mut Page<K, V> {
        &mut self.chunks[number as usize / CHUNK][number as usize % CHUNK]
    }

    /// The notes of a chain for this copy.
    #[inline]
    fn of(&self, head: Sub<K, V>) -> Noted {
        let noted = head.noted();
        if noted.turn == self.turn { noted } else { Noted::default() }
    }

    /// Calls `read` while all keys of a chain have what was noted of them.
    pub fn as_it_was<R>(&mut self, head: Sub<K, V>, read: impl FnOnce() -> R) -> R {
        let Noted { count, page, .. } = self.of(head);
        if count == 0 {
            return read();
        }
        let notes = &mut self.page(page)[..count as usize];
        notes.iter().for_each(|note| prefetch(note.slot.as_ptr().cast::<u8>()));
        // From the newest to the oldest: of two notes of a key the older one is what it had.
        notes.iter_mut().rev().for_each(Note::exchange);
        let result = read();
        notes.iter_mut().for_each(Note::exchange);
        result
    }
}

impl<K, V: Copy> Note<K, V> {
    /// Exchanges what is in the slot and what was noted of it.
    fn exchange(&mut self) {
        // SAFETY: since it was noted, nothing but values has changed in its chain: before a key
        // comes, goes or moves, the chain is copied, and its notes are not looked at again.
        let there = unsafe { &mut self.slot.as_mut().value };
        // Not `mem::swap`, which calls a function for what it copies.
        (*there, self.value) = (self.value, *there);
    }
}
