//! Values by number, in blocks that stay where they are.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Index, IndexMut};

use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
use serde::ser::{SerializeSeq, SerializeTuple, Serializer};
use serde::{Deserialize, Serialize};

mod apart;

use apart::Apart;

use crate::memory::bulk::Copied;
use crate::memory::encoding::versions;

/// What a block takes at most, in bytes: little enough that the system hands it over in
/// microseconds.
const BLOCK_BYTES: usize = 64 << 10;

/// A list that grows by blocks: no value is ever moved, and adding one takes memory for at most a
/// block. Only the list of the blocks' addresses is ever copied.
pub struct Blocks<T> {
    blocks: Vec<Vec<T>>,
    /// Blocks that hold nothing any more.
    spare: Vec<Vec<T>>,
    /// While they are copied behind a barrier, or wait for what was.
    apart: Option<Box<Apart<T>>>,
    /// The last copy, if nothing has changed since.
    copied: Option<Copied>,
}

/// All values, or where they are and how many.
impl<T: Serialize> Serialize for Blocks<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let apart = match self.apart.as_deref() {
            Some(Apart::Frozen(frozen)) => Some((frozen.id(), frozen.len)),
            Some(Apart::Awaited { id, len, .. }) => Some((*id, *len)),
            Some(Apart::Referred { id }) => Some((*id, self.len())),
            None => None,
        };
        let mut tuple = serializer.serialize_tuple(2)?;
        tuple.serialize_element(&apart)?;
        tuple.serialize_element(&Values(self, apart.map_or(self.len(), |_| 0)))?;
        tuple.end()
    }
}

/// The first so many values.
struct Values<'a, T>(&'a Blocks<T>, usize);

impl<T: Serialize> Serialize for Values<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut values = serializer.serialize_seq(Some(self.1))?;
        self.0.iter().take(self.1).try_for_each(|value| values.serialize_element(value))?;
        values.end()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Blocks<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_tuple(2, BlocksVisitor(PhantomData))
    }
}

struct BlocksVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for BlocksVisitor<T> {
    type Value = Blocks<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("values by number")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Blocks<T>, A::Error> {
        let missing = || A::Error::custom("blocks without their values");
        let apart: Option<(u32, usize)> = parts.next_element()?.ok_or_else(missing)?;
        let mut blocks: Blocks<T> =
            parts.next_element_seed(Filling(PhantomData))?.ok_or_else(missing)?;
        blocks.apart =
            apart.map(|(id, len)| Box::new(Apart::Awaited { id, len, versions: versions() }));
        Ok(blocks)
    }
}

/// Reads values, one by one.
struct Filling<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Filling<T> {
    type Value = Blocks<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Blocks<T>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Filling<T> {
    type Value = Blocks<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("values")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Blocks<T>, A::Error> {
        let mut blocks = Blocks::new();
        while let Some(value) = values.next_element()? {
            blocks.push(value);
        }
        Ok(blocks)
    }
}

impl<T> Default for Blocks<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Blocks<T> {
    /// How many values a block has, as a power of two.
    const BITS: u32 = {
        let size = if size_of::<T>() == 0 { 1 } else { size_of::<T>() };
        let values = BLOCK_BYTES / size;
        if values < 2 { 0 } else { values.ilog2() }
    };
    const BLOCK: usize = 1 << Self::BITS;

    /// No value yet.
    pub const fn new() -> Self {
        Self { blocks: Vec::new(), spare: Vec::new(), apart: None, copied: None }
    }

    /// How many values there are.
    #[inline]
    pub fn len(&self) -> usize {
        let before = self.blocks.len().saturating_sub(1) * Self::BLOCK;
        before + self.blocks.last().map_or(0, Vec::len)
    }

    /// Adds a value and returns its number.
    pub fn push(&mut self, value: T) -> usize {
        self.copied = None;
        let number = self.len();
        match self.blocks.last_mut() {
            Some(last) if last.len() < Self::BLOCK => last.push(value),
            _ => {
                let spare = self.spare.pop();
                let mut block = spare.unwrap_or_else(|| Vec::with_capacity(Self::BLOCK));
                block.push(value);
                self.blocks.push(block);
            }
        }
        number
    }

    /// Adds values, block by block; returns the number of the first.
    pub fn extend(&mut self, mut values: impl ExactSizeIterator<Item = T>) -> usize {
        let first = self.len();
        while let Some(value) = values.next() {
            self.push(value);
            if let Some(last) = self.blocks.last_mut() {
                let room = Self::BLOCK - last.len();
                last.extend(values.by_ref().take(room));
            }
        }
        first
    }

    /// Forgets all values and keeps their memory. O(blocks), unless values have something to drop.
    pub fn clear(&mut self) {
        self.copied = None;
        if let Some(Apart::Frozen(frozen)) = self.apart.as_deref_mut() {
            frozen.keep(&mut self.blocks);
        }
        while let Some(mut block) = self.blocks.pop() {
            block.clear();
            self.spare.push(block);
        }
    }

    /// All values, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.blocks.iter().flatten()
    }

    /// The value of this number, if there is one.
    #[inline(always)]
    pub fn get(&self, index: usize) -> Option<&T> {
        self.blocks.get(index >> Self::BITS)?.get(index & (Self::BLOCK - 1))
    }

    /// The value of this number, to change it.
    #[inline(always)]
    pub fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        self.touch(index);
        self.blocks.get_mut(index >> Self::BITS)?.get_mut(index & (Self::BLOCK - 1))
    }
}

impl<T> Index<usize> for Blocks<T> {
    type Output = T;

    #[inline(always)]
    fn index(&self, index: usize) -> &T {
        &self.blocks[index >> Self::BITS][index & (Self::BLOCK - 1)]
    }
}

impl<T> IndexMut<usize> for Blocks<T> {
    #[inline(always)]
    fn index_mut(&mut self, index: usize) -> &mut T {
        self.touch(index);
        &mut self.blocks[index >> Self::BITS][index & (Self::BLOCK - 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::encoding::{decode, encode};

    #[test]
    fn values_stay_where_they_are() {
        let most = 2 * Blocks::<usize>::BLOCK + 5;
        let mut list = Blocks::new();
        assert_eq!((list.push(0), list.len()), (0, 1));
        let first = std::ptr::from_ref(&list[0]);
        assert!((1..most).all(|n| list.push(n) == n));
        assert!(list.iter().copied().eq(0..most));
        assert_eq!((first, list.len()), (std::ptr::from_ref(&list[0]), most));
        list[most / 2] += 1;
        assert_eq!((list.get(most / 2), list.get(most)), (Some(&(most / 2 + 1)), None));
        assert_eq!(list.get_mut(u32::MAX as usize), None);
    }

    #[test]
    fn many_are_added_as_one_by_one() {
        let mut random = fastrand::Rng::with_seed(3);
        let (mut list, mut count) = (Blocks::new(), 0);
        while count < 3 * Blocks::<usize>::BLOCK {
            let more = random.usize(..2_000);
            assert_eq!(list.extend(count..count + more), count);
            count += more;
            assert_eq!(list.len(), count);
        }
        assert!(list.iter().copied().eq(0..count));
        assert_eq!(list.blocks[0].capacity(), Blocks::<usize>::BLOCK, "no block grows");
    }

    #[test]
    fn a_copy_has_room_for_a_whole_block() {
        let mut list = Blocks::<usize>::new();
        (0..5).for_each(|n| _ = list.push(n));
        let mut bytes = Vec::new();
        encode(&list, &mut bytes).unwrap();
        let mut copy: Blocks<usize> = decode(&mut &bytes[..]).unwrap();
        let first = std::ptr::from_ref(&copy[0]);
        (5..Blocks::<usize>::BLOCK).for_each(|n| _ = copy.push(n));
        assert_eq!((first, list.len()), (std::ptr::from_ref(&copy[0]), 5));
        assert!(copy.iter().copied().eq(0..Blocks::<usize>::BLOCK));
    }

    #[test]
    fn memory_is_used_again() {
        let most = 3 * Blocks::<usize>::BLOCK;
        let mut list = Blocks::new();
        (0..most).for_each(|n| _ = list.push(n));
        let first = std::ptr::from_ref(&list[0]);
        list.clear();
        assert_eq!((list.len(), list.get(0)), (0, None));
        (0..most).for_each(|n| _ = list.push(n + 1));
        assert_eq!((first, list.len(), list[0]), (std::ptr::from_ref(&list[0]), most, 1));
    }

    #[test]
    fn values_of_any_size_have_blocks() {
        let (mut none, mut large) = (Blocks::new(), Blocks::new());
        for n in 0..100_000 {
            assert_eq!(none.push(()), n);
        }
        for n in 0..5 {
            assert_eq!(large.push([n; 10_000]), n);
        }
        assert_eq!((none.len(), large.len(), large[4][9_999]), (100_000, 5, 4));
    }
}
