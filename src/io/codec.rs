//! Values as bytes, for journals.

/// How a value is written as bytes and read again.
///
/// ```
/// use millstream::io::{Codec, codec};
///
/// let mut prices = codec(
///     8,
///     |price: &f64, into: &mut Vec<u8>| into.extend(price.to_le_bytes()),
///     |bytes: &[u8]| bytes.try_into().map(f64::from_le_bytes).map_err(|_| "not 8 bytes".into()),
/// );
/// let mut bytes = Vec::new();
/// prices.encode(&2.5, &mut bytes);
/// assert_eq!(prices.decode(&bytes), Ok(2.5));
/// assert!(prices.decode(b"short").is_err());
/// ```
pub trait Codec: 'static {
    /// What it is about.
    type Value: 'static;

    /// The most bytes that a value takes.
    fn bytes_max(&self) -> usize;

    /// Appends a value's bytes.
    fn encode(&mut self, value: &Self::Value, into: &mut Vec<u8>);

    /// The value that bytes are of.
    ///
    /// # Errors
    /// Why they are of none, in words.
    fn decode(&mut self, bytes: &[u8]) -> Result<Self::Value, String>;
}

/// A [`Codec`] out of two functions.
#[derive(Clone, Debug)]
pub struct CodecOf<E, D> {
    bytes_max: usize,
    encode: E,
    decode: D,
}

/// A [`Codec`] for values of at most `bytes_max` bytes out of two functions; `decode` says in words
/// why bytes are of no value.
pub const fn codec<T, E, D>(bytes_max: usize, encode: E, decode: D) -> CodecOf<E, D>
where
    E: FnMut(&T, &mut Vec<u8>) + 'static,
    D: FnMut(&[u8]) -> Result<T, String> + 'static,
{
    CodecOf { bytes_max, encode, decode }
}

impl<T, E, D> Codec for CodecOf<E, D>
where
    T: 'static,
    E: FnMut(&T, &mut Vec<u8>) + 'static,
    D: FnMut(&[u8]) -> Result<T, String> + 'static,
{
    type Value = T;

    fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    fn encode(&mut self, value: &T, into: &mut Vec<u8>) {
        (self.encode)(value, into);
    }

    fn decode(&mut self, bytes: &[u8]) -> Result<T, String> {
        (self.decode)(bytes)
    }
}

impl<C: Codec + ?Sized> Codec for Box<C> {
    type Value = C::Value;

    fn bytes_max(&self) -> usize {
        (**self).bytes_max()
    }

    fn encode(&mut self, value: &C::Value, into: &mut Vec<u8>) {
        (**self).encode(value, into);
    }

    fn decode(&mut self, bytes: &[u8]) -> Result<C::Value, String> {
        (**self).decode(bytes)
    }
}
