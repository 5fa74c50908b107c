//! Values as bytes, for journals and for the wire.
//!
//! A [`Codec`] turns the bytes of one record into a value and back; where a record begins and ends
//! is the matter of a [`Framing`](crate::io::Framing). The formats of the world are rooms and files
//! here, each a pure function from bytes to a view of them, and one back: a view borrows, so what a
//! pipeline keeps of it is picked in a closure of [`selective`].

pub mod fix;
pub mod itch;
pub mod json;
mod malformed;
pub mod moldudp64;
pub mod openrtb;
mod plain;
pub mod soupbintcp;
mod word;

pub use malformed::Malformed;
pub use plain::Plain;

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
/// assert_eq!(prices.decode(&bytes), Ok(Some(2.5)));
/// assert!(prices.decode(b"short").is_err());
/// ```
pub trait Codec: 'static {
    /// What it is about.
    type Value: 'static;

    /// The most bytes that a value takes.
    fn bytes_max(&self) -> usize;

    /// Appends a value's bytes.
    fn encode(&mut self, value: &Self::Value, into: &mut Vec<u8>);

    /// The value that bytes are of, or none if they are in order and of a kind that is left out.
    ///
    /// # Errors
    /// Why they are of none, and where that shows.
    fn decode(&mut self, bytes: &[u8]) -> Result<Option<Self::Value>, Malformed>;
}

/// A [`Codec`] out of two functions: see [`codec`] and [`selective`].
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

/// A [`Codec`] for some of the records that come: `decode` returns none for the others, which
/// sources leave out and sockets count as skipped.
///
/// ```
/// use millstream::io::{Codec, itch, selective};
///
/// #[derive(Clone, Copy, Debug, PartialEq)]
/// struct Print {
///     stock: u16,
///     shares: u32,
///     price: u32,
/// }
///
/// let mut prints = selective(
///     0,
///     |_: &Print, _: &mut Vec<u8>| {},
///     |bytes: &[u8]| match itch::Message::decode(bytes)? {
///         itch::Message::Trade(trade) => Ok(Some(Print {
///             stock: trade.header.locate.get(),
///             shares: trade.shares.get(),
///             price: trade.price.get(),
///         })),
///         _ => Ok(None),
///     },
/// );
/// let delete = b"D\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x00\x07";
/// assert_eq!(prints.decode(delete), Ok(None));
/// let error = prints.decode(b"P is cut short").unwrap_err();
/// assert_eq!(error.to_string(), "at byte 14: `P` has 44 bytes, and there are less");
/// ```
pub const fn selective<T, E, D>(bytes_max: usize, encode: E, decode: D) -> CodecOf<E, D>
where
    E: FnMut(&T, &mut Vec<u8>) + 'static,
    D: FnMut(&[u8]) -> Result<Option<T>, Malformed> + 'static,
{
    CodecOf { bytes_max, encode, decode }
}

/// What a function that decodes may answer.
pub trait Decoded {
    /// What a record is.
    type Value;

    /// The same, as a [`Codec`] answers.
    fn decoded(self) -> Result<Option<Self::Value>, Malformed>;
}

impl<T> Decoded for Result<T, String> {
    type Value = T;

    #[inline]
    fn decoded(self) -> Result<Option<T>, Malformed> {
        Ok(Some(self?))
    }
}

impl<T> Decoded for Result<Option<T>, Malformed> {
    type Value = T;

    #[inline]
    fn decoded(self) -> Result<Option<T>, Malformed> {
        self
    }
}

impl<R, E, D> Codec for CodecOf<E, D>
where
    R: Decoded<Value: 'static>,
    E: FnMut(&R::Value, &mut Vec<u8>) + 'static,
    D: FnMut(&[u8]) -> R + 'static,
{
    type Value = R::Value;

    fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    fn encode(&mut self, value: &R::Value, into: &mut Vec<u8>) {
        (self.encode)(value, into);
    }

    #[inline]
    fn decode(&mut self, bytes: &[u8]) -> Result<Option<R::Value>, Malformed> {
        (self.decode)(bytes).decoded()
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

    fn decode(&mut self, bytes: &[u8]) -> Result<Option<C::Value>, Malformed> {
        (**self).decode(bytes)
    }
}
