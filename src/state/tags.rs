//! One byte per slot, compared sixteen at a time.
//!
//! The idea is the control byte of the "Swiss tables" of Abseil (Benzaquen, Evlogimenos,
//! Kulukundis, Perepelitsa, 2017): seven bits of the hash and one bit for "full" stand beside
//! each slot, and one vector compare rules out nearly every slot of a group without touching it.

/// Slots in a group: the bytes compared by one instruction.
pub const GROUP: usize = 16;

/// The tag of a slot that holds nothing.
pub const EMPTY: u8 = 0;

/// The tag of a full slot: the high bit and seven bits of the hash.
#[inline(always)]
pub const fn tag(hash_bits: u64) -> u8 {
    hash_bits as u8 | 0x80
}

/// The slots of one group that answer a question, one bit per slot; iterates lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slots(pub u32);

impl Iterator for Slots {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let first = self.0.trailing_zeros() as usize;
        self.0 &= self.0 - 1;
        Some(first)
    }
}

/// The sixteen tags of a group, in a register.
#[derive(Clone, Copy, Debug)]
pub struct Tags(Vector);

#[cfg(target_arch = "x86_64")]
use sse2::Vector;

#[cfg(not(target_arch = "x86_64"))]
use portable::Vector;

impl Tags {
    /// Loads a group of tags. One load.
    #[inline(always)]
    pub fn load(tags: &[u8; GROUP]) -> Self {
        Self(Vector::load(tags))
    }

    /// The slots whose tag is `tag`, that of a full slot: perhaps the wanted key, never missing it.
    #[inline(always)]
    pub fn matching(self, tag: u8) -> Slots {
        Slots(self.0.equal(tag))
    }

    /// The slots that hold something.
    #[inline(always)]
    pub fn full(self) -> Slots {
        Slots(self.0.high_bits())
    }

    /// The slots that hold nothing.
    #[inline(always)]
    pub fn empty(self) -> Slots {
        Slots(self.0.high_bits() ^ 0xffff)
    }
}

#[cfg(target_arch = "x86_64")]
mod sse2 {
    use super::GROUP;
    use core::arch::x86_64::{__m128i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_movemask_epi8};

    #[derive(Clone, Copy, Debug)]
    pub struct Vector(__m128i);

    /// Each tag of a full slot, sixteen times over. A load from 2 KiB that stay in the first-level
    /// cache takes the place of four instructions that spread a byte without SSSE3.
    static SIXTEEN: [[u8; GROUP]; 128] = {
        let mut all = [[0; GROUP]; 128];
        let mut low = 0;
        while low < 128 {
            all[low] = [low as u8 | 0x80; GROUP];
            low += 1;
        }
        all
    };

    impl Vector {
        #[inline(always)]
        pub fn load(tags: &[u8; GROUP]) -> Self {
            // SAFETY: SSE2 is part of every x86-64; the reference is to 16 readable bytes, and
            // the load asks for no alignment.
            Self(unsafe { _mm_loadu_si128(tags.as_ptr().cast()) })
        }

        #[inline(always)]
        pub fn equal(self, tag: u8) -> u32 {
            let sixteen = Self::load(&SIXTEEN[usize::from(tag & 0x7f)]);
            // SAFETY: SSE2 is part of every x86-64; these work on registers only.
            unsafe { _mm_movemask_epi8(_mm_cmpeq_epi8(self.0, sixteen.0)) as u32 }
        }

        #[inline(always)]
        pub fn high_bits(self) -> u32 {
            // SAFETY: as above.
            unsafe { _mm_movemask_epi8(self.0) as u32 }
        }
    }
}

#[cfg(any(test, not(target_arch = "x86_64")))]
mod portable {
    use super::GROUP;

    #[derive(Clone, Copy, Debug)]
    pub struct Vector([u8; GROUP]);

    impl Vector {
        #[inline(always)]
        pub fn load(tags: &[u8; GROUP]) -> Self {
            Self(*tags)
        }

        #[inline(always)]
        pub fn equal(self, tag: u8) -> u32 {
            self.bits(|byte| byte == tag)
        }

        #[inline(always)]
        pub fn high_bits(self) -> u32 {
            self.bits(|byte| byte & 0x80 != 0)
        }

        #[inline(always)]
        fn bits(self, asks: impl Fn(u8) -> bool) -> u32 {
            (0..GROUP).fold(0, |bits, slot| bits | (u32::from(asks(self.0[slot])) << slot))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOME: [u8; GROUP] = [0, 0x80, 0xff, 0x81, 0, 0, 0x81, 0, 0, 0, 0, 0, 0, 0, 0xc0, 0x81];

    #[test]
    fn slots_come_lowest_first() {
        let tags = Tags::load(&SOME);
        assert_eq!(tags.matching(0x81).collect::<Vec<_>>(), [3, 6, 15]);
        assert_eq!(tags.full().collect::<Vec<_>>(), [1, 2, 3, 6, 14, 15]);
        assert_eq!(tags.empty().next(), Some(0));
        assert_eq!(tags.matching(0x82).next(), None);
    }

    #[test]
    fn the_portable_vector_agrees() {
        let (ours, portable) = (Tags::load(&SOME), portable::Vector::load(&SOME));
        for byte in 0x80..=0xff {
            assert_eq!(ours.matching(byte).0, portable.equal(byte));
        }
        assert_eq!(ours.full().0, portable.high_bits());
    }
}
