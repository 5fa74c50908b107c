//! Where a wheel's timers live: chunks that stay where they are.

use std::ops::{Index, IndexMut};

use super::Node;

/// Nodes of a chunk, as a power of two: few enough that the system hands over their memory in
/// microseconds.
const CHUNK_BITS: u32 = 10;
const CHUNK: usize = 1 << CHUNK_BITS;

/// Nodes by number. They are added one at a time, up to a limit, and none is ever moved or freed.
pub(super) struct Nodes<T> {
    chunks: Vec<Vec<Node<T>>>,
    most: usize,
}

impl<T> Nodes<T> {
    /// No node yet, and never more than `most`.
    pub fn new(most: usize) -> Self {
        Self { chunks: Vec::new(), most }
    }

    /// How many there may be.
    pub fn most(&self) -> usize {
        self.most
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        let before = self.chunks.len().saturating_sub(1) * CHUNK;
        before + self.chunks.last().map_or(0, Vec::len)
    }

    /// Adds a node of no timer and returns its number; `None` if there may be no more.
    #[cold]
    pub fn add(&mut self) -> Option<u32> {
        let count = self.count();
        if count == self.most {
            return None;
        }
        if count == self.chunks.len() * CHUNK {
            self.chunks.push(Vec::with_capacity(CHUNK.min(self.most - count)));
        }
        self.chunks.last_mut()?.push(Node::free(super::NONE));
        Some(count as u32)
    }

    /// All of them, those of no timer too.
    pub fn iter(&self) -> impl Iterator<Item = &Node<T>> {
        self.chunks.iter().flatten()
    }

    /// A node, if there is one of this number.
    #[inline(always)]
    pub fn get(&self, index: usize) -> Option<&Node<T>> {
        self.chunks.get(index >> CHUNK_BITS)?.get(index & (CHUNK - 1))
    }

    /// A node to change, if there is one of this number.
    #[inline(always)]
    pub fn get_mut(&mut self, index: usize) -> Option<&mut Node<T>> {
        self.chunks.get_mut(index >> CHUNK_BITS)?.get_mut(index & (CHUNK - 1))
    }
}

impl<T> Index<usize> for Nodes<T> {
    type Output = Node<T>;

    #[inline(always)]
    fn index(&self, index: usize) -> &Node<T> {
        &self.chunks[index >> CHUNK_BITS][index & (CHUNK - 1)]
    }
}

impl<T> IndexMut<usize> for Nodes<T> {
    #[inline(always)]
    fn index_mut(&mut self, index: usize) -> &mut Node<T> {
        &mut self.chunks[index >> CHUNK_BITS][index & (CHUNK - 1)]
    }
}
