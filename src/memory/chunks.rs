//! Values by number, in chunks that stay where they are.

use std::ops::{Index, IndexMut};

/// Values of a chunk, as a power of two: few enough that the system hands over their memory in
/// microseconds.
const CHUNK_BITS: u32 = 10;
const CHUNK: usize = 1 << CHUNK_BITS;

/// A list that grows by chunks: no value is ever moved, and adding one takes memory for at most a
/// chunk.
pub struct Chunks<T>(Vec<Vec<T>>);

impl<T> Chunks<T> {
    /// No value yet.
    pub fn new() -> Self {
        Self(Vec::new())
    }

    /// How many values there are.
    #[inline]
    pub fn len(&self) -> usize {
        let before = self.0.len().saturating_sub(1) * CHUNK;
        before + self.0.last().map_or(0, Vec::len)
    }

    /// Adds a value and returns its number.
    pub fn push(&mut self, value: T) -> usize {
        let number = self.len();
        match self.0.last_mut() {
            Some(last) if last.len() < CHUNK => last.push(value),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(value);
                self.0.push(chunk);
            }
        }
        number
    }

    /// The value of this number, if there is one.
    #[inline(always)]
    pub fn get(&self, index: usize) -> Option<&T> {
        self.0.get(index >> CHUNK_BITS)?.get(index & (CHUNK - 1))
    }

    /// The value of this number, to change it.
    #[inline(always)]
    pub fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.0.get_mut(index >> CHUNK_BITS)?.get_mut(index & (CHUNK - 1))
    }
}

impl<T> Index<usize> for Chunks<T> {
    type Output = T;

    #[inline(always)]
    fn index(&self, index: usize) -> &T {
        &self.0[index >> CHUNK_BITS][index & (CHUNK - 1)]
    }
}

impl<T> IndexMut<usize> for Chunks<T> {
    #[inline(always)]
    fn index_mut(&mut self, index: usize) -> &mut T {
        &mut self.0[index >> CHUNK_BITS][index & (CHUNK - 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_where_they_are() {
        let mut list = Chunks::new();
        assert_eq!((list.push(0), list.len()), (0, 1));
        let first = std::ptr::from_ref(&list[0]);
        assert!((1..2 * CHUNK + 5).all(|n| list.push(n) == n));
        assert!((0..2 * CHUNK + 5).all(|n| list[n] == n));
        assert_eq!((first, list.len()), (std::ptr::from_ref(&list[0]), 2 * CHUNK + 5));
        list[CHUNK] += 1;
        assert_eq!((list.get(CHUNK), list.get(list.len())), (Some(&(CHUNK + 1)), None));
        assert_eq!(list.get_mut(u32::MAX as usize), None);
    }
}
