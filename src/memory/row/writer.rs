//! Writing: each kind of value that serde knows.

use serde::Serialize;
use serde::ser::{self, Serializer};

use super::Wrong;

/// How many more bytes there are when there are too few.
const MORE: usize = 1024;

/// Bytes of which the first have been written; there are more if it takes more.
pub struct Writer<'a> {
    out: &'a mut Vec<u8>,
    end: usize,
}

impl<'a> Writer<'a> {
    /// Writes behind what is there.
    #[inline]
    pub fn behind(out: &'a mut Vec<u8>) -> Self {
        let end = out.len();
        Self { out, end }
    }

    /// How far it has come.
    #[inline]
    pub fn end(&self) -> usize {
        self.end
    }

    /// What was written from there on is not to be.
    pub fn go_back(&mut self, end: usize) {
        self.end = end;
    }

    /// By one move: to copy so few bytes by a function takes longer than to copy them.
    #[inline(always)]
    fn put<const N: usize>(&mut self, bytes: [u8; N]) {
        if self.out.len() < self.end + N {
            self.grow(self.end + N);
        }
        if let Some(place) = self.out[self.end..].first_chunk_mut() {
            *place = bytes;
        }
        self.end += N;
    }

    fn put_all(&mut self, bytes: &[u8]) {
        self.put((bytes.len() as u64).to_le_bytes());
        let to = self.end + bytes.len();
        if to > self.out.len() {
            self.grow(to);
        }
        self.out[self.end..to].copy_from_slice(bytes);
        self.end = to;
    }

    #[cold]
    fn grow(&mut self, bytes: usize) {
        self.out.resize(bytes + MORE, 0);
    }

    /// The number of entries of what follows, which has to be known.
    fn begin(&mut self, count: Option<usize>) -> Result<&mut Self, Wrong> {
        let count = count.ok_or_else(|| Wrong::new("nobody knows how many there are"))?;
        self.put((count as u64).to_le_bytes());
        Ok(self)
    }
}

impl Drop for Writer<'_> {
    fn drop(&mut self) {
        self.out.truncate(self.end);
    }
}

/// Writes numbers by one move each.
macro_rules! numbers {
    ($($name:ident $of:ty),*) => {
        $(
            #[inline(always)]
            fn $name(self, value: $of) -> Result<(), Wrong> {
                self.put(value.to_le_bytes());
                Ok(())
            }
        )*
    };
}

impl Serializer for &mut Writer<'_> {
    type Ok = ();
    type Error = Wrong;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    numbers! {
        serialize_u8 u8, serialize_u16 u16, serialize_u32 u32, serialize_u64 u64,
        serialize_u128 u128, serialize_i8 i8, serialize_i16 i16, serialize_i32 i32,
        serialize_i64 i64, serialize_i128 i128, serialize_f32 f32, serialize_f64 f64
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    #[inline(always)]
    fn serialize_bool(self, value: bool) -> Result<(), Wrong> {
        self.serialize_u8(value.into())
    }

    #[inline(always)]
    fn serialize_char(self, value: char) -> Result<(), Wrong> {
        self.serialize_u32(value.into())
    }

    fn serialize_str(self, value: &str) -> Result<(), Wrong> {
        self.serialize_bytes(value.as_bytes())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Wrong> {
        self.put_all(value);
        Ok(())
    }

    #[inline(always)]
    fn serialize_none(self) -> Result<(), Wrong> {
        self.serialize_u8(0)
    }

    #[inline(always)]
    fn serialize_some<T: ?Sized + Serialize>(self, value: &T) -> Result<(), Wrong> {
        self.put([1]);
        value.serialize(self)
    }

    #[inline(always)]
    fn serialize_unit(self) -> Result<(), Wrong> {
        Ok(())
    }

    #[inline(always)]
    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Wrong> {
        Ok(())
    }

    #[inline(always)]
    fn serialize_unit_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
    ) -> Result<(), Wrong> {
        self.serialize_u32(index)
    }

    #[inline(always)]
    fn serialize_newtype_struct<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        value: &T,
    ) -> Result<(), Wrong> {
        value.serialize(self)
    }

    #[inline(always)]
    fn serialize_newtype_variant<T: ?Sized + Serialize>(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Wrong> {
        self.put(index.to_le_bytes());
        value.serialize(self)
    }

    fn serialize_seq(self, count: Option<usize>) -> Result<Self, Wrong> {
        self.begin(count)
    }

    #[inline(always)]
    fn serialize_tuple(self, _: usize) -> Result<Self, Wrong> {
        Ok(self)
    }

    #[inline(always)]
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Wrong> {
        Ok(self)
    }

    #[inline(always)]
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Wrong> {
        self.put(index.to_le_bytes());
        Ok(self)
    }

    fn serialize_map(self, count: Option<usize>) -> Result<Self, Wrong> {
        self.begin(count)
    }

    #[inline(always)]
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Wrong> {
        Ok(self)
    }

    #[inline(always)]
    fn serialize_struct_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Wrong> {
        self.put(index.to_le_bytes());
        Ok(self)
    }
}

/// What is made of others is those, one behind the other.
macro_rules! made_of {
    ($($of:ident $each:ident $($name:ident)?),*) => {
        $(
            impl ser::$of for &mut Writer<'_> {
                type Ok = ();
                type Error = Wrong;

                #[inline(always)]
                fn $each<T: ?Sized + Serialize>(
                    &mut self,
                    $($name: &'static str,)?
                    value: &T,
                ) -> Result<(), Wrong> {
                    $(let _ = $name;)?
                    value.serialize(&mut **self)
                }

                #[inline(always)]
                fn end(self) -> Result<(), Wrong> {
                    Ok(())
                }
            }
        )*
    };
}

made_of! {
    SerializeSeq serialize_element, SerializeTuple serialize_element,
    SerializeTupleStruct serialize_field, SerializeTupleVariant serialize_field,
    SerializeStruct serialize_field name, SerializeStructVariant serialize_field name
}

impl ser::SerializeMap for &mut Writer<'_> {
    type Ok = ();
    type Error = Wrong;

    fn serialize_key<T: ?Sized + Serialize>(&mut self, key: &T) -> Result<(), Wrong> {
        key.serialize(&mut **self)
    }

    fn serialize_value<T: ?Sized + Serialize>(&mut self, value: &T) -> Result<(), Wrong> {
        value.serialize(&mut **self)
    }

    fn end(self) -> Result<(), Wrong> {
        Ok(())
    }
}
