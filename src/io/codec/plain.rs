//! Records that are their bytes.

use std::fmt;
use std::marker::PhantomData;

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::io::codec::{Codec, Malformed};

/// A [`Codec`] for records that go in and out as they lie in memory, by what `zerocopy` derives:
/// the compiler checks that there is no padding, no pointer and no value that bytes could not be.
///
/// The bytes are those of the fields in their order: fields that are read on other machines, or out
/// of step with their alignment, have types of [`zerocopy::byteorder`]. Bytes of another length are
/// no record.
///
/// ```
/// use millstream::io::{Codec, Fixed, Plain};
/// use zerocopy::byteorder::little_endian::{F64, U32};
/// use zerocopy::{FromBytes, Immutable, IntoBytes};
///
/// #[derive(Clone, Copy, FromBytes, IntoBytes, Immutable)]
/// #[repr(C)]
/// struct Quote {
///     stock: U32,
///     bid: F64,
///     ask: F64,
/// }
///
/// let mut quotes = Plain::<Quote>::new();
/// let framing = Fixed::new(quotes.bytes_max());
/// let quote = Quote { stock: 7.into(), bid: 1.5.into(), ask: 2.0.into() };
/// let mut bytes = Vec::new();
/// quotes.encode(&quote, &mut bytes);
/// assert_eq!(bytes.len(), 20);
/// assert_eq!(quotes.decode(&bytes).unwrap().unwrap().ask.get(), 2.0);
/// let error = quotes.decode(&bytes[..8]).err().unwrap();
/// assert_eq!(error.to_string(), "at byte 8: a record of another length");
/// # let _ = framing;
/// ```
pub struct Plain<T>(PhantomData<fn() -> T>);

impl<T: FromBytes + IntoBytes + Immutable + 'static> Plain<T> {
    /// For records of this type.
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

impl<T: FromBytes + IntoBytes + Immutable + 'static> Default for Plain<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> Clone for Plain<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Plain<T> {}

impl<T> fmt::Debug for Plain<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Plain<{}>", std::any::type_name::<T>())
    }
}

impl<T: FromBytes + IntoBytes + Immutable + 'static> Codec for Plain<T> {
    type Value = T;

    fn bytes_max(&self) -> usize {
        size_of::<T>()
    }

    fn encode(&mut self, value: &T, into: &mut Vec<u8>) {
        into.extend_from_slice(value.as_bytes());
    }

    #[inline]
    fn decode(&mut self, bytes: &[u8]) -> Result<Option<T>, Malformed> {
        match T::read_from_bytes(bytes) {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(other_length(bytes.len().min(size_of::<T>()))),
        }
    }
}

/// Kept out of line, so that decoding what is in order stays small.
#[cold]
fn other_length(at: usize) -> Malformed {
    Malformed::at(at, "a record of another length")
}
