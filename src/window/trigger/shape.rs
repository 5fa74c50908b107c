//! Which windows a record falls into.

use std::fmt;

use crate::time::Timestamp;
use crate::window::{Slices, Span};

/// How records are put into windows.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Windows of time.
    Slices(Slices),
    /// One window for each key, for as long as there is input.
    Global,
}

impl Shape {
    /// The ends of the first and of the last window that a record falls into.
    #[inline]
    pub fn ends(&self, at: i64) -> (i64, i64) {
        match self {
            Self::Slices(slices) => {
                let start = slices.start_of(at);
                (slices.first_end(start), slices.last_end(start))
            }
            Self::Global => (i64::MAX, i64::MAX),
        }
    }

    /// The end of the next window.
    #[inline]
    pub fn end_after(&self, end: i64) -> i64 {
        match self {
            Self::Slices(slices) => slices.end_after(end),
            Self::Global => i64::MAX,
        }
    }

    /// The window that ends at `end`.
    #[inline]
    pub fn window(&self, end: i64) -> Span {
        match self {
            Self::Slices(slices) => slices.window(end),
            Self::Global => Span { start: Timestamp::MIN, end: Timestamp::MAX },
        }
    }

    /// Whether each record falls into one window.
    #[inline]
    pub fn is_single(&self) -> bool {
        match self {
            Self::Slices(slices) => *slices == slices.as_windows(),
            Self::Global => true,
        }
    }

    /// Whether there is one window that does not end before the input.
    #[inline(always)]
    pub const fn is_global(&self) -> bool {
        matches!(self, Self::Global)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Slices(slices) => slices.fmt(f),
            Self::Global => f.write_str("global"),
        }
    }
}
