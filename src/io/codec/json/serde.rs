//! What serde asks of a value.

use std::fmt::Display;

use serde::de::{self, DeserializeSeed, Deserializer, IntoDeserializer, MapAccess, SeqAccess};
use serde::forward_to_deserialize_any;

use crate::io::codec::Malformed;
use crate::io::codec::json::DEPTH_MAX;
use crate::io::codec::json::cursor::{Broken, Cursor, Kind, Number, Raw, unescape};

/// Why a value is not what it should be.
#[derive(Debug)]
pub enum Refused {
    /// The cursor knows.
    Broken,
    /// Boxed, since what is not refused is to be returned in registers.
    Because(Box<Because>),
}

/// What is wrong, and the way to it: `imp[2].w`.
#[derive(Debug)]
pub struct Because {
    path: String,
    malformed: Malformed,
}

impl Refused {
    /// As the caller sees it.
    pub fn told(self, cursor: &Cursor<'_>) -> Malformed {
        let Because { path, malformed } = *self.because(cursor);
        let reason = match path.is_empty() {
            true => malformed.reason,
            false => format!("{path}: {}", malformed.reason).into(),
        };
        Malformed { offset: malformed.offset.or(Some(cursor.at())), reason }
    }

    fn because(self, cursor: &Cursor<'_>) -> Box<Because> {
        match self {
            Self::Because(because) => because,
            Self::Broken => {
                Box::new(Because { path: String::new(), malformed: cursor.malformed() })
            }
        }
    }

    /// The same one step further out.
    #[cold]
    fn within(self, cursor: &Cursor<'_>, place: usize, step: impl Display) -> Self {
        let mut because = self.because(cursor);
        let path = &because.path;
        let dot = if path.is_empty() || path.starts_with('[') { "" } else { "." };
        because.path = format!("{step}{dot}{path}");
        because.malformed.offset.get_or_insert(place);
        Self::Because(because)
    }
}

impl From<Broken> for Refused {
    fn from(_: Broken) -> Self {
        Self::Broken
    }
}

impl From<Malformed> for Refused {
    fn from(malformed: Malformed) -> Self {
        Self::Because(Box::new(Because { path: String::new(), malformed }))
    }
}

impl Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Broken => f.write_str("no JSON"),
            Self::Because(because) => write!(f, "{}", because.malformed),
        }
    }
}

impl std::error::Error for Refused {}

impl de::Error for Refused {
    #[cold]
    fn custom<T: Display>(reason: T) -> Self {
        Malformed::from(reason.to_string()).into()
    }
}

/// A value that serde reads.
pub struct Value<'r, 'de> {
    pub cursor: Cursor<'de>,
    /// Text whose escapes are undone.
    pub text: &'r mut String,
    /// How many fields nobody asked for.
    pub skipped: &'r mut u64,
    pub depth: usize,
}

impl<'de> Value<'_, 'de> {
    #[inline]
    fn text<V: de::Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Refused> {
        let raw = self.cursor.text()?;
        if !raw.escaped {
            return visitor.visit_borrowed_str(self.cursor.utf8(raw)?);
        }
        self.text.clear();
        unescape(raw, |piece| self.text.push_str(piece))?;
        visitor.visit_str(self.text)
    }

    #[inline]
    fn nested<V: de::Visitor<'de>>(&mut self, kind: Kind, visitor: V) -> Result<V::Value, Refused> {
        if self.depth == DEPTH_MAX {
            return Err(self.cursor.error("nested too deep").into());
        }
        self.depth += 1;
        let mut nested = Nested { value: self, first: true, ended: false, count: 0, key: b"" };
        let visited = match kind {
            Kind::Object => {
                nested.value.cursor.take(b'{');
                visitor.visit_map(&mut nested)
            }
            _ => {
                nested.value.cursor.take(b'[');
                visitor.visit_seq(&mut nested)
            }
        }?;
        // A visitor may have enough before the end, and the end is to come then.
        let is_over = nested.ended
            || match kind {
                Kind::Object => nested.another_key()?.is_none(),
                _ => !nested.another_value()?,
            };
        if !is_over {
            return Err(self.cursor.error("there are more values than there may be").into());
        }
        self.depth -= 1;
        Ok(visited)
    }
}

impl<'de> Deserializer<'de> for &mut Value<'_, 'de> {
    type Error = Refused;

    #[inline]
    fn deserialize_any<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let kind = self.cursor.kind()?;
        match kind {
            Kind::Text => self.text(visitor),
            Kind::Number => match self.cursor.number()? {
                Number::Unsigned(number) => visitor.visit_u64(number),
                Number::Negative(number) => visitor.visit_i64(number),
                Number::Float(number) => visitor.visit_f64(number),
            },
            Kind::Object | Kind::Array => self.nested(kind, visitor),
            Kind::True => {
                self.cursor.word(b"true")?;
                visitor.visit_bool(true)
            }
            Kind::False => {
                self.cursor.word(b"false")?;
                visitor.visit_bool(false)
            }
            Kind::Null => {
                self.cursor.word(b"null")?;
                visitor.visit_unit()
            }
        }
    }

    #[inline]
    fn deserialize_option<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        match self.cursor.kind()? {
            Kind::Null => {
                self.cursor.word(b"null")?;
                visitor.visit_none()
            }
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_newtype_struct<V: de::Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        visitor.visit_newtype_struct(self)
    }

    /// By its name: a variant with something in it has no form here.
    fn deserialize_enum<V: de::Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let raw = self.cursor.text()?;
        let name = self.cursor.utf8(raw)?;
        visitor.visit_enum(name.into_deserializer())
    }

    #[inline]
    fn deserialize_ignored_any<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.cursor.skip()?;
        *self.skipped += 1;
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier
    }
}

/// An object or an array that was begun.
struct Nested<'v, 'r, 'de> {
    value: &'v mut Value<'r, 'de>,
    first: bool,
    ended: bool,
    /// Values of an array that were begun.
    count: usize,
    /// The key of the value that comes next.
    key: &'de [u8],
}

impl<'de> Nested<'_, '_, 'de> {
    #[inline]
    fn another_key(&mut self) -> Result<Option<Raw<'de>>, Broken> {
        let key = self.value.cursor.key(std::mem::replace(&mut self.first, false))?;
        self.ended = key.is_none();
        self.key = key.map_or(b"", |key| key.bytes);
        Ok(key)
    }

    #[inline]
    fn another_value(&mut self) -> Result<bool, Broken> {
        let another = self.value.cursor.another(std::mem::replace(&mut self.first, false))?;
        self.ended = !another;
        Ok(another)
    }
}

impl<'de> MapAccess<'de> for &mut Nested<'_, '_, 'de> {
    type Error = Refused;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Refused> {
        let Some(key) = self.another_key()? else { return Ok(None) };
        let Value { cursor, text, .. } = &mut *self.value;
        seed.deserialize(Key { key, cursor, text }).map(Some)
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Refused> {
        self.value.cursor.peek();
        let (place, key) = (self.value.cursor.at(), self.key);
        let seen = seed.deserialize(&mut *self.value);
        seen.map_err(|refused| refused.within(&self.value.cursor, place, key.escape_ascii()))
    }
}

impl<'de> SeqAccess<'de> for &mut Nested<'_, '_, 'de> {
    type Error = Refused;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Refused> {
        if !self.another_value()? {
            return Ok(None);
        }
        self.value.cursor.peek();
        let (place, count) = (self.value.cursor.at(), self.count);
        self.count += 1;
        let seen = seed.deserialize(&mut *self.value);
        let step = format_args!("[{count}]");
        seen.map(Some).map_err(|refused| refused.within(&self.value.cursor, place, step))
    }
}

/// A key, which the fields of structs are compared with as bytes.
struct Key<'r, 'de> {
    key: Raw<'de>,
    cursor: &'r mut Cursor<'de>,
    text: &'r mut String,
}

impl<'de> Key<'_, 'de> {
    fn read<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        if !self.key.escaped {
            return visitor.visit_borrowed_str(self.cursor.utf8(self.key)?);
        }
        self.text.clear();
        unescape(self.key, |piece| self.text.push_str(piece))?;
        visitor.visit_str(self.text)
    }
}

impl<'de> Deserializer<'de> for Key<'_, 'de> {
    type Error = Refused;

    fn deserialize_any<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        self.read(visitor)
    }

    #[inline]
    fn deserialize_identifier<V: de::Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        match self.key.escaped {
            true => self.read(visitor),
            false => visitor.visit_borrowed_bytes(self.key.bytes),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum ignored_any
    }
}
