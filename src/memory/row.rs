//! Many values as bytes, one behind the other: numbers as wide as they are.
//!
//! A checkpoint copies state key by key on the core that takes records, so what counts is how fast
//! a key is written, then how fast it is read, and only then how many bytes it takes: a number goes
//! there by one move, little end first. `benches/alternatives/checkpoint_copies.md` has what
//! numbers of as many bytes as they need came to.

mod reader;
mod writer;

use std::fmt::{self, Display};

use serde::{Deserialize, Serialize};

use reader::Reader;
use writer::Writer;

/// Writes many values behind what is there, one by one.
pub struct Row<'a>(Writer<'a>);

impl<'a> Row<'a> {
    /// A row that begins behind what is there.
    #[inline]
    pub fn behind(out: &'a mut Vec<u8>) -> Self {
        Self(Writer::behind(out))
    }

    /// Writes the next value.
    ///
    /// # Errors
    /// What the value has against it; those before it have been written.
    #[inline]
    pub fn put<V: Serialize>(&mut self, value: &V) -> Result<(), String> {
        let end = self.0.end();
        value.serialize(&mut self.0).map_err(|wrong| {
            self.0.go_back(end);
            wrong.to_string()
        })
    }
}

/// Takes so many values from the front of `bytes` and hands each over.
///
/// # Errors
/// What is wrong with the bytes, or what `each` has against a value.
#[inline]
pub fn read<'a, V: Deserialize<'a>>(
    bytes: &mut &'a [u8],
    count: usize,
    mut each: impl FnMut(V) -> Result<(), String>,
) -> Result<(), String> {
    let mut reader = Reader::of(bytes);
    for _ in 0..count {
        each(V::deserialize(&mut reader).map_err(|wrong| wrong.to_string())?)?;
    }
    *bytes = reader.rest();
    Ok(())
}

/// Why a value cannot be written or read.
#[derive(Debug)]
pub struct Wrong(Box<str>);

impl Wrong {
    #[cold]
    fn new(reason: &str) -> Self {
        Self(reason.into())
    }
}

impl Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Wrong {}

impl serde::ser::Error for Wrong {
    #[cold]
    fn custom<T: Display>(reason: T) -> Self {
        Self(reason.to_string().into())
    }
}

impl serde::de::Error for Wrong {
    #[cold]
    fn custom<T: Display>(reason: T) -> Self {
        Self(reason.to_string().into())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    fn written<V: Serialize>(values: &[V]) -> Vec<u8> {
        let mut bytes = b"before".to_vec();
        let mut row = Row::behind(&mut bytes);
        values.iter().for_each(|value| row.put(value).unwrap());
        drop(row);
        bytes.split_off(6)
    }

    fn read_all<'a, V: Deserialize<'a>>(
        mut bytes: &'a [u8],
        count: usize,
    ) -> Result<Vec<V>, String> {
        let mut values = Vec::new();
        read(&mut bytes, count, |value| {
            values.push(value);
            Ok(())
        })?;
        if bytes.is_empty() { Ok(values) } else { Err(format!("{} bytes left", bytes.len())) }
    }

    /// Something of each kind that serde knows.
    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    struct All {
        unsigned: (u8, u16, u32, u64, u128),
        signed: (i8, i16, i32, i64, i128),
        floats: (f32, f64),
        others: (bool, char, (), Unit),
        one: One,
        option: Option<Option<u8>>,
        text: String,
        list: Vec<u16>,
        array: [i16; 3],
        map: BTreeMap<u8, String>,
        kinds: Vec<Kind>,
    }

    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    struct Unit;

    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    struct One(u32);

    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    enum Kind {
        Nothing,
        One(u8),
        Two(u8, String),
        Named { letter: char },
    }

    prop_compose! {
        fn all()(
            unsigned: (u8, u16, u32, u64, u128),
            signed: (i8, i16, i32, i64, i128),
            others: (bool, char),
            option: Option<Option<u8>>,
            text in ".{0,9}",
            list in prop::collection::vec(any::<u16>(), 0..5),
            array: [i16; 3],
            map in prop::collection::btree_map(any::<u8>(), ".{0,4}", 0..3),
            kinds in prop::collection::vec((any::<u8>(), any::<char>(), ".{0,4}"), 0..5),
        ) -> All {
            let kind = |(n, letter, text): (u8, char, String)| match n % 4 {
                0 => Kind::Nothing,
                1 => Kind::One(n),
                2 => Kind::Two(n, text),
                _ => Kind::Named { letter },
            };
            All {
                unsigned,
                signed,
                floats: (signed.2 as f32, signed.3 as f64 / 7.0),
                others: (others.0, others.1, (), Unit),
                one: One(unsigned.2),
                option,
                text,
                list,
                array,
                map,
                kinds: kinds.into_iter().map(kind).collect(),
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(values in prop::collection::vec(all(), 0..5)) {
            let bytes = written(&values);
            prop_assert_eq!(read_all(&bytes, values.len()), Ok(values));
        }

        #[test]
        fn any_bytes_are_values_or_an_error(bytes: Vec<u8>) {
            let _ = read_all::<All>(&bytes, 1);
        }

        #[test]
        fn what_is_cut_off_is_an_error(value in all()) {
            let bytes = written(&[value]);
            for end in 0..bytes.len() {
                prop_assert!(read_all::<All>(&bytes[..end], 1).is_err());
            }
        }
    }

    #[test]
    fn numbers_are_as_wide_as_they_are() {
        assert_eq!(written(&[(1u8, 2u64, Some(3u16))]), [1, 2, 0, 0, 0, 0, 0, 0, 0, 1, 3, 0]);
        assert_eq!(written(&[None::<u64>]), [0]);
    }

    #[test]
    fn text_can_be_borrowed() {
        let bytes = written(&["one", "two"]);
        assert_eq!(read_all::<&str>(&bytes, 2).unwrap(), ["one", "two"]);
    }

    #[test]
    fn what_is_nothing_of_the_kind_is_named() {
        let reason = |bytes: &[u8]| read_all::<Option<bool>>(bytes, 1).unwrap_err();
        assert_eq!(reason(&[2]), "neither something nor nothing: 2");
        assert_eq!(reason(&[1, 9]), "neither true nor false: 9");
        assert_eq!(reason(&[1]), "1 bytes are wanted, and there are 0");
        let letter = read_all::<char>(&[0, 0xd8, 0, 0], 1).unwrap_err();
        assert_eq!(letter, "no character: 55296");
        let long = read_all::<String>(&[9, 0, 0, 0, 0, 0, 0, 0, b'x'], 1).unwrap_err();
        assert_eq!(long, "9 bytes are wanted, and there are 1");
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
