//! How far the copy of something large has come.

use crate::memory::bulk::Pieces;
use crate::memory::spare::{PIECE, Spare};

/// What has been copied of something that is made of entries, and what of that has not been handed
/// over yet.
pub struct Copying {
    id: u32,
    /// Which entries have been copied, 64 to a word.
    copied: Vec<u64>,
    /// How many have not.
    left: usize,
    /// The first word that may have such entries.
    next: usize,
    /// What was copied last.
    bytes: Vec<u8>,
    /// Pieces that are long enough to be handed over.
    full: Vec<Vec<u8>>,
    /// Where the next piece comes from.
    spare: Spare,
    /// What went wrong first.
    wrong: Option<String>,
}

impl Copying {
    /// Nothing has been copied, of so many entries.
    pub fn new(id: u32, entries: usize, spare: &Spare) -> Self {
        // The last word may have bits of no entry, which are never set.
        let copied = vec![0; entries.div_ceil(64)];
        let (bytes, full) = (Vec::new(), Vec::new());
        let (left, spare) = (entries, spare.clone());
        Self { id, copied, left, next: 0, bytes, full, spare, wrong: None }
    }

    /// What it is the copy of.
    pub fn id(&self) -> u32 {
        self.id
    }

    /// Whether an entry has been copied.
    #[inline(always)]
    pub fn has(&self, entry: usize) -> bool {
        self.copied[entry / 64] >> (entry % 64) & 1 != 0
    }

    /// Copies entries, of which none has been, by what `write` writes.
    pub fn copy(
        &mut self,
        entries: std::ops::Range<usize>,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), String>,
    ) {
        if self.bytes.len() >= PIECE {
            self.full.push(std::mem::replace(&mut self.bytes, self.spare.take()));
        }
        if let Err(wrong) = write(&mut self.bytes) {
            self.wrong.get_or_insert(wrong);
        }
        self.left -= entries.len();
        for entry in entries {
            self.copied[entry / 64] |= 1 << (entry % 64);
        }
    }

    /// The first entry that has not been copied, if there is one and budget to look for it: words
    /// that are passed over cost a unit for every sixteen.
    pub fn next(&mut self, budget: &mut usize) -> Option<usize> {
        if self.left == 0 {
            return None;
        }
        let from = self.next;
        while *budget > 0 && self.copied[self.next] == u64::MAX {
            self.next += 1;
            *budget -= usize::from((self.next - from).is_multiple_of(16));
        }
        let entry = self.next * 64 + (!self.copied[self.next]).trailing_zeros() as usize;
        (*budget > 0).then_some(entry)
    }

    /// Hands over what there is; returns whether that was all.
    ///
    /// # Errors
    /// What could not be written.
    pub fn hand_over(&mut self, pieces: &mut Pieces<'_>) -> Result<bool, String> {
        if let Some(wrong) = self.wrong.take() {
            return Err(wrong);
        }
        self.full.drain(..).for_each(|piece| pieces(self.id, piece));
        if self.left == 0 {
            pieces(self.id, std::mem::take(&mut self.bytes));
        }
        Ok(self.left == 0)
    }
}
