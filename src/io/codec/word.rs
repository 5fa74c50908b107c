//! Eight bytes at a time.

/// A byte of ones times this is eight of them.
pub const ONES: u64 = 0x0101_0101_0101_0101;

/// The highest bit of each byte.
pub const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The lowest byte of the mask that is set says where the first zero byte is.
#[inline]
pub const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

/// Where a byte is first. For values of few bytes: over many, `memchr` is faster.
#[inline]
pub fn find(byte: u8, bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk()) {
        let found = zeros(u64::from_le_bytes(*chunk) ^ (ONES * byte as u64));
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let rest = bytes.get(at..)?;
    rest.iter().position(|it| *it == byte).map(|found| at + found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_byte_is_found_where_it_is_first(
            byte in 0u8..4,
            bytes in prop::collection::vec(prop_oneof![0u8..4, 126u8..=131, any::<u8>()], 0..40),
        ) {
            prop_assert_eq!(find(byte, &bytes), bytes.iter().position(|it| *it == byte));
        }
    }
}
