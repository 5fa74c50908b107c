//! A result as one number, whatever the order of its rows.

use std::hash::{Hash, Hasher};

use crate::cli::baseline::Checksum;
use crate::cli::scenario::trial::{Found, Tally};
use crate::dataflow::{Change, Stage, Stream};
use crate::nexmark::{Results, Row};
use crate::state::Key;

/// Adds up the hashes of all rows, and takes those away again that are taken back.
pub struct Digest(pub Found);

impl Results for Digest {
    fn take<R: Row>(self, rows: Stream<'_, impl Stage<Out = Change<R>>>) {
        let add = |found: &mut Checksum, change: Change<R>| {
            found.change(0, change.before().map(hash), change.after().map(hash));
        };
        rows.sink(Tally::new(&self.0, add));
    }
}

fn hash(row: &impl Hash) -> u64 {
    let mut words = Words(0);
    row.hash(&mut words);
    words.finish()
}

/// Mixes eight bytes at a time, the same way in every run.
struct Words(u64);

impl Hasher for Words {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        words.iter().for_each(|word| self.write_u64(u64::from_le_bytes(*word)));
        if !rest.is_empty() {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    #[inline]
    fn write_u64(&mut self, word: u64) {
        self.0 = word.mix(self.0);
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}
