//! The check sum of the journal: CRC-32C, which processors compute eight bytes at a time.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::memory::helpers::together;

/// The check sum of `bytes`, begun from `seed`: another seed gives another sum of any bytes.
#[inline(always)]
pub fn crc(seed: u32, bytes: &[u8]) -> u32 {
    crc32c::crc32c_append(seed, bytes)
}

/// The check sum of two pieces, one behind the other, from that of each, which were begun from 0.
pub fn crc_of_both(first: u32, second: u32, second_bytes: usize) -> u32 {
    crc32c::crc32c_combine(first, second, second_bytes)
}

/// The check sum of what may be long, begun from 0; by several threads if it is.
pub fn crc_of_all(bytes: &[u8]) -> u32 {
    const PIECE: usize = 1 << 20;
    let next = AtomicUsize::new(0);
    let sums = || {
        let mut sums = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(piece) = bytes.chunks(PIECE).nth(index) else { return sums };
            sums.push((index, crc(0, piece), piece.len()));
        }
    };
    let mut sums = together(bytes.len() / (4 * PIECE), sums).concat();
    sums.sort_unstable();
    sums.into_iter().fold(0, |all, (_, sum, length)| crc_of_both(all, sum, length))
}

/// A seed out of a segment's salt, a place or sequence in it, and a length.
#[inline(always)]
pub const fn seed(salt: u64, place: u64, bytes: usize) -> u32 {
    let mixed = salt.wrapping_add(place) ^ (bytes as u64).rotate_left(40);
    let mixed = mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_that_of_the_standard() {
        assert_eq!(crc(0, b"123456789"), 0xe306_9283);
        assert_eq!(crc(crc(0, b"1234"), b"56789"), 0xe306_9283);
        assert_eq!(crc_of_both(crc(0, b"1234"), crc(0, b"56789"), 5), 0xe306_9283);
        assert_eq!(crc_of_both(0, crc(0, b"123456789"), 9), 0xe306_9283);
        let long: Vec<u8> = (0..9_100_007u32).map(|n| (n.wrapping_mul(n) >> 7) as u8).collect();
        for length in [0, 9, 1 << 20, 9_000_000, long.len()] {
            assert_eq!(crc_of_all(&long[..length]), crc(0, &long[..length]));
        }
    }

    #[test]
    fn another_seed_gives_another_sum() {
        let bytes = [7; 80];
        for (salt, place, len) in [(1, 2, 3), (1, 2, 4), (1, 3, 3), (2, 2, 3)] {
            for (other, at, length) in [(9, 2, 3), (1, 2, 5), (1, 4, 3)] {
                let [one, two] = [seed(salt, place, len), seed(other, at, length)];
                assert_ne!(crc(one, &bytes), crc(two, &bytes));
            }
        }
    }
}
