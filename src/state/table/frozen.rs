//! A table that is copied behind a barrier while records change it: copy-on-write, chain by chain,
//! but for the first few changes to a chain, of which only the [values](super::notes) are kept.
//!
//! What is copied is marked by bits, one for each entry of the directory as it was at the barrier.
//! A chain can split, and the directory can double, only by a change, before which the chain was
//! copied; so a chain that has no bit yet is the one that was there at the barrier, and lies where
//! the same hash leads now.

use std::ptr::NonNull;

use super::super::key::Key;
use super::super::value::State;
use super::Table;
use super::notes::Notes;
use super::stored::{Header, write_chain};
use super::sub::{Slot, Sub};
use crate::memory::copying::{Copying, contents};
use crate::memory::encoding::Versions;
use crate::memory::{Bulk, Copied, Pieces, Spare};

/// What keeps a table from being only what it holds.
pub enum Apart<K, V> {
    /// It is being copied as it was at a barrier.
    Frozen(Frozen<K, V>),
    /// It is as it was copied before; this is what it is saved as.
    Referred(Header),
    /// It was restored without its chains, which follow, written so.
    Awaited(Header, Versions),
}

/// How far the copy of a table has come.
pub struct Frozen<K, V> {
    pub header: Header,
    /// 64 less the depth that the directory had.
    shift: u32,
    /// By the entries of that directory.
    copying: Copying,
    /// Of chains that have not been copied.
    notes: Notes<K, V>,
}

impl<K: Key, V: State> Frozen<K, V> {
    /// Copies the chain that a hash leads to, unless that is done. Returns how many keys it has.
    #[inline]
    fn copy(&mut self, hash: u64, head: Sub<K, V>) -> usize {
        let entry = (hash >> self.shift) as usize;
        if self.copying.has(entry) { 0 } else { self.copy_chain(entry, head) }
    }

    /// Notes what is in a slot, or copies the chain, unless that is done.
    #[inline]
    fn note(&mut self, hash: u64, head: Sub<K, V>, slot: NonNull<Slot<K, V>>) {
        let entry = (hash >> self.shift) as usize;
        if !self.copying.has(entry) && !self.notes.add(head, slot) {
            self.copy_chain(entry, head);
        }
    }

    #[cold]
    fn copy_chain(&mut self, entry: usize, head: Sub<K, V>) -> usize {
        let entries = 1usize << (64 - self.shift - head.depth());
        let first = entry & !(entries - 1);
        let hash = (first as u64) << self.shift;
        let Self { copying, notes, .. } = self;
        notes.as_it_was(head, || {
            copying.copy(first..first + entries, |out| write_chain(hash, head, out));
        });
        std::iter::successors(Some(head), |sub| sub.next()).map(Sub::count).sum()
    }
}

impl<K: Key, V: State> Table<K, V> {
    /// Before a key comes, goes or moves where a hash leads to.
    #[inline(always)]
    pub(super) fn touch(&mut self, hash: u64) {
        self.copied = None;
        if self.apart.is_some() {
            self.copy_first(hash);
        }
    }

    /// Before a change to what is in a slot that a hash leads to.
    #[inline(always)]
    pub(super) fn touch_slot(&mut self, hash: u64, slot: NonNull<Slot<K, V>>) {
        self.copied = None;
        if self.apart.is_some() {
            self.note_first(hash, slot);
        }
    }

    #[inline(never)]
    fn copy_first(&mut self, hash: u64) {
        let head = self.head(hash);
        if let Some(Apart::Frozen(frozen)) = self.apart.as_deref_mut() {
            frozen.copy(hash, head);
        }
    }

    #[inline(never)]
    fn note_first(&mut self, hash: u64, slot: NonNull<Slot<K, V>>) {
        let head = self.head(hash);
        if let Some(Apart::Frozen(frozen)) = self.apart.as_deref_mut() {
            frozen.note(hash, head, slot);
        }
    }
}

impl<K: Key, V: State> Bulk for Table<K, V> {
    fn freeze(&mut self, copy: Copied, spare: &Spare) {
        let copying = Copying::new(copy.id, self.directory.len(), spare);
        let (header, shift) = (self.header(Some(copy.id)), self.shift);
        let mut notes = match self.apart.take().map(|apart| *apart) {
            Some(Apart::Frozen(given_up)) => given_up.notes,
            _ => std::mem::take(&mut self.notes),
        };
        notes.begin();
        self.apart = Some(Box::new(Apart::Frozen(Frozen { header, shift, copying, notes })));
        self.copied = Some(copy);
    }

    fn unchanged(&self) -> Option<Copied> {
        self.copied
    }

    fn refer(&mut self, id: u32) {
        self.apart = Some(Box::new(Apart::Referred(self.header(Some(id)))));
    }

    fn frozen(&self) -> Option<u32> {
        match self.apart.as_deref() {
            Some(Apart::Frozen(frozen)) => Some(frozen.copying.id()),
            Some(Apart::Referred(header)) => header.apart,
            _ => None,
        }
    }

    fn slice(&mut self, budget: &mut usize, pieces: &mut Pieces<'_>) -> Result<bool, String> {
        let Some(mut apart) = self.apart.take() else { return Ok(true) };
        let frozen = match &mut *apart {
            Apart::Frozen(frozen) => frozen,
            Apart::Referred(_) => return Ok(true),
            Apart::Awaited(..) => {
                self.apart = Some(apart);
                return Ok(true);
            }
        };
        while let Some(entry) = frozen.copying.next(budget) {
            let hash = (entry as u64) << frozen.shift;
            let keys = frozen.copy(hash, self.head(hash));
            *budget = budget.saturating_sub(keys + 1);
        }
        let is_done = frozen.copying.hand_over(pieces)?;
        if is_done {
            self.notes = std::mem::take(&mut frozen.notes);
        } else {
            self.apart = Some(apart);
        }
        Ok(is_done)
    }

    fn awaits(&self) -> Option<u32> {
        match self.apart.as_deref() {
            Some(Apart::Awaited(header, _)) => header.apart,
            _ => None,
        }
    }

    fn fill(&mut self, pieces: &[&[u8]]) -> Result<(), String> {
        if let Some(Apart::Awaited(header, versions)) = self.apart.as_deref() {
            *self = Self::read(header, &contents(pieces)?, *versions)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Cursor;
    use super::*;
    use crate::memory::encoding::{decode, encode};

    /// A key whose hashes are nearly all equal, so that sub-tables get links.
    #[derive(
        Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
    )]
    struct Clash(u32);

    impl Key for Clash {
        fn mix(self, _: u64) -> u64 {
            (u64::from(self.0) % 3).reverse_bits() >> 7 | 5
        }
    }

    fn written<K: Key>(table: &Table<K, u64>) -> Vec<u8> {
        let mut bytes = Vec::new();
        encode(table, &mut bytes).unwrap();
        bytes
    }

    fn read<K: Key>(bytes: &[u8]) -> Table<K, u64> {
        decode(&mut &bytes[..]).unwrap()
    }

    /// Changes a table in one of the ways there are.
    fn change<K: Key>(random: &mut fastrand::Rng, table: &mut Table<K, u64>, keys: &[K]) {
        let (from, cut) = (&mut Cursor::default(), random.usize(1..300));
        match random.u32(..19) {
            0..6 => table.update_batch(keys, keys, |sum, _| *sum += 1),
            6..9 => keys.iter().for_each(|&key| *table.entry(key) += 1),
            9..12 => keys.iter().for_each(|&key| _ = table.get_mut(key).map(|sum| *sum += 1)),
            12..15 => keys.iter().for_each(|&key| _ = table.remove(key)),
            15 => _ = table.retain_slice(from, cut, |_, sum| sum % 2 == 0),
            16 => _ = table.drain(from, cut, |_, _| ()),
            17 => _ = table.clear_slice(from, cut),
            _ => table.reserve(cut * 8),
        }
    }

    /// Freezes a table at random moments, changes it while it is copied in slices, and compares
    /// what was copied with what was written at once; and the table with one that is never frozen.
    fn is_copied_as_it_was<K: Key>(seed: u64, range: u32, key: impl Fn(u32) -> K) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut table = Table::<K, u64>::new(seed);
        let mut other = Table::<K, u64>::new(seed);
        let mut changed = |random: &mut fastrand::Rng, table: &mut Table<K, u64>| {
            let count = random.usize(..150);
            let keys: Vec<K> = (0..count).map(|_| key(random.u32(..range))).collect();
            change(&mut random.clone(), &mut other, &keys);
            change(random, table, &keys);
            assert!(table.frozen().is_some() || written(table) == written(&other), "seed {seed}");
        };
        for id in 0..20 {
            (0..random.u32(..60)).for_each(|_| changed(&mut random, &mut table));
            let at_once = written(&table);
            if random.u32(..9) == 0 {
                // A checkpoint that was given up.
                table.freeze(Copied { epoch: 0, id: 100 }, &Spare::default());
                (0..random.u32(..9)).for_each(|_| changed(&mut random, &mut table));
            }
            let at_once = if table.frozen().is_none() { at_once } else { continue };
            table.freeze(Copied { epoch: 1, id }, &Spare::default());
            let (header, mut pieces) = (written(&table), Vec::new());
            loop {
                (0..random.u32(..4)).for_each(|_| changed(&mut random, &mut table));
                let mut take = |of, piece| {
                    assert_eq!(of, id);
                    pieces.push(piece);
                };
                if table.slice(&mut random.usize(1..400), &mut take).unwrap() {
                    break;
                }
                assert_eq!(table.frozen(), Some(id));
            }
            assert_eq!(table.frozen(), None);
            random.shuffle(&mut pieces);
            let mut copy = read::<K>(&header);
            assert_eq!(copy.awaits(), Some(id));
            copy.fill(&pieces.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
            assert!(copy.awaits().is_none() && written(&copy) == at_once, "seed {seed}, id {id}");
            let says = |table: &Table<K, u64>| table.unchanged().is_some();
            let is_right = |table: &Table<K, u64>| !says(table) || written(table) == at_once;
            assert!(is_right(&table), "seed {seed}, id {id}");
            changed(&mut random, &mut table);
            assert!(is_right(&table), "seed {seed}, id {id}");
        }
    }

    #[test]
    fn what_is_copied_is_what_there_was() {
        for seed in 0..20 {
            is_copied_as_it_was(seed, 300, |n| n);
            is_copied_as_it_was(seed, 20_000, u64::from);
            is_copied_as_it_was(seed, 3_000, Clash);
        }
    }

    #[test]
    fn a_slice_is_as_long_as_its_budget() {
        let mut table = Table::<u32, u64>::new(1);
        (0..100_000).for_each(|key| *table.entry(key) = 1);
        let (mut slices, mut done) = (0, false);
        table.freeze(Copied { epoch: 1, id: 0 }, &Spare::default());
        while !done {
            let mut budget = 250;
            done = table.slice(&mut budget, &mut |_, _| ()).unwrap();
            slices += 1;
        }
        assert!((200..1_500).contains(&slices), "{slices}");
    }

    #[test]
    fn what_several_threads_read_is_what_one_does() {
        let mut table = Table::<u64, u64>::new(1);
        (0..200_000).for_each(|key| *table.entry(key) = key * 7);
        table.freeze(Copied { epoch: 1, id: 7 }, &Spare::default());
        let (header, mut pieces) = (written(&table), Vec::new());
        table.slice(&mut usize::MAX.clone(), &mut |_, piece| pieces.push(piece)).unwrap();
        let of = |pieces: &[Vec<u8>]| pieces.iter().map(Vec::len).sum::<usize>();
        assert!(pieces.len() > 9 && of(&pieces) > 3 << 20, "{} pieces", pieces.len());
        let mut copy = read::<u64>(&header);
        copy.fill(&pieces.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
        assert_eq!(written(&copy), written(&table));
        // It grows as the other does, in what was left over of the memory of all.
        for key in 200_000..250_000 {
            *copy.entry(key) = key;
            *table.entry(key) = key;
        }
        assert_eq!(written(&copy), written(&table));
        // Two pieces with the same chains, which two threads may have read.
        pieces.push(pieces[3].clone());
        let twice = pieces.iter().map(Vec::as_slice).collect::<Vec<_>>();
        assert!(read::<u64>(&header).fill(&twice).is_err());
    }

    #[test]
    fn pieces_that_are_not_all_there_are_an_error() {
        let mut table = Table::<u32, u64>::new(1);
        (0..9_000).for_each(|key| *table.entry(key) = 1);
        table.freeze(Copied { epoch: 1, id: 7 }, &Spare::default());
        let (header, mut bytes) = (written(&table), Vec::new());
        table.slice(&mut usize::MAX.clone(), &mut |_, piece| bytes.extend(piece)).unwrap();
        let filled = |pieces: &[&[u8]]| read::<u32>(&header).fill(pieces);
        assert_eq!(filled(&[&bytes]), Ok(()));
        assert!(filled(&[]).is_err() && filled(&[&bytes, &bytes]).is_err());
        assert!((0..bytes.len()).step_by(997).all(|end| filled(&[&bytes[..end]]).is_err()));
    }
}
