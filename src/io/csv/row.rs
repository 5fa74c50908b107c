//! One line, as a decoder sees it.

use std::ops::Range;

use super::columns::Layout;
use super::number::{self, TimeUnit};
use crate::time::Timestamp;

/// The fields of one line.
///
/// A field is addressed by its place in the [`Columns`](super::Columns) that were asked for. What
/// cannot be read comes back as a reason that names the column and shows the field, made to be
/// passed on by `?`. Blanks around numbers and times do not matter.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    pub(super) text: &'a [u8],
    pub(super) bounds: &'a [Range<usize>],
    pub(super) layout: &'a Layout,
}

impl<'a> Row<'a> {
    /// The field without its quotes, as bytes; `None` if the line has too few fields.
    #[inline]
    pub fn get(&self, field: usize) -> Option<&'a [u8]> {
        let position = self.layout.position(field)?;
        self.text.get(self.bounds.get(position)?.clone())
    }

    /// The field without its quotes, as bytes.
    ///
    /// # Errors
    /// If the line has too few fields.
    #[inline]
    pub fn bytes(&self, field: usize) -> Result<&'a [u8], String> {
        self.get(field).ok_or_else(|| self.too_short(field))
    }

    /// The field as text.
    ///
    /// # Errors
    /// If the line has too few fields, or this one is not UTF-8.
    #[inline]
    pub fn text(&self, field: usize) -> Result<&'a str, String> {
        let bytes = self.bytes(field)?;
        str::from_utf8(bytes).map_err(|_| self.reason(field, bytes, "is not UTF-8"))
    }

    /// The field as a whole number.
    ///
    /// # Errors
    /// If there is no such field or it is no `i64`.
    #[inline]
    pub fn i64(&self, field: usize) -> Result<i64, String> {
        self.parse(field, number::int)
    }

    /// The field as a whole number that is not negative.
    ///
    /// # Errors
    /// If there is no such field or it is no `u64`.
    #[inline]
    pub fn u64(&self, field: usize) -> Result<u64, String> {
        self.parse(field, number::int)
    }

    /// The field as a number. `NaN` and `inf` are numbers; [`finite`](Self::finite) refuses them.
    ///
    /// # Errors
    /// If there is no such field or it is no number.
    #[inline]
    pub fn f64(&self, field: usize) -> Result<f64, String> {
        self.parse(field, number::float)
    }

    /// The field as a number that is neither infinite nor NaN, as a price should be.
    ///
    /// # Errors
    /// If there is no such field or it is no finite number.
    #[inline]
    pub fn finite(&self, field: usize) -> Result<f64, String> {
        self.parse(field, |text| {
            let value = number::float(text)?;
            if value.is_finite() { Ok(value) } else { Err("is not a finite number") }
        })
    }

    /// The field as a time: a decimal number of `unit` since the epoch, exact to the nanosecond.
    /// Finer digits are dropped.
    ///
    /// # Errors
    /// If there is no such field, it is no decimal number, or it does not fit into 64 bits of
    /// nanoseconds.
    #[inline]
    pub fn time(&self, field: usize, unit: TimeUnit) -> Result<Timestamp, String> {
        self.parse(field, |text| number::nanos(text, unit)).map(Timestamp)
    }

    #[inline]
    fn parse<N>(
        &self,
        field: usize,
        parse: impl FnOnce(&[u8]) -> Result<N, &'static str>,
    ) -> Result<N, String> {
        let bytes = self.bytes(field)?;
        parse(bytes).map_err(|reason| self.reason(field, bytes, reason))
    }

    #[cold]
    fn too_short(&self, field: usize) -> String {
        let (name, there) = (self.layout.name(field), self.bounds.len());
        format!("no field for {name}: the line has {there}")
    }

    #[cold]
    fn reason(&self, field: usize, bytes: &[u8], reason: &str) -> String {
        let shown = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]);
        format!("{}: {shown:?} {reason}", self.layout.name(field))
    }
}
