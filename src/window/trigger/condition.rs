//! What a trigger is: when a window yields a result, and whether it starts anew.

use std::ops::BitOr;

use serde::{Deserialize, Serialize};

use crate::dataflow::Record;
use crate::error::ConfigError;
use crate::state::State;
use crate::time::Timestamp;
use crate::window::Span;

/// What a trigger says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The window yields a result.
    pub fire: bool,
    /// It forgets its records then.
    pub purge: bool,
}

impl Verdict {
    /// Nothing happens.
    pub const GO_ON: Self = Self { fire: false, purge: false };
    /// The window yields a result and keeps its records.
    pub const FIRE: Self = Self { fire: true, purge: false };

    /// Fires if `so`.
    #[inline(always)]
    pub const fn fire_if(so: bool) -> Self {
        Self { fire: so, purge: false }
    }
}

/// Either of two.
impl BitOr for Verdict {
    type Output = Self;
    #[inline(always)]
    fn bitor(self, other: Self) -> Self {
        Self { fire: self.fire | other.fire, purge: self.purge | other.purge }
    }
}

/// The window that a trigger is asked about, and what time it is.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The window. A global one ends at the end of time.
    pub span: Span,
    /// How far event time has come.
    pub watermark: Timestamp,
    /// Processing time: the `now` of the step.
    pub now: Timestamp,
}

impl Moment {
    /// Whether the watermark has reached the end of the window.
    #[inline(always)]
    pub fn is_over(&self) -> bool {
        self.span.end <= self.watermark
    }
}

/// What can make a trigger fire, as far as that is known before it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ways {
    /// Something can.
    pub any: bool,
    /// It looks at the end of the window itself, so no event-time trigger is added to it.
    pub knows_end: bool,
    /// The end of a window makes it fire, whatever else happens.
    pub sure: bool,
    /// A part of it never fires.
    pub idle: bool,
}

impl Ways {
    /// It can fire, and the end of the window is not among the reasons.
    pub const SOME: Self = Self { any: true, knows_end: false, sure: false, idle: false };
    /// It never fires.
    pub const NONE: Self = Self { any: false, knows_end: false, sure: false, idle: true };
}

/// Decides when a window of a key yields a result.
///
/// The engine keeps one `State` for each window and key, starts it as its default, and drops it
/// with the window. Triggers are those of [`triggers`](super::triggers), what combines them, and
/// your own.
///
/// ```
/// use millstream::window::{Moment, Trigger, Verdict, Ways};
/// use millstream::{Record, Timestamp};
///
/// /// Fires at every record that is marked.
/// struct Marked;
///
/// impl Trigger<(bool, u64)> for Marked {
///     type State = ();
///
///     fn on_record(
///         &self,
///         _state: &mut (),
///         record: &Record<(bool, u64)>,
///         _moment: &Moment,
///     ) -> Verdict {
///         Verdict::fire_if(record.value.0)
///     }
///
///     fn ways(&self, _is_global: bool) -> Ways {
///         Ways::SOME
///     }
/// }
/// ```
pub trait Trigger<T>: 'static {
    /// What it remembers about a window of a key.
    type State: State;

    /// A record has come into the window.
    fn on_record(&self, state: &mut Self::State, record: &Record<T>, moment: &Moment) -> Verdict;

    /// The watermark has reached the end of the window. Called once for a window and key that had
    /// records by then.
    #[inline]
    fn on_event_time(&self, state: &mut Self::State, moment: &Moment) -> Verdict {
        let _ = (state, moment);
        Verdict::GO_ON
    }

    /// Processing time has come to [`deadline`](Self::deadline), or to that of another trigger of
    /// the same window: look at `moment.now`.
    #[inline]
    fn on_processing_time(&self, state: &mut Self::State, moment: &Moment) -> Verdict {
        let _ = (state, moment);
        Verdict::GO_ON
    }

    /// When to be asked by processing time; the end of time is never.
    #[inline]
    fn deadline(&self, state: &Self::State, moment: &Moment) -> Timestamp {
        let _ = (state, moment);
        Timestamp::MAX
    }

    /// What can make it fire in windows that end, or in global ones, which do not.
    fn ways(&self, is_global: bool) -> Ways;

    /// Why it cannot be.
    fn check(&self) -> Result<(), ConfigError> {
        Ok(())
    }
}
