//! How event time is cut: windows, and the slices that overlapping windows share.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::ConfigError;
use crate::time::{Timestamp, nanos};
use crate::window::gaps::Gapped;
use crate::window::{Cuts, Disjoint};

/// A stretch of time: `start` is in it, `end` is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Span {
    /// The first instant in it.
    pub start: Timestamp,
    /// The first instant after it.
    pub end: Timestamp,
}

/// A shape that cuts time into windows.
pub trait Window {
    /// How it cuts, or why it cannot.
    fn cuts(&self) -> Result<Rc<dyn Cuts>, ConfigError>;
}

/// Windows of one size, end to end, aligned to the epoch.
///
/// ```
/// use millstream::{ms, secs, Tumbling};
/// let bars = Tumbling::of(secs(1));
/// let shifted = Tumbling::of(secs(1)).offset(ms(250));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Tumbling {
    size: Duration,
    offset: Duration,
}

impl Tumbling {
    /// Windows of this size.
    pub const fn of(size: Duration) -> Self {
        Self { size, offset: Duration::ZERO }
    }

    /// Moves every boundary later by this much.
    pub const fn offset(self, offset: Duration) -> Self {
        Self { offset, ..self }
    }
}

impl Window for Tumbling {
    fn cuts(&self) -> Result<Rc<dyn Cuts>, ConfigError> {
        Ok(Rc::new(Slices::new(self.size, self.size, self.offset)?))
    }
}

/// Windows of one size that begin every so often, aligned to the epoch.
///
/// ```
/// use millstream::{secs, Sliding};
/// let last_five_seconds = Sliding::of(secs(5)).every(secs(1));
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Sliding {
    size: Duration,
    slide: Duration,
    offset: Duration,
    gaps: bool,
}

impl Sliding {
    /// Windows of this size; say how often they begin with [`every`](Self::every).
    pub const fn of(size: Duration) -> Self {
        Self { size, slide: size, offset: Duration::ZERO, gaps: false }
    }

    /// A window begins, and one ends, every `slide`.
    pub const fn every(self, slide: Duration) -> Self {
        Self { slide, ..self }
    }

    /// Moves every boundary later by this much.
    pub const fn offset(self, offset: Duration) -> Self {
        Self { offset, ..self }
    }

    /// Allows windows that begin more rarely than they are long, which is an error otherwise.
    /// A record between two windows belongs to none: it goes where late records go, or is counted
    /// as dropped.
    ///
    /// ```
    /// use millstream::{ms, secs, Sliding};
    /// let first_millisecond_of_each_second = Sliding::of(ms(1)).every(secs(1)).with_gaps();
    /// ```
    pub const fn with_gaps(self) -> Self {
        Self { gaps: true, ..self }
    }
}

impl Window for Sliding {
    fn cuts(&self) -> Result<Rc<dyn Cuts>, ConfigError> {
        let Self { size, slide, offset, gaps } = *self;
        if gaps && slide > size && !size.is_zero() {
            return Ok(Rc::new(Disjoint::new(Gapped::new(size, slide, offset)?)));
        }
        Ok(Rc::new(Slices::new(size, slide, offset)?))
    }
}

/// Time cut at every instant at which some window begins or ends, in nanoseconds.
///
/// Every window is a whole number of slices, so a record is accumulated once however many windows
/// it falls into (the "paired windows" of Krishnamurthy et al., SIGMOD 2006, in their simplest
/// form).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slices {
    size: i64,
    slide: i64,
    slice: i64,
    offset: i64,
}

impl Slices {
    /// Cuts for windows of `size` that begin every `slide`.
    pub fn new(size: Duration, slide: Duration, offset: Duration) -> Result<Self, ConfigError> {
        if size.is_zero() || slide.is_zero() {
            return Err(ConfigError::setting("window", "0 ns", "a window needs a length"));
        }
        if slide > size {
            return Err(ConfigError::setting(
                "slide",
                format!("{slide:?}"),
                format!(
                    "longer than the window of {size:?}: records between windows belong to none; \
                     say `with_gaps` if that is meant"
                ),
            ));
        }
        let (size, slide) = (nanos(size), nanos(slide));
        Ok(Self { size, slide, slice: gcd(size, slide), offset: nanos(offset) % slide })
    }

    /// One-second windows, end to end: what stands in for slices that were refused, until the
    /// pipeline is refused.
    pub(crate) const SECOND: Self =
        Self { size: 1_000_000_000, slide: 1_000_000_000, slice: 1_000_000_000, offset: 0 };

    /// Whether windows lie end to end, so that each slice is one.
    pub fn are_windows(&self) -> bool {
        self.size == self.slide
    }

    /// How many windows hold each slice at least, if windows do overlap.
    pub fn overlap(&self) -> usize {
        usize::try_from(self.size / self.slide).unwrap_or(usize::MAX - 1).max(1)
    }

    /// Where the slice that holds `at` begins; saturates at the beginning of time.
    pub fn start_of(&self, at: i64) -> i64 {
        const NEAR: i64 = 1 << 62;
        if (-NEAR..NEAR).contains(&at) {
            return at - (at - self.offset).rem_euclid(self.slice);
        }
        let at = i128::from(at);
        clamp(at - (at - i128::from(self.offset)).rem_euclid(i128::from(self.slice)))
    }

    /// Where the slice that begins at `start` ends; saturates at the end of time.
    pub fn end_of(&self, start: i64) -> i64 {
        // A first slice cut short by the beginning of time ends where the next one begins.
        let into = (i128::from(start) - i128::from(self.offset)).rem_euclid(self.slice.into());
        clamp(i128::from(start) - into + i128::from(self.slice))
    }

    /// The end of the first window that holds the slice beginning at `start`.
    pub fn first_end(&self, start: i64) -> i64 {
        clamp(
            self.aligned_start_after(i128::from(start) - i128::from(self.size)) + self.size_wide(),
        )
    }

    /// The end of the last window that holds the slice beginning at `start`.
    pub fn last_end(&self, start: i64) -> i64 {
        let start = i128::from(start);
        let last = start - (start - i128::from(self.offset)).rem_euclid(self.slide.into());
        clamp(last + self.size_wide())
    }

    /// The first window end after `after`.
    pub fn end_after(&self, after: i64) -> i64 {
        clamp(self.aligned_start_after(i128::from(after) - self.size_wide()) + self.size_wide())
    }

    /// The window that ends at `end`.
    pub fn window(&self, end: i64) -> Span {
        Span { start: Timestamp(end.saturating_sub(self.size)), end: Timestamp(end) }
    }

    fn size_wide(&self) -> i128 {
        self.size.into()
    }

    /// The first window start after `after`.
    fn aligned_start_after(&self, after: i128) -> i128 {
        after - (after - i128::from(self.offset)).rem_euclid(self.slide.into())
            + i128::from(self.slide)
    }
}

impl fmt::Display for Slices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [size, slide] = [self.size, self.slide].map(|ns| Duration::from_nanos(ns as u64));
        if size == slide { write!(f, "{size:?}") } else { write!(f, "{size:?} every {slide:?}") }
    }
}

fn clamp(ns: i128) -> i64 {
    ns.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::ns;

    #[test]
    fn tumbling_slices_are_windows() {
        let slices = Slices::new(ns(10), ns(10), ns(3)).unwrap();
        assert_eq!((slices.start_of(12), slices.start_of(13), slices.start_of(-1)), (3, 13, -7));
        assert_eq!((slices.first_end(3), slices.last_end(3)), (13, 13));
        assert_eq!((slices.end_after(12), slices.end_after(13)), (13, 23));
    }

    #[test]
    fn sliding_slices_are_shared() {
        let slices = Slices::new(ns(10), ns(4), ns(0)).unwrap();
        assert_eq!((slices.slice, slices.overlap(), slices.are_windows()), (2, 2, false));
        // Some slices are in one window only, and others in two.
        let uneven = Slices::new(ns(57), ns(31), ns(2)).unwrap();
        assert_eq!((uneven.overlap(), uneven.are_windows()), (1, false));
        assert_eq!((slices.first_end(8), slices.last_end(8)), (10, 18));
        assert_eq!((slices.first_end(10), slices.last_end(10)), (14, 18));
        assert_eq!(slices.window(14), Span { start: Timestamp(4), end: Timestamp(14) });
    }

    #[test]
    fn the_ends_of_time_are_windows_too() {
        let slices = Slices::new(ns(10), ns(10), ns(0)).unwrap();
        let first = slices.start_of(i64::MIN);
        assert_eq!(first, i64::MIN);
        assert!(slices.end_of(first) > i64::MIN && slices.end_of(first) <= i64::MIN + 10);
        assert_eq!(slices.first_end(first), slices.end_of(first));
        assert_eq!(slices.end_of(slices.start_of(i64::MAX)), i64::MAX);
    }

    #[test]
    fn what_cannot_be_cut_is_refused() {
        assert!(Slices::new(ns(0), ns(0), ns(0)).is_err());
        assert!(Slices::new(ns(5), ns(6), ns(0)).is_err());
    }
}
