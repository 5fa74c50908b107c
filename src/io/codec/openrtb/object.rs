//! What objects are made of.

use std::fmt;

use crate::io::codec::json::{Broken, Cursor, Kind, Number, Str};
use crate::io::codec::openrtb::walk::{Limits, Step, Walk};

/// Something that is read from a document and written to one.
pub trait Part<'a>: Copy {
    /// What it is where it is absent; none if it must be there.
    const ABSENT: Option<Self> = None;

    /// Reads it, and goes behind it.
    fn read(walk: &mut Walk<'a>) -> Result<Self, Broken>;

    /// Appends it.
    fn write(&self, into: &mut Vec<u8>);

    /// Whether it is left out of what is written.
    fn is_absent(&self) -> bool {
        false
    }

    /// How many there may be in a list.
    fn most(limits: &Limits) -> usize {
        limits.values
    }
}

impl<'a> Part<'a> for Str<'a> {
    #[inline]
    fn read(walk: &mut Walk<'a>) -> Result<Self, Broken> {
        let raw = walk.cursor.text()?;
        Self::found(raw).map_err(|error| {
            let at = error.offset.unwrap_or(raw.at);
            walk.cursor.error_at(at, "an escape or a letter that there is not")
        })
    }

    fn write(&self, into: &mut Vec<u8>) {
        Str::write(*self, into);
    }
}

impl<'a> Part<'a> for f64 {
    #[inline]
    fn read(walk: &mut Walk<'a>) -> Result<Self, Broken> {
        match walk.cursor.kind()? {
            Kind::Number => walk.cursor.number().map(Number::as_f64),
            _ => Err(walk.cursor.error("not a number")),
        }
    }

    fn write(&self, into: &mut Vec<u8>) {
        // What is no number in JSON either is 0.
        let number = if self.is_finite() { *self } else { 0.0 };
        let _ = std::io::Write::write_fmt(into, format_args!("{number}"));
    }
}

macro_rules! whole {
    ($($type:ty),*) => {$(
        impl<'a> Part<'a> for $type {
            #[inline]
            fn read(walk: &mut Walk<'a>) -> Result<Self, Broken> {
                walk.cursor.kind()?;
                let at = walk.cursor.at();
                let number = match walk.cursor.number() {
                    Ok(Number::Unsigned(number)) => number.try_into().ok(),
                    Ok(Number::Negative(number)) => number.try_into().ok(),
                    Ok(Number::Float(_)) | Err(Broken) => None,
                };
                number.ok_or_else(|| {
                    walk.cursor.error_at(at, concat!("not a whole number, ", stringify!($type)))
                })
            }

            fn write(&self, into: &mut Vec<u8>) {
                let _ = std::io::Write::write_fmt(into, format_args!("{self}"));
            }
        }
    )*};
}

whole!(u32, i32);

impl<'a, T: Part<'a>> Part<'a> for Option<T> {
    const ABSENT: Option<Self> = Some(None);

    #[inline]
    fn read(walk: &mut Walk<'a>) -> Result<Self, Broken> {
        match walk.cursor.kind()? {
            Kind::Null => walk.cursor.word(b"null").map(|()| None),
            _ => T::read(walk).map(Some),
        }
    }

    fn write(&self, into: &mut Vec<u8>) {
        match self {
            Some(value) => value.write(into),
            None => into.extend_from_slice(b"null"),
        }
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

/// A list: where it stands in a document that was checked, or one to be written.
///
/// What it holds is read by whoever goes through it, each time.
#[derive(Clone, Copy)]
pub struct List<'a, T>(Place<'a, T>);

#[derive(Clone, Copy)]
enum Place<'a, T> {
    /// From its bracket on, and how many it holds.
    Found(&'a [u8], usize),
    Given(&'a [T]),
}

impl<'a, T> List<'a, T> {
    /// Of values that are there.
    pub const fn of(values: &'a [T]) -> Self {
        Self(Place::Given(values))
    }

    /// How many it holds.
    pub const fn len(&self) -> usize {
        match self.0 {
            Place::Found(_, count) => count,
            Place::Given(values) => values.len(),
        }
    }

    /// Whether it holds none, as one that is absent.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'a, T: Part<'a>> List<'a, T> {
    /// What it holds, in order.
    pub fn iter(&self) -> ListIter<'a, T> {
        let unlimited =
            Limits { imps: usize::MAX, deals: usize::MAX, formats: usize::MAX, values: usize::MAX };
        ListIter(match self.0 {
            Place::Given(values) => Reading::Given(values.iter()),
            Place::Found(bytes, left) => {
                let mut walk = Walk::new(bytes, unlimited);
                walk.cursor.take(b'[');
                Reading::Found { walk, first: true, left }
            }
        })
    }
}

impl<T> Default for List<'_, T> {
    fn default() -> Self {
        Self(Place::Given(&[]))
    }
}

impl<'a, T: Part<'a> + fmt::Debug> fmt::Debug for List<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Goes through a [`List`].
pub struct ListIter<'a, T: Part<'a>>(Reading<'a, T>);

// It lies on the stack of whoever goes through the list; a box would be an allocation.
#[allow(clippy::large_enum_variant)]
enum Reading<'a, T> {
    Found { walk: Walk<'a>, first: bool, left: usize },
    Given(std::slice::Iter<'a, T>),
}

impl<'a, T: Part<'a>> Iterator for ListIter<'a, T> {
    type Item = T;

    #[inline]
    fn next(&mut self) -> Option<T> {
        match &mut self.0 {
            Reading::Given(values) => values.next().copied(),
            Reading::Found { walk, first, left } => {
                *left = left.checked_sub(1)?;
                // It was checked: what is here was read before.
                match walk.cursor.another(std::mem::take(first)) {
                    Ok(true) => T::read(walk).ok(),
                    _ => None,
                }
            }
        }
    }
}

impl<'a, T: Part<'a> + 'a> Part<'a> for List<'a, T> {
    const ABSENT: Option<Self> = Some(Self(Place::Found(&[], 0)));

    #[inline]
    fn read(walk: &mut Walk<'a>) -> Result<Self, Broken> {
        if walk.cursor.kind()? == Kind::Null {
            walk.cursor.word(b"null")?;
            return Ok(Self(Place::Found(&[], 0)));
        }
        let rest = walk.cursor.rest();
        walk.cursor.demand(b'[', "not a list")?;
        let (most, mut count) = (T::most(&walk.limits), 0);
        while walk.cursor.another(count == 0)? {
            walk.cursor.peek();
            if count == most {
                return Err(walk.cursor.error("there are more than the limits allow"));
            }
            walk.step(Step::Entry(count), T::read)?;
            count += 1;
        }
        Ok(Self(Place::Found(rest, count)))
    }

    fn write(&self, into: &mut Vec<u8>) {
        into.push(b'[');
        for (at, value) in self.iter().enumerate() {
            if at > 0 {
                into.push(b',');
            }
            value.write(into);
        }
        into.push(b']');
    }

    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

/// What is wrong with a list that must hold something.
pub const EMPTY: &str = "is empty";

/// Whether it holds nothing and must.
pub fn some<'a>(value: &impl Part<'a>) -> bool {
    value.is_absent()
}

/// What an object that ends here has not.
#[cold]
pub fn missing<'a, T>(
    walk: &mut Walk<'a>,
    name: &'static str,
    reason: &'static str,
) -> Result<T, Broken> {
    walk.step(Step::Field(name), |walk| {
        let at = walk.cursor.at().saturating_sub(1);
        Err(walk.cursor.error_at(at, reason))
    })
}

/// An object begins.
#[inline]
pub fn begin(cursor: &mut Cursor<'_>) -> Result<(), Broken> {
    cursor.kind()?;
    cursor.demand(b'{', "not an object")
}

/// Declares an object: its fields by the names that they have in JSON. One of a type that is
/// neither an option nor a list must be there, unless `=` says what it is else; a list `where some`
/// holds one value at least.
macro_rules! object {
    (
        $(#[$about:meta])*
        $name:ident $(<$life:lifetime>)? $(limit $limit:ident)? {
            $($(#[$what:meta])* $field:ident: $type:ty $(where $some:ident)? $(= $absent:expr)?,)*
        }
    ) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug)]
        pub struct $name $(<$life>)? {
            $($(#[$what])* pub $field: $type,)*
        }

        impl $(<$life>)? Default for $name $(<$life>)? {
            /// Each field as it is where it is absent; what must be there is empty.
            fn default() -> Self {
                Self { $($field: object!(@default $type $(, $absent)?),)* }
            }
        }

        impl<'a> $crate::io::codec::openrtb::object::Part<'a> for $name $(<$life>)? {
            fn read(
                walk: &mut $crate::io::codec::openrtb::walk::Walk<'a>,
            ) -> Result<Self, $crate::io::codec::json::Broken> {
                #[allow(unused_imports)]
                use $crate::io::codec::openrtb::object::{EMPTY, Part, begin, missing, some};
                use $crate::io::codec::openrtb::walk::Step;
                begin(&mut walk.cursor)?;
                $(let mut $field: Option<$type> = None;)*
                let mut first = true;
                while let Some(key) = walk.cursor.key(std::mem::take(&mut first))? {
                    match key.bytes {
                        $(name if name == stringify!($field).as_bytes() => {
                            let name = stringify!($field);
                            $field = walk.step(Step::Field(name), Option::read)?;
                        })*
                        _ => {
                            walk.skipped += 1;
                            walk.cursor.skip()?;
                        }
                    }
                }
                Ok(Self {
                    $($field: {
                        let absent: Option<$type> = object!(@absent $type $(, $absent)?);
                        let name = stringify!($field);
                        match $field.or(absent) {
                            $(Some(value) if $some(&value) => return missing(walk, name, EMPTY),)?
                            Some(value) => value,
                            None => return missing(walk, name, "is missing"),
                        }
                    },)*
                })
            }

            fn write(&self, into: &mut Vec<u8>) {
                let mut before = b'{';
                $(
                    #[allow(unused_mut, unused_assignments)]
                    let mut is_absent = self.$field.is_absent();
                    $(is_absent = object!(@same self.$field, $absent, $type);)?
                    if !is_absent {
                        into.push(std::mem::replace(&mut before, b','));
                        into.extend_from_slice(concat!("\"", stringify!($field), "\":").as_bytes());
                        self.$field.write(into);
                    }
                )*
                if before == b'{' {
                    into.push(b'{');
                }
                into.push(b'}');
            }

            $(fn most(limits: &$crate::io::codec::openrtb::walk::Limits) -> usize {
                limits.$limit
            })?
        }
    };
    (@absent $type:ty) => { <$type as $crate::io::codec::openrtb::object::Part<'a>>::ABSENT };
    (@absent $type:ty, $absent:expr) => { Some($absent) };
    (@default $type:ty) => { <$type>::default() };
    (@default $type:ty, $absent:expr) => { $absent };
    (@same $value:expr, $absent:expr, $type:ty) => {{
        let absent: $type = $absent;
        $value == absent
    }};
}

pub(super) use object;
