//! What a record can be keyed by.

use core::cmp::Reverse;

use super::value::Stored;
use crate::time::Timestamp;

/// A key: small, copied, ordered, and hashed the same way on every shard and every run.
///
/// Integers, `bool`, `char`, [`Timestamp`], tuples of up to four keys, arrays of up to 32 keys,
/// [`Text`](super::Text) and the [`Reverse`] of a key are keys.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a key",
    label = "`{Self}` is used as a key here",
    note = "keys are integers, `bool`, `char`, tuples and arrays of up to 32 keys, and `Text<N>`; \
            a float is not one: use its bits or an integer price"
)]
pub trait Key: Copy + Ord + Send + std::fmt::Debug + Stored {
    /// Mixes this key into `hash`. Equal keys mix equally; the engine finishes and seeds the hash.
    fn mix(self, hash: u64) -> u64;
}

/// One round of a 64 x 64 -> 128 bit multiply folded back to 64 bits (the step of wyhash and
/// foldhash).
#[inline(always)]
pub(crate) const fn fold(a: u64, b: u64) -> u64 {
    let product = (a as u128).wrapping_mul(b as u128);
    (product as u64) ^ ((product >> 64) as u64)
}

/// An odd constant with balanced bits (2^64 divided by the golden ratio).
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Hashes a key under a seed. Every bit of the result may be used.
#[inline(always)]
pub fn hash<K: Key>(key: K, seed: u64) -> u64 {
    key.mix(seed)
}

macro_rules! integer_keys {
    ($($int:ty),*) => {$(
        impl Key for $int {
            #[inline(always)]
            fn mix(self, hash: u64) -> u64 {
                fold(self as u64 ^ hash, GOLDEN ^ hash.rotate_left(32))
            }
        }
    )*};
}
integer_keys!(u8, u16, u32, u64, usize, i8, i16, i32, i64, isize, bool, char);

impl Key for u128 {
    #[inline(always)]
    fn mix(self, hash: u64) -> u64 {
        ((self >> 64) as u64).mix((self as u64).mix(hash))
    }
}

impl Key for i128 {
    #[inline(always)]
    fn mix(self, hash: u64) -> u64 {
        (self as u128).mix(hash)
    }
}

impl Key for Timestamp {
    #[inline(always)]
    fn mix(self, hash: u64) -> u64 {
        self.as_nanos().mix(hash)
    }
}

impl<K: Key> Key for Reverse<K> {
    #[inline(always)]
    fn mix(self, hash: u64) -> u64 {
        self.0.mix(hash)
    }
}

impl Key for () {
    #[inline(always)]
    fn mix(self, hash: u64) -> u64 {
        hash
    }
}

macro_rules! tuple_keys {
    ($(($($name:ident),+)),*) => {$(
        impl<$($name: Key),+> Key for ($($name,)+) {
            #[inline(always)]
            #[allow(non_snake_case)]
            fn mix(self, hash: u64) -> u64 {
                let ($($name,)+) = self;
                $(let hash = $name.mix(hash);)+
                hash
            }
        }
    )*};
}
tuple_keys!((A), (A, B), (A, B, C), (A, B, C, D));

macro_rules! array_keys {
    ($($len:literal)+) => {$(
        impl<K: Key> Key for [K; $len] {
            #[inline]
            fn mix(self, hash: u64) -> u64 {
                self.into_iter().fold(hash ^ $len, |hash, key| key.mix(hash))
            }
        }
    )+};
}
// As far as serde goes.
array_keys!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16);
array_keys!(17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_top_bits_spread_small_integers() {
        let mut groups = [0u32; 128];
        for key in 0..128_000u64 {
            groups[(hash(key, 42) >> 57) as usize] += 1;
        }
        assert!(groups.iter().all(|&n| (800..1200).contains(&n)), "{groups:?}");
    }

    #[test]
    fn the_seed_changes_the_hash_and_order_matters() {
        assert_ne!(hash(7u32, 1), hash(7u32, 2));
        assert_ne!(hash((1u8, 2u8), 0), hash((2u8, 1u8), 0));
        assert_ne!(hash([0u8; 2], 0), hash([0u8; 3], 0));
    }
}
