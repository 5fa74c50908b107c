//! What a shape of windows must say: how it cuts time into slices, and slices into windows.

use std::fmt::{self, Display};
use std::rc::Rc;

use crate::time::Timestamp;
use crate::window::{Slices, Span};

/// A stretch of time of which all instants share one fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stretch {
    /// A slice: its records fall into the same windows.
    Slice(Span),
    /// A gap: its records fall into no window.
    Gap(Span),
}

impl Stretch {
    /// From `start` up to `end`, in nanoseconds, as a slice.
    pub fn slice(start: i64, end: i64) -> Self {
        Self::Slice(Span { start: Timestamp(start), end: Timestamp(end) })
    }

    /// From `start` up to `end`, in nanoseconds, as a gap.
    pub fn gap(start: i64, end: i64) -> Self {
        Self::Gap(Span { start: Timestamp(start), end: Timestamp(end) })
    }
}

/// Time cut at every instant at which some window begins or ends, in nanoseconds since the epoch.
///
/// A window is a whole number of slices and is known by its end: no two windows have the same end,
/// and of two windows the one that ends later does not begin earlier (or, if windows grow, begins
/// with it). No record is asked about while it falls into the slice of the one before it, so a
/// cut may take its time, but it must not allocate. All answers saturate at both ends of time.
///
/// Windows none of which overlap are simpler: see [`Periods`](super::Periods).
///
/// ```
/// use std::fmt;
/// use std::rc::Rc;
/// use millstream::error::ConfigError;
/// use millstream::window::{Cuts, Span, Stretch};
/// use millstream::{Timestamp, Window};
///
/// /// Of every ten nanoseconds: the first five, and all ten.
/// struct HalfAndWhole;
///
/// impl Cuts for HalfAndWhole {
///     fn stretch(&self, at: i64) -> Stretch {
///         let start = at - at.rem_euclid(5);
///         Stretch::slice(start, start + 5)
///     }
///     fn first_end(&self, start: i64) -> i64 {
///         start + 5
///     }
///     fn last_end(&self, start: i64) -> i64 {
///         start - start.rem_euclid(10) + 10
///     }
///     fn end_after(&self, after: i64) -> i64 {
///         after - after.rem_euclid(5) + 5
///     }
///     fn window(&self, end: i64) -> Span {
///         let last = end - 1;
///         Span { start: Timestamp(last - last.rem_euclid(10)), end: Timestamp(end) }
///     }
/// }
///
/// impl fmt::Display for HalfAndWhole {
///     fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
///         f.write_str("half and whole")
///     }
/// }
///
/// impl Window for HalfAndWhole {
///     fn cuts(&self) -> Result<Rc<dyn Cuts>, ConfigError> {
///         Ok(Rc::new(Self))
///     }
/// }
///
/// # use millstream::{aggregates::count, io::IterSource, Record, Simulation};
/// # fn main() -> millstream::Result<()> {
/// Simulation::new(1, 0).run(|p| {
///     let numbers = (0..10).map(|n| Record::new(Timestamp(n), n));
///     p.source(IterSource::new(numbers))
///         .window_all(HalfAndWhole)
///         .aggregate(count())
///         .for_each(|window| {
///             assert_eq!(window.value.value as i64, window.value.span.end.as_nanos());
///         });
///     Ok(())
/// })?;
/// # Ok(())
/// # }
/// ```
pub trait Cuts: Display + 'static {
    /// The slice, or the gap, that holds an instant.
    fn stretch(&self, at: i64) -> Stretch;

    /// The end of the first window that holds the slice beginning at `start`.
    fn first_end(&self, start: i64) -> i64;

    /// The end of the last window that holds the slice beginning at `start`.
    fn last_end(&self, start: i64) -> i64;

    /// The first window end after `after`.
    fn end_after(&self, after: i64) -> i64;

    /// The window that ends at `end`.
    fn window(&self, end: i64) -> Span;

    /// How many windows hold each slice, at least. One is always right; where windows slide over
    /// many slices, saying how many makes a slide cheap for aggregates that cannot be deducted.
    /// [`NESTED`](super::NESTED) if slices that share a window always share their last one, as in
    /// windows that grow.
    fn overlap(&self) -> usize {
        1
    }

    /// Whether each slice is a window of its own, so that nothing ever has to be combined and each
    /// record falls into one window at most. `false` is always right.
    fn is_disjoint(&self) -> bool {
        false
    }
}

/// The slices of windows, each as a window of its own.
pub(super) struct EachSlice(pub Rc<dyn Cuts>);

impl EachSlice {
    fn end_of(&self, at: i64) -> i64 {
        match self.0.stretch(at) {
            Stretch::Slice(span) | Stretch::Gap(span) => span.end.0,
        }
    }
}

impl Cuts for EachSlice {
    fn stretch(&self, at: i64) -> Stretch {
        self.0.stretch(at)
    }

    fn first_end(&self, start: i64) -> i64 {
        self.end_of(start)
    }

    fn last_end(&self, start: i64) -> i64 {
        self.end_of(start)
    }

    fn end_after(&self, mut after: i64) -> i64 {
        loop {
            match self.0.stretch(after) {
                Stretch::Gap(span) if span.end > Timestamp(after) => after = span.end.0,
                Stretch::Slice(span) | Stretch::Gap(span) => return span.end.0,
            }
        }
    }

    fn window(&self, end: i64) -> Span {
        match self.0.stretch(end.saturating_sub(1)) {
            Stretch::Slice(span) | Stretch::Gap(span) => span,
        }
    }
}

impl Display for EachSlice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "slices of {}", self.0)
    }
}

impl Cuts for Slices {
    #[inline]
    fn stretch(&self, at: i64) -> Stretch {
        let start = self.start_of(at);
        Stretch::slice(start, self.end_of(start))
    }

    fn first_end(&self, start: i64) -> i64 {
        Slices::first_end(self, start)
    }

    fn last_end(&self, start: i64) -> i64 {
        Slices::last_end(self, start)
    }

    fn end_after(&self, after: i64) -> i64 {
        Slices::end_after(self, after)
    }

    fn window(&self, end: i64) -> Span {
        Slices::window(self, end)
    }

    fn overlap(&self) -> usize {
        Slices::overlap(self)
    }

    fn is_disjoint(&self) -> bool {
        self.are_windows()
    }
}
