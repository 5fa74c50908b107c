//! A sum over bytes that is the same everywhere.

use std::fmt;

/// The 64-bit FNV-1a hash of all bytes so far: the same on every host and in every build, and no
/// proof against somebody who wants two inputs to have the same.
///
/// ```
/// use millstream::sim::Digest;
///
/// let mut digest = Digest::default();
/// digest.add(b"foobar");
/// assert_eq!(digest.to_string(), "85944171f73967e8");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(pub u64);

impl Digest {
    /// Takes in more bytes.
    pub fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

impl Default for Digest {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
