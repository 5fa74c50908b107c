//! State whose type may change from build to build.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use serde::de::{Error, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::memory::encoding::{Versions, refuse_version, versions};
use crate::state::Stored;

/// A type of state, the one that it was in the version before, and how that becomes this one.
///
/// A checkpoint of any earlier version is read, and upgraded step by step. One of a later version
/// is refused.
///
/// ```
/// use millstream::state::{First, Version, Versioned};
/// use serde::{Deserialize, Serialize};
///
/// /// What it was.
/// #[derive(Clone, Copy, Default, Serialize, Deserialize)]
/// struct Spend1 {
///     cents: u32,
/// }
///
/// /// What it is.
/// #[derive(Clone, Copy, Default, Serialize, Deserialize)]
/// struct Spend {
///     cents: u64,
///     count: u32,
/// }
///
/// impl Version for Spend1 {
///     const NUMBER: u8 = 1;
///     type Before = First;
///     fn upgrade(before: First) -> Self {
///         match before {}
///     }
/// }
///
/// impl Version for Spend {
///     const NUMBER: u8 = 2;
///     type Before = Spend1;
///     fn upgrade(before: Spend1) -> Self {
///         Self { cents: before.cents.into(), count: 1 }
///     }
/// }
///
/// let mut state = Versioned(Spend::default()); // what a pipeline keeps
/// state.cents += 5;
/// ```
pub trait Version: Stored {
    /// The number of this version: one more than that of the one before.
    const NUMBER: u8;

    /// The version before; [`First`] if there was none.
    type Before: Version;

    /// What state of the version before becomes.
    fn upgrade(before: Self::Before) -> Self;
}

/// What was before the first version: nothing.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum First {}

impl Version for First {
    const NUMBER: u8 = 0;
    type Before = Self;

    fn upgrade(before: Self) -> Self {
        before
    }
}

/// State that says in a checkpoint which version of its type it is of: a byte more a value.
///
/// State that was kept without it is of version 1. So it can be added when the type changes for the
/// first time: the old definition gets another name, and the new one takes its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Versioned<T>(pub T);

impl<T> Deref for Versioned<T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T> DerefMut for Versioned<T> {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<T: Version> Serialize for Versioned<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        const { assert!(T::NUMBER == T::Before::NUMBER + 1, "versions are numbered from 1 on") };
        let mut tuple = serializer.serialize_tuple(2)?;
        tuple.serialize_element(&T::NUMBER)?;
        tuple.serialize_element(&self.0)?;
        tuple.end()
    }
}

impl<'de, T: Version> Deserialize<'de> for Versioned<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match versions() {
            Versions::Noted => deserializer.deserialize_tuple(2, Numbered(PhantomData)),
            Versions::Plain => plain(deserializer).map(Self),
        }
    }
}

/// State that was kept without a version, which is of the first.
fn plain<'de, T: Version, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    match T::NUMBER {
        0 | 1 => T::deserialize(deserializer),
        _ => plain::<T::Before, D>(deserializer).map(T::upgrade),
    }
}

/// Reads a value behind its version.
struct Numbered<T>(PhantomData<T>);

impl<'de, T: Version> Visitor<'de> for Numbered<T> {
    type Value = Versioned<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a version and a value")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Versioned<T>, A::Error> {
        let missing = || A::Error::custom("a value without a version");
        let number: u8 = parts.next_element()?.ok_or_else(missing)?;
        if number == 0 || number > T::NUMBER {
            refuse_version(number, T::NUMBER);
            return Err(A::Error::custom("a version that this build does not know"));
        }
        of_version(number, &mut parts)?.map(Versioned).ok_or_else(missing)
    }
}

/// A value of this version or a later one, from the bytes of version `number`.
fn of_version<'de, T: Version, A: SeqAccess<'de>>(
    number: u8,
    parts: &mut A,
) -> Result<Option<T>, A::Error> {
    match number >= T::NUMBER {
        true => parts.next_element(),
        false => Ok(of_version::<T::Before, A>(number, parts)?.map(T::upgrade)),
    }
}
