//! How long a key must be silent for its session to end.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::ConfigError;
use crate::time::nanos;

/// Sessions: what a key does until it has been silent for a gap.
///
/// A record opens `[at, at + gap)`. What touches or overlaps is one session: a record at a distance
/// of exactly the gap still belongs to it. So a session spans from its first record to its last one
/// plus the gap.
///
/// ```
/// use millstream::{ms, Session};
/// # struct Click { on_mobile: bool }
/// let visits = Session::gap(ms(500));
/// let visits = Session::gap_by(|click: &Click| ms(if click.on_mobile { 900 } else { 300 }));
/// ```
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Session<G> {
    pub(super) gap: G,
}

impl Session<FixedGap> {
    /// Sessions that end when the key has been silent for this long.
    pub const fn gap(gap: Duration) -> Self {
        Self { gap: FixedGap(gap) }
    }
}

impl<F> Session<GapBy<F>> {
    /// Sessions whose records each say how long they wait for the next. A record that says zero
    /// waits for one nanosecond.
    pub const fn gap_by<T>(gap: F) -> Self
    where
        F: Fn(&T) -> Duration + 'static,
    {
        Self { gap: GapBy(gap) }
    }
}

/// How long a record waits for the next one of its key.
pub trait Gap<T>: fmt::Display + 'static {
    /// The gap behind this record, in nanoseconds, at least 1.
    fn after(&self, value: &T) -> i64;

    /// Why there can be no such gap.
    fn check(&self) -> Result<(), ConfigError> {
        Ok(())
    }
}

/// The same gap behind every record: see [`Session::gap`].
#[derive(Clone, Copy, Debug)]
pub struct FixedGap(Duration);

impl<T> Gap<T> for FixedGap {
    #[inline(always)]
    fn after(&self, _value: &T) -> i64 {
        nanos(self.0)
    }

    fn check(&self) -> Result<(), ConfigError> {
        if self.0.is_zero() {
            let reason = "without a gap every record would be a session of its own";
            return Err(ConfigError::setting("session gap", "0 ns", reason));
        }
        Ok(())
    }
}

impl fmt::Display for FixedGap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// A gap that each record tells: see [`Session::gap_by`].
#[derive(Clone, Copy, Debug)]
pub struct GapBy<F>(F);

impl<T, F: Fn(&T) -> Duration + 'static> Gap<T> for GapBy<F> {
    #[inline(always)]
    fn after(&self, value: &T) -> i64 {
        nanos((self.0)(value)).max(1)
    }
}

impl<F> fmt::Display for GapBy<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("gap by record")
    }
}
