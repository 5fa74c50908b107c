//! Which windows a record falls into.

use std::fmt;
use std::rc::Rc;

use crate::time::Timestamp;
use crate::window::{Cuts, Span, Stretch};

/// How records are put into windows.
#[derive(Clone)]
pub enum Shape {
    /// Windows of time.
    Cuts(Rc<dyn Cuts>),
    /// One window for each key, for as long as there is input.
    Global,
}

impl Shape {
    /// The ends of the first and of the last window that a record falls into; `None` in a gap
    /// between windows.
    #[inline]
    pub fn ends(&self, at: i64) -> Option<(i64, i64)> {
        match self {
            Self::Cuts(cuts) => match cuts.stretch(at) {
                Stretch::Slice(Span { start: Timestamp(start), .. }) => {
                    Some((cuts.first_end(start), cuts.last_end(start)))
                }
                Stretch::Gap(_) => None,
            },
            Self::Global => Some((i64::MAX, i64::MAX)),
        }
    }

    /// The end of the next window.
    #[inline]
    pub fn end_after(&self, end: i64) -> i64 {
        match self {
            Self::Cuts(cuts) => cuts.end_after(end),
            Self::Global => i64::MAX,
        }
    }

    /// The window that ends at `end`.
    #[inline]
    pub fn window(&self, end: i64) -> Span {
        match self {
            Self::Cuts(cuts) => cuts.window(end),
            Self::Global => Span { start: Timestamp::MIN, end: Timestamp::MAX },
        }
    }

    /// Whether each record falls into one window at most.
    #[inline]
    pub fn is_single(&self) -> bool {
        match self {
            Self::Cuts(cuts) => cuts.is_disjoint(),
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
            Self::Cuts(cuts) => cuts.fmt(f),
            Self::Global => f.write_str("global"),
        }
    }
}
