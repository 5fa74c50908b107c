//! Values as the bytes that a snapshot holds of them: postcard, one value behind the other.

use std::cell::Cell;

use postcard::Serializer;
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

/// Writes many values behind what is there, one by one; the same bytes as by [`encode`], several
/// times as fast.
pub struct Row<'a>(Serializer<Within<'a>>);

impl<'a> Row<'a> {
    /// A row that begins behind what is there.
    #[inline]
    pub fn behind(out: &'a mut Vec<u8>) -> Self {
        let end = out.len();
        Self(Serializer { output: Within { out, end } })
    }

    /// Writes the next value.
    ///
    /// # Errors
    /// What the value has against it; those before it have been written.
    #[inline]
    pub fn put<V: Serialize>(&mut self, value: &V) -> Result<(), String> {
        let end = self.0.output.end;
        value.serialize(&mut self.0).map_err(|error| {
            self.0.output.end = end;
            error.to_string()
        })
    }
}

impl Drop for Row<'_> {
    fn drop(&mut self) {
        let Within { out, end } = &mut self.0.output;
        out.truncate(*end);
    }
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

/// Takes so many values from the front of `bytes` and hands each over; as [`decode`] does one by
/// one, but faster.
///
/// # Errors
/// What is wrong with the bytes, or what `each` has against a value.
#[inline]
pub fn decode_all<'a, V: Deserialize<'a>>(
    bytes: &mut &'a [u8],
    count: usize,
    mut each: impl FnMut(V) -> Result<(), String>,
) -> Result<(), String> {
    let mut from = postcard::Deserializer::from_bytes(bytes);
    for _ in 0..count {
        each(V::deserialize(&mut from).map_err(|error| error.to_string())?)?;
    }
    *bytes = from.finalize().map_err(|error| error.to_string())?;
    Ok(())
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

/// How many more bytes there are when there are too few.
const MORE: usize = 1024;

/// Bytes of which the first have been written; there are more if it takes more.
struct Within<'a> {
    out: &'a mut Vec<u8>,
    end: usize,
}

impl Within<'_> {
    /// The next so many bytes, to write them.
    #[inline(always)]
    fn next(&mut self, count: usize) -> &mut [u8] {
        let (from, to) = (self.end, self.end + count);
        if to > self.out.len() {
            self.grow(to);
        }
        self.end = to;
        &mut self.out[from..to]
    }

    #[cold]
    fn grow(&mut self, bytes: usize) {
        self.out.resize(bytes + MORE, 0);
    }
}

impl Flavor for Within<'_> {
    type Output = ();

    #[inline(always)]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.next(1)[0] = byte;
        Ok(())
    }

    /// A number comes as its bytes, of which there are few: to call a function that copies any
    /// number of them takes longer than to copy them.
    #[inline(always)]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        let count = bytes.len();
        let places = self.next(count);
        match count {
            0 => {}
            1 => places[0] = bytes[0],
            2..4 => copy_ends::<2>(bytes, places),
            4..8 => copy_ends::<4>(bytes, places),
            8..16 => copy_ends::<8>(bytes, places),
            _ => places.copy_from_slice(bytes),
        }
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Copies from `N` to twice as many bytes: the first and the last `N`, each by one move.
#[inline(always)]
fn copy_ends<const N: usize>(from: &[u8], to: &mut [u8]) {
    if let (Some(from), Some(to)) = (from.first_chunk::<N>(), to.first_chunk_mut()) {
        *to = *from;
    }
    if let (Some(from), Some(to)) = (from.last_chunk::<N>(), to.last_chunk_mut()) {
        *to = *from;
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    type Value = (u8, u64, Option<(i64, u32)>, [u16; 3], u128);

    fn value(random: &mut fastrand::Rng) -> Value {
        let bits = random.u32(..64);
        let number = random.u64(..) >> bits;
        let some = random.bool().then_some((number as i64, number as u32));
        (number as u8, number, some, [number as u16; 3], u128::from(number) << 40)
    }

    #[test]
    fn a_row_is_what_its_values_are_one_by_one() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..9 {
            let values: Vec<Value> = (0..300).map(|_| value(&mut random)).collect();
            let (mut row, mut single) = (b"before".to_vec(), b"before".to_vec());
            let mut all = Row::behind(&mut row);
            values.iter().for_each(|value| all.put(value).unwrap());
            drop(all);
            values.iter().for_each(|value| encode(value, &mut single).unwrap());
            assert_eq!(row, single);
            let (mut read, mut rest) = (Vec::new(), &row[6..]);
            let each = |value| {
                read.push(value);
                Ok(())
            };
            decode_all::<Value>(&mut rest, values.len(), each).unwrap();
            assert_eq!((read, rest.len()), (values, 0));
            assert!(decode_all::<Value>(&mut &row[7..row.len() - 1], 300, |_| Ok(())).is_err());
        }
    }

    #[test]
    fn a_row_without_a_value_that_cannot_be_written_has_those_before_it() {
        let mut out = Vec::new();
        let mut row = Row::behind(&mut out);
        row.put(&7u8).unwrap();
        // Nobody knows how long it is.
        assert!(row.put(&Endless).is_err());
        drop(row);
        assert_eq!(out, [7]);
    }

    struct Endless;

    impl Serialize for Endless {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq(std::iter::from_fn(|| Some(1u8)))
        }
    }
}
