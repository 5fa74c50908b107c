//! A result as one number, whatever the order of its rows.

use serde::{Deserialize, Serialize};

/// Odd numbers, one for each place of a row.
const PLACES: [u64; 6] = [
    0x9e37_79b9_7f4a_7c15,
    0xc2b2_ae3d_27d4_eb4f,
    0x1656_67b1_9e37_79f9,
    0x27d4_eb2f_1656_67c5,
    0x8525_28a1_cc9b_4d2b,
    0xd6e8_feb8_6659_fd93,
];

/// The rows found so far: how many, and the sum of their hashes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    /// How many rows.
    pub rows: u64,
    /// The sum of their hashes.
    pub hash: u64,
}

impl Digest {
    /// Takes in a row.
    #[inline(always)]
    pub fn add<const N: usize>(&mut self, row: [u64; N]) {
        self.rows += 1;
        self.hash = self.hash.wrapping_add(hash(row));
    }

    /// Takes a row back.
    #[inline(always)]
    pub fn remove<const N: usize>(&mut self, row: [u64; N]) {
        self.rows = self.rows.wrapping_sub(1);
        self.hash = self.hash.wrapping_sub(hash(row));
    }

    /// Takes in what another thread found.
    pub fn merge(&mut self, other: Self) {
        self.rows = self.rows.wrapping_add(other.rows);
        self.hash = self.hash.wrapping_add(other.hash);
    }
}

/// The hash of a row. Words of zero at its end change nothing.
#[inline(always)]
fn hash<const N: usize>(row: [u64; N]) -> u64 {
    let terms = row.iter().zip(PLACES).map(|(word, odd)| word.wrapping_mul(odd));
    mix(terms.fold(0, u64::wrapping_add))
}

/// Spreads an integer over all bits (the finaliser of splitmix64, Steele et al., OOPSLA 2014).
#[inline(always)]
pub const fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A text as a word of a row: its CRC-32 as in zip, which every language has.
pub fn text(text: &str) -> u64 {
    let crc = text.bytes().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| match crc & 1 {
            1 => (crc >> 1) ^ 0xedb8_8320,
            _ => crc >> 1,
        })
    });
    u64::from(!crc)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter_and_what_is_taken_back_is_gone() {
        let (mut one, mut other) = (Digest::default(), Digest::default());
        one.add([1, 2]);
        one.add([2, 1]);
        other.add([2, 1]);
        other.add([7, 7]);
        other.add([1, 2, 0]);
        assert_ne!(one, other);
        other.remove([7, 7]);
        assert_eq!(one, other);
    }

    #[test]
    fn texts_are_those_of_zip() {
        assert_eq!(text("123456789"), 0xcbf4_3926);
    }
}
