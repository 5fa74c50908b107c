//! How far the copy of something large has come.

use crate::memory::bulk::Pieces;
use crate::memory::spare::{PIECE, Spare};

/// Bytes in front of a piece, which say how long it is: of pieces that lie one behind the other in
/// a file, each can be read without those before it.
const HEAD: usize = 8;

/// From how many bytes on the first piece is one that has served: what is small takes memory of its
/// own, and gives it back.
const SMALL: usize = PIECE / 8;

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
    /// What was copied last, and whether that memory has come from `spare`.
    bytes: Vec<u8>,
    is_spare: bool,
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
        Self { id, copied, left, next: 0, bytes, is_spare: false, full, spare, wrong: None }
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
            let next = self.spare.take();
            self.full.push(finished(std::mem::replace(&mut self.bytes, next)));
        }
        if self.bytes.is_empty() {
            self.bytes.extend_from_slice(&[0; HEAD]);
        }
        if let Err(wrong) = write(&mut self.bytes) {
            self.wrong.get_or_insert(wrong);
        }
        if !self.is_spare && self.bytes.len() >= SMALL {
            let mut piece = self.spare.take();
            piece.extend_from_slice(&self.bytes);
            (self.bytes, self.is_spare) = (piece, true);
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
            self.is_spare = false;
            pieces(self.id, finished(std::mem::take(&mut self.bytes)));
        }
        Ok(self.left == 0)
    }
}

impl Drop for Copying {
    /// What was not handed over is of no use.
    fn drop(&mut self) {
        self.full.drain(..).for_each(|piece| self.spare.give_back(piece));
        if self.is_spare {
            self.spare.give_back(std::mem::take(&mut self.bytes));
        }
    }
}

/// A piece that gets nothing more.
fn finished(mut piece: Vec<u8>) -> Vec<u8> {
    let length = piece.len() as u64;
    if let Some(head) = piece.first_chunk_mut() {
        *head = length.to_le_bytes();
    }
    piece
}

/// What is in pieces, of which several may have become one.
///
/// # Errors
/// A piece that is cut off.
pub fn contents<'a>(pieces: &[&'a [u8]]) -> Result<Vec<&'a [u8]>, String> {
    let mut contents = Vec::new();
    for mut rest in pieces.iter().copied() {
        while !rest.is_empty() {
            let length = rest.first_chunk::<HEAD>().map(|head| u64::from_le_bytes(*head) as usize);
            let cut =
                length.filter(|length| *length >= HEAD).and_then(|at| rest.split_at_checked(at));
            let (piece, behind) = cut.ok_or("a piece that is cut off")?;
            contents.push(&piece[HEAD..]);
            rest = behind;
        }
    }
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Copies some entries that take so many bytes each.
    fn copy_some(copying: &mut Copying, entries: usize, bytes: usize) {
        for entry in 0..entries {
            copying.copy(entry..entry + 1, |out| {
                out.resize(out.len() + bytes, 1);
                Ok(())
            });
        }
    }

    /// The pieces of entries that take so many bytes each.
    fn copy(spare: &Spare, entries: usize, bytes: usize) -> Vec<bytes::Bytes> {
        let (mut copying, mut pieces) = (Copying::new(0, entries, spare), Vec::new());
        copy_some(&mut copying, entries, bytes);
        let is_all = copying.hand_over(&mut |_, piece| pieces.push(spare.lend(piece)));
        assert_eq!(is_all, Ok(true));
        pieces
    }

    #[test]
    fn checkpoint_after_checkpoint_holds_what_the_largest_took() {
        let spare = Spare::default();
        for round in 0..100 {
            // Three pieces, one whose only entry is longer than a piece, and one that is small.
            let large = copy(&spare, 60, 10_000);
            let long = copy(&spare, 1, PIECE + PIECE / 2);
            let small = copy(&spare, 9, 100);
            assert_eq!([large.len(), long.len(), small.len()], [3, 1, 1]);
            assert_eq!(spare.held(), 0, "in round {round} a piece was not used again");
            drop((large, long, small));
            // One that is given up on the way.
            copy_some(&mut Copying::new(1, 70, &spare), 60, 10_000);
            assert_eq!(spare.held(), 4, "after round {round}");
        }
    }

    #[test]
    fn pieces_are_told_apart_when_they_have_become_one() {
        let mut copying = Copying::new(7, 9, &Spare::default());
        let mut write = |entry: usize, bytes: usize| {
            copying.copy(entry..entry + 1, |out| {
                out.resize(out.len() + bytes, entry as u8);
                Ok(())
            });
        };
        (0..9).for_each(|entry| write(entry, if entry == 4 { PIECE } else { 100 }));
        let mut handed_over = Vec::new();
        let is_all = copying.hand_over(&mut |id, piece| {
            assert_eq!(id, 7);
            handed_over.push(piece);
        });
        assert_eq!(is_all, Ok(true));
        assert_eq!(handed_over.len(), 2);
        let apart: Vec<&[u8]> = handed_over.iter().map(Vec::as_slice).collect();
        let joined = apart.concat();
        let read = contents(&[&joined]).unwrap();
        assert_eq!(read, contents(&apart).unwrap());
        assert_eq!(read.iter().map(|piece| piece.len()).collect::<Vec<_>>(), [PIECE + 400, 400]);
        let is_cut = |end: &usize| contents(&[&joined[..*end]]).is_err();
        let ends = (1..joined.len()).step_by(101).filter(|end| *end != PIECE + 400 + HEAD);
        assert!(ends.clone().count() > 2_000 && ends.clone().all(|end| is_cut(&end)));
        assert!(contents(&[&[0; 80]]).is_err() && contents(&[]).is_ok_and(|none| none.is_empty()));
    }
}
