//! Windows that do not overlap, whatever their lengths: one question answers all.

use std::cell::Cell;
use std::fmt::{self, Display};

use crate::time::Timestamp;
use crate::window::{Cuts, Span, Stretch};

/// The stretch of time around an instant, in windows that do not overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// The stretch whose records share one fate. It holds the instant that was asked about, or
    /// begins and ends at the end of time.
    pub takes: Span,
    /// The window they fall into, which ends where `takes` ends; `None` for a gap.
    pub window: Option<Span>,
}

impl Period {
    /// A window that takes the records within it.
    pub fn window(start: i64, end: i64) -> Self {
        let span = Span { start: Timestamp(start), end: Timestamp(end) };
        Self { takes: span, window: Some(span) }
    }

    /// A gap between windows.
    pub fn gap(start: i64, end: i64) -> Self {
        let span = Span { start: Timestamp(start), end: Timestamp(end) };
        Self { takes: span, window: None }
    }
}

/// Windows that do not overlap. [`Disjoint`] makes [`Cuts`] of them.
///
/// ```
/// use std::{fmt, rc::Rc};
/// use millstream::error::ConfigError;
/// use millstream::window::{Cuts, Disjoint, Period, Periods};
/// use millstream::Window;
///
/// /// Windows that double in length: `[1, 2)`, `[2, 4)`, `[4, 8)` and so on, and nothing before.
/// #[derive(Clone, Debug)]
/// struct Octaves;
///
/// impl Periods for Octaves {
///     fn period(&self, at: i64) -> Period {
///         match at {
///             i64::MIN..1 => Period::gap(i64::MIN, 1),
///             _ => Period::window(1 << at.ilog2(), 1_i64.checked_shl(at.ilog2() + 1).unwrap()),
///         }
///     }
/// }
///
/// impl fmt::Display for Octaves {
///     fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
///         f.write_str("octaves")
///     }
/// }
///
/// impl Window for Octaves {
///     fn cuts(&self) -> Result<Rc<dyn Cuts>, ConfigError> {
///         Ok(Rc::new(Disjoint::new(self.clone())))
///     }
/// }
///
/// let cuts = Octaves.cuts().unwrap();
/// assert_eq!((cuts.end_after(-7), cuts.end_after(2), cuts.end_after(4)), (2, 4, 8));
/// ```
pub trait Periods: Display + 'static {
    /// The period that holds an instant. Allocates nothing.
    fn period(&self, at: i64) -> Period;
}

/// The [`Cuts`] of windows that do not overlap. Remembers the period that was asked for last, so
/// that working one out is paid for once a period.
pub struct Disjoint<P> {
    periods: P,
    recent: Cell<Period>,
}

impl<P: Periods> Disjoint<P> {
    /// Of these.
    pub fn new(periods: P) -> Self {
        Self { periods, recent: Cell::new(Period::gap(0, 0)) }
    }

    fn period(&self, at: i64) -> Period {
        let recent = self.recent.get();
        if recent.takes.start.0 <= at && at < recent.takes.end.0 {
            return recent;
        }
        let period = self.periods.period(at);
        self.recent.set(period);
        period
    }
}

impl<P: Periods> Cuts for Disjoint<P> {
    fn stretch(&self, at: i64) -> Stretch {
        match self.period(at) {
            Period { takes, window: Some(_) } => Stretch::Slice(takes),
            Period { takes, window: None } => Stretch::Gap(takes),
        }
    }

    fn first_end(&self, start: i64) -> i64 {
        self.period(start).takes.end.0
    }

    fn last_end(&self, start: i64) -> i64 {
        self.period(start).takes.end.0
    }

    fn end_after(&self, mut after: i64) -> i64 {
        loop {
            let Period { takes, window } = self.period(after);
            if window.is_some() || takes.end.0 <= after {
                return takes.end.0;
            }
            after = takes.end.0;
        }
    }

    fn window(&self, end: i64) -> Span {
        let Period { takes, window } = self.period(end.saturating_sub(1));
        window.unwrap_or(takes)
    }

    fn is_disjoint(&self) -> bool {
        true
    }
}

impl<P: Display> Display for Disjoint<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.periods.fmt(f)
    }
}
