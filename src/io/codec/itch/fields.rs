//! What messages are made of.

use std::fmt;

use zerocopy::byteorder::big_endian::{U16, U32, U64};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::time::Timestamp;

/// A price with four implied decimals: 4105000 is 410.5 dollars.
pub type Price4 = U32;

/// A price with eight implied decimals.
pub type Price8 = U64;

/// What every message begins with, behind its type.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(C)]
pub struct Header {
    /// The number of the stock on this day; 0 where a message is about none.
    pub locate: U16,
    /// The exchange's own number.
    pub tracking: U16,
    /// When.
    pub at: Nanos,
}

impl Header {
    /// Of a stock, a tracking number, and nanoseconds since midnight.
    pub fn new(locate: u16, tracking: u16, nanos: u64) -> Self {
        Self { locate: locate.into(), tracking: tracking.into(), at: Nanos::new(nanos) }
    }
}

/// Nanoseconds since midnight, New York time, in 48 bits.
#[derive(Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Nanos {
    high: U16,
    low: U32,
}

impl Nanos {
    /// So many; what does not fit into 48 bits, more than three days, is cut off.
    pub fn new(nanos: u64) -> Self {
        Self { high: ((nanos >> 32) as u16).into(), low: (nanos as u32).into() }
    }

    /// How many.
    #[inline]
    pub fn get(self) -> u64 {
        u64::from(self.high.get()) << 32 | u64::from(self.low.get())
    }

    /// When that was on a day with this midnight, on which no clock was changed.
    #[inline]
    pub fn since(self, midnight: Timestamp) -> Timestamp {
        Timestamp(midnight.0.saturating_add(self.get() as i64))
    }
}

impl fmt::Debug for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ns", self.get())
    }
}

/// Text of a fixed length, filled up with spaces: a stock's symbol, a participant.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned,
)]
#[repr(transparent)]
pub struct Alpha<const N: usize>(pub [u8; N]);

impl<const N: usize> Alpha<N> {
    /// Of a text; what is longer is cut off.
    pub fn new(text: &str) -> Self {
        let mut bytes = [b' '; N];
        bytes.iter_mut().zip(text.bytes()).for_each(|(to, from)| *to = from);
        Self(bytes)
    }

    /// Without the spaces at the end.
    #[inline]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.trim_ascii_end()
    }

    /// The same as text; none if it is not UTF-8, as it should be.
    pub fn as_str(&self) -> Option<&str> {
        std::str::from_utf8(self.as_bytes()).ok()
    }
}

impl<const N: usize> fmt::Debug for Alpha<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_bytes().escape_ascii())
    }
}
