//! Records as words.

use std::sync::atomic::Ordering;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::net::shared::ring::Word;
use crate::time::Timestamp;

/// What can cross between processes: plain bytes without padding, all of which are some value,
/// whatever the other process writes. Everything that derives `FromBytes`, `IntoBytes` and
/// `Immutable` of the crate `zerocopy` and is `Copy` is that; numbers and arrays of them are.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot cross between processes",
    label = "not every pattern of bytes is a value of this type, or it has padding",
    note = "it must be `Copy` and derive `FromBytes`, `IntoBytes` and `Immutable` of `zerocopy`, \
            with `#[repr(C)]`"
)]
pub trait Plain: FromBytes + IntoBytes + Immutable + Copy + 'static {}

impl<T: FromBytes + IntoBytes + Immutable + Copy + 'static> Plain for T {}

/// How many words a record takes: its timestamp, and its value filled up with zeros.
pub const fn words<T>() -> usize {
    1 + size_of::<T>().div_ceil(8)
}

/// Writes a record into a slot, word by word: the other side may be reading, and then what it reads
/// is a mixture, and no more.
#[inline(always)]
pub fn write<T: Plain, W: Word>(slot: &[W], at: Timestamp, value: &T) {
    let Some((first, slot)) = slot.split_first() else { return };
    first.store(at.0.cast_unsigned(), Ordering::Relaxed);
    let (whole, rest) = value.as_bytes().as_chunks::<8>();
    for (word, bytes) in slot.iter().zip(whole) {
        word.store(u64::from_ne_bytes(*bytes), Ordering::Relaxed);
    }
    if let (false, Some(word)) = (rest.is_empty(), slot.get(whole.len())) {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        word.store(u64::from_ne_bytes(last), Ordering::Relaxed);
    }
}

/// Reads a record out of a slot.
#[inline(always)]
pub fn read<T: Plain, W: Word>(slot: &[W]) -> (Timestamp, T) {
    let mut value = T::new_zeroed();
    let Some((first, slot)) = slot.split_first() else { return (Timestamp::MIN, value) };
    let at = Timestamp(first.load(Ordering::Relaxed).cast_signed());
    let (whole, rest) = value.as_mut_bytes().as_chunks_mut::<8>();
    let last = whole.len();
    for (word, bytes) in slot.iter().zip(whole) {
        *bytes = word.load(Ordering::Relaxed).to_ne_bytes();
    }
    if let (false, Some(word)) = (rest.is_empty(), slot.get(last)) {
        rest.copy_from_slice(&word.load(Ordering::Relaxed).to_ne_bytes()[..rest.len()]);
    }
    (at, value)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;

    use super::*;

    fn there_and_back<T: Plain + PartialEq + std::fmt::Debug>(value: T) {
        let slot: Vec<AtomicU64> = (0..words::<T>()).map(|_| AtomicU64::new(u64::MAX)).collect();
        write(&slot, Timestamp(-5), &value);
        assert_eq!(read(&slot), (Timestamp(-5), value));
    }

    #[test]
    fn records_of_all_lengths_come_back() {
        there_and_back([0u8; 0]);
        there_and_back([7u8; 1]);
        there_and_back([1u8, 2, 3, 4, 5, 6, 7]);
        there_and_back(u64::MAX - 1);
        there_and_back([3u32; 3]);
        there_and_back(std::array::from_fn::<u8, 61, _>(|at| at as u8));
        assert_eq!([words::<u8>(), words::<u64>(), words::<[u32; 3]>()], [2, 2, 3]);
    }
}
