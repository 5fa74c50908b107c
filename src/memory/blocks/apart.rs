//! Blocks that are copied behind a barrier while they change: copy-on-first-write, page by page.

use std::ops::Range;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Blocks;
use crate::memory::bulk::{Bulk, Copied, Pieces};
use crate::memory::copying::{Copying, contents};
use crate::memory::encoding::{Versions, reading};
use crate::memory::row::{self, Row};
use crate::memory::spare::Spare;

/// What is copied at once, in bytes: some microseconds.
const PAGE_BYTES: usize = 4 << 10;

/// What keeps blocks from being only what they hold.
pub enum Apart<T> {
    /// They are being copied as they were at a barrier.
    Frozen(Frozen<T>),
    /// They are as they were copied before; this is what they are saved as.
    Referred {
        /// Which copy that is.
        id: u32,
    },
    /// They were restored without their values, which follow.
    Awaited {
        /// Which pieces they are in.
        id: u32,
        /// How many there are.
        len: usize,
        /// How they are written.
        versions: Versions,
    },
}

/// How far the copy of blocks has come.
pub struct Frozen<T> {
    copying: Copying,
    /// How many values there were.
    pub len: usize,
    /// Writes a page. Only whoever freezes has to know how.
    write: fn(&[T], &mut Vec<u8>) -> Result<(), String>,
    /// The blocks themselves, once all values have been forgotten.
    gone: Option<Vec<Vec<T>>>,
}

impl<T> Frozen<T> {
    pub fn id(&self) -> u32 {
        self.copying.id()
    }

    /// All values are about to be forgotten: keeps them for as long as they are needed.
    pub fn keep(&mut self, blocks: &mut Vec<Vec<T>>) {
        if self.gone.is_none() {
            self.gone = Some(std::mem::take(blocks));
        }
    }

    /// Copies the page of an index of `blocks`, unless that is done. Returns how many values that
    /// is.
    fn copy(&mut self, index: usize, blocks: &[Vec<T>]) -> usize {
        let page = index >> Blocks::<T>::PAGE_BITS;
        if self.copying.has(page) {
            return 0;
        }
        let values = Blocks::<T>::page(page, self.len);
        let (block, first) = (values.start >> Blocks::<T>::BITS, values.start);
        let within = first & (Blocks::<T>::BLOCK - 1);
        let values = &blocks[block][within..within + values.len()];
        self.copying.copy(page..page + 1, |out| {
            // The length is known behind the values: it lets pages be put in order unread.
            let at = out.len();
            out.extend_from_slice(&[0; 8]);
            (self.write)(values, out)?;
            let length = (out.len() - at - 8) as u32;
            out[at..at + 4].copy_from_slice(&(page as u32).to_le_bytes());
            out[at + 4..at + 8].copy_from_slice(&length.to_le_bytes());
            Ok(())
        });
        values.len()
    }
}

impl<T> Blocks<T> {
    /// How many values a page has, as a power of two; never more than a block.
    const PAGE_BITS: u32 = {
        let size = if size_of::<T>() == 0 { 1 } else { size_of::<T>() };
        let values = PAGE_BYTES / size;
        if values < 2 { 0 } else { values.ilog2() }
    };

    /// The indices of a page, of so many values in all.
    fn page(page: usize, len: usize) -> Range<usize> {
        let first = page << Self::PAGE_BITS;
        first..len.min(first + (1 << Self::PAGE_BITS))
    }

    /// Before a change to a value.
    #[inline(always)]
    pub(super) fn touch(&mut self, index: usize) {
        self.copied = None;
        if self.apart.is_some() {
            self.copy_first(index);
        }
    }

    #[cold]
    fn copy_first(&mut self, index: usize) {
        if let Some(Apart::Frozen(frozen)) = self.apart.as_deref_mut()
            && frozen.gone.is_none()
            && index < frozen.len
        {
            frozen.copy(index, &self.blocks);
        }
    }
}

impl<T: Serialize + DeserializeOwned> Bulk for Blocks<T> {
    fn freeze(&mut self, copy: Copied, spare: &Spare) {
        let len = self.len();
        let copying = Copying::new(copy.id, len.div_ceil(1 << Self::PAGE_BITS), spare);
        let write = |values: &[T], out: &mut Vec<u8>| {
            let mut row = Row::behind(out);
            values.iter().try_for_each(|value| row.put(value))
        };
        let frozen = Frozen { copying, len, write, gone: None };
        self.apart = Some(Box::new(Apart::Frozen(frozen)));
        self.copied = Some(copy);
    }

    fn unchanged(&self) -> Option<Copied> {
        self.copied
    }

    fn refer(&mut self, id: u32) {
        self.apart = Some(Box::new(Apart::Referred { id }));
    }

    fn frozen(&self) -> Option<u32> {
        match self.apart.as_deref() {
            Some(Apart::Frozen(frozen)) => Some(frozen.id()),
            Some(Apart::Referred { id }) => Some(*id),
            _ => None,
        }
    }

    fn slice(&mut self, budget: &mut usize, pieces: &mut Pieces<'_>) -> Result<bool, String> {
        let Some(mut apart) = self.apart.take() else { return Ok(true) };
        let frozen = match &mut *apart {
            Apart::Frozen(frozen) => frozen,
            Apart::Referred { .. } => return Ok(true),
            Apart::Awaited { .. } => {
                self.apart = Some(apart);
                return Ok(true);
            }
        };
        let gone = frozen.gone.take();
        while let Some(page) = frozen.copying.next(budget) {
            let blocks = gone.as_ref().unwrap_or(&self.blocks);
            let values = frozen.copy(page << Self::PAGE_BITS, blocks);
            *budget = budget.saturating_sub(values + 1);
        }
        let is_done = frozen.copying.hand_over(pieces)?;
        frozen.gone = gone;
        if !is_done {
            self.apart = Some(apart);
        } else if let Some(mut gone) = frozen.gone.take() {
            gone.iter_mut().for_each(Vec::clear);
            self.spare.append(&mut gone);
        }
        Ok(is_done)
    }

    fn awaits(&self) -> Option<u32> {
        match self.apart.as_deref() {
            Some(Apart::Awaited { id, .. }) => Some(*id),
            _ => None,
        }
    }

    fn fill(&mut self, pieces: &[&[u8]]) -> Result<(), String> {
        let Some(Apart::Awaited { len, versions, .. }) = self.apart.as_deref() else {
            return Ok(());
        };
        let pages = contents(pieces)?;
        *self = reading(*versions, || Self::of_pages(*len, &pages))?;
        Ok(())
    }
}

impl<T: DeserializeOwned> Blocks<T> {
    /// So many values, in the pages of some pieces.
    fn of_pages(len: usize, pieces: &[&[u8]]) -> Result<Self, String> {
        let mut pages = pages_of(pieces)?;
        pages.sort_unstable_by_key(|(page, _)| *page);
        let mut filled = Self::new();
        for (expected, (page, mut values)) in pages.into_iter().enumerate() {
            if page as usize != expected {
                return Err("a page that is missing or there twice".to_owned());
            }
            row::read(&mut values, Self::page(expected, len).len(), |value| {
                filled.push(value);
                Ok(())
            })?;
            if !values.is_empty() {
                return Err("a page of more values than it may have".to_owned());
            }
        }
        if filled.len() != len {
            return Err(format!("{} values, and there were {len}", filled.len()));
        }
        Ok(filled)
    }
}

/// The pages in some pieces, with their numbers.
fn pages_of<'a>(pieces: &[&'a [u8]]) -> Result<Vec<(u32, &'a [u8])>, String> {
    let mut pages = Vec::new();
    for piece in pieces {
        let mut rest = *piece;
        while let Some((head, behind)) = rest.split_first_chunk::<8>() {
            let [p0, p1, p2, p3, length @ ..] = *head;
            let length = u32::from_le_bytes(length) as usize;
            let Some((values, others)) = behind.split_at_checked(length) else {
                return Err("a page that is cut off".to_owned());
            };
            pages.push((u32::from_le_bytes([p0, p1, p2, p3]), values));
            rest = others;
        }
        if !rest.is_empty() {
            return Err("a page that is cut off".to_owned());
        }
    }
    Ok(pages)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::encoding::{decode, encode};

    fn written(blocks: &Blocks<u64>) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(blocks, &mut bytes).unwrap();
        bytes
    }

    fn read(bytes: &[u8]) -> Blocks<u64> {
        decode(&mut &bytes[..]).unwrap()
    }

    fn change(rng: &mut fastrand::Rng, blocks: &mut Blocks<u64>) {
        match rng.u32(..20) {
            0..8 => (0..rng.u64(..2_000)).for_each(|n| _ = blocks.push(n)),
            8..13 if blocks.len() > 0 => {
                let index = rng.usize(..blocks.len());
                blocks[index] += 1;
            }
            13..18 => _ = blocks.get_mut(rng.usize(..30_000)).map(|value| *value *= 3),
            18 => blocks.clear(),
            _ => {}
        }
    }

    #[test]
    fn what_is_copied_is_what_there_was() {
        for seed in 0..50 {
            let (mut rng, mut blocks) = (fastrand::Rng::with_seed(seed), Blocks::new());
            for id in 0..20 {
                (0..rng.u32(..40)).for_each(|_| change(&mut rng, &mut blocks));
                let at_once = written(&blocks);
                blocks.freeze(Copied { epoch: 1, id }, &Spare::default());
                let (header, mut pieces) = (written(&blocks), Vec::new());
                assert_eq!(read(&header).awaits(), Some(id));
                loop {
                    (0..rng.u32(..4)).for_each(|_| change(&mut rng, &mut blocks));
                    let mut take = |_, piece| pieces.push(piece);
                    if blocks.slice(&mut rng.usize(1..2_000), &mut take).unwrap() {
                        break;
                    }
                    assert_eq!(blocks.frozen(), Some(id));
                }
                assert_eq!(blocks.frozen(), None);
                rng.shuffle(&mut pieces);
                let mut copy = read(&header);
                copy.fill(&pieces.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
                assert!(copy.awaits().is_none() && written(&copy) == at_once, "seed {seed}, {id}");
                let says = |blocks: &Blocks<u64>| blocks.unchanged().is_some();
                let is_right = |blocks: &Blocks<u64>| !says(blocks) || written(blocks) == at_once;
                assert!(is_right(&blocks), "seed {seed}, {id}");
                change(&mut rng, &mut blocks);
                assert!(is_right(&blocks), "seed {seed}, {id}");
            }
        }
    }

    #[test]
    fn what_is_no_copy_is_an_error() {
        let mut blocks = Blocks::new();
        (0..5_000u64).for_each(|n| _ = blocks.push(n));
        blocks.freeze(Copied { epoch: 1, id: 3 }, &Spare::default());
        let (header, mut bytes) = (written(&blocks), Vec::new());
        blocks.slice(&mut usize::MAX.clone(), &mut |_, piece| bytes.extend(piece)).unwrap();
        let filled = |pieces: &[&[u8]]| read(&header).fill(pieces);
        assert_eq!(filled(&[&bytes]), Ok(()));
        assert!(filled(&[]).is_err() && filled(&[&bytes, &bytes]).is_err());
        assert!((0..bytes.len()).step_by(397).all(|end| filled(&[&bytes[..end]]).is_err()));
    }
}
