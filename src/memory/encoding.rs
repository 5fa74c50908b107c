//! Values as the bytes that a snapshot holds of them: postcard, one value behind the other. What
//! there is by the million goes by [`row`](super::row).

use std::cell::Cell;

use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};

/// Writes a value behind what is there.
///
/// # Errors
/// What the value has against it; a part of it may have been written then.
#[inline]
pub fn encode<V: Serialize + ?Sized>(value: &V, out: &mut Vec<u8>) -> Result<(), String> {
    postcard::serialize_with_flavor(value, Behind(out)).map_err(|error| error.to_string())
}

/// Takes a value from the front of `bytes`.
///
/// # Errors
/// What is wrong with the bytes; nothing is taken then.
#[inline]
pub fn decode<'a, V: Deserialize<'a>>(bytes: &mut &'a [u8]) -> Result<V, String> {
    let (value, rest) = postcard::take_from_bytes(bytes).map_err(|error| error.to_string())?;
    *bytes = rest;
    Ok(value)
}

/// How state was written that has versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Versions {
    /// Each value behind the number of its version.
    #[default]
    Noted,
    /// Without: it had none yet.
    Plain,
}

thread_local! {
    /// How the state is written that is being read; serde has no place for it.
    static VERSIONS: Cell<Versions> = const { Cell::new(Versions::Noted) };
    /// A version that was refused, and the last that is known.
    static REFUSED: Cell<Option<(u8, u8)>> = const { Cell::new(None) };
}

/// How the state is written that is being read.
#[inline]
pub fn versions() -> Versions {
    VERSIONS.get()
}

/// Reads state that is written so.
pub fn reading<R>(versions: Versions, read: impl FnOnce() -> R) -> R {
    let before = VERSIONS.replace(versions);
    let result = read();
    VERSIONS.set(before);
    result
}

/// Notes that a value is of a version that is not known; an error of the format says nothing.
pub fn refuse_version(held: u8, known: u8) {
    REFUSED.set(Some((held, known)));
}

/// The version that was refused since this was asked last.
pub fn take_refused_version() -> Option<(u8, u8)> {
    REFUSED.take()
}

/// Bytes that grow at their end.
struct Behind<'a>(&'a mut Vec<u8>);

impl Flavor for Behind<'_> {
    type Output = ();

    #[inline(always)]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    #[inline(always)]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}
