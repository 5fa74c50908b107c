//! Windows with gaps between them.

use std::fmt;
use std::time::Duration;

use crate::error::ConfigError;
use crate::time::nanos;
use crate::window::{Period, Periods, Slices};

/// Windows of one size that begin every so often, with a gap behind each.
pub(super) struct Gapped {
    /// From the beginning of one window to that of the next.
    turns: Slices,
    size: i64,
    slide: Duration,
}

impl Gapped {
    /// Windows of `size` that begin every `slide`, which is longer.
    pub fn new(size: Duration, slide: Duration, offset: Duration) -> Result<Self, ConfigError> {
        let turns = Slices::new(slide, slide, offset)?;
        Ok(Self { turns, size: nanos(size), slide })
    }
}

impl Periods for Gapped {
    fn period(&self, at: i64) -> Period {
        let start = self.turns.start_of(at);
        let turn = self.turns.end_of(start);
        // A first turn cut short by the beginning of time keeps the end of its window.
        let whole = i128::from(turn) - i128::from(nanos(self.slide));
        let start = if turn == i64::MAX { i128::from(start) } else { whole };
        let end = (start + i128::from(self.size)).min(i64::MAX.into());
        let clamp = |ns: i128| ns.max(i64::MIN.into()) as i64;
        match i128::from(at) < end || end == i64::MAX.into() {
            true => Period::window(clamp(start), clamp(end)),
            false => Period::gap(clamp(end), turn),
        }
    }
}

impl fmt::Display for Gapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = Duration::from_nanos(self.size as u64);
        write!(f, "{size:?} every {:?}, with gaps", self.slide)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::ns;
    use crate::window::{Cuts, Disjoint, Stretch};

    #[test]
    fn what_is_between_windows_is_a_gap() {
        let cuts = Disjoint::new(Gapped::new(ns(4), ns(10), ns(3)).unwrap());
        assert_eq!(cuts.stretch(6), Stretch::slice(3, 7));
        assert_eq!(cuts.stretch(7), Stretch::gap(7, 13));
        assert_eq!(cuts.stretch(-1), Stretch::gap(-3, 3));
        assert_eq!((cuts.end_after(7), cuts.end_after(6), cuts.end_after(17)), (17, 7, 27));
        assert_eq!(cuts.window(17).start.0, 13);
    }

    #[test]
    fn the_ends_of_time_are_somewhere() {
        let cuts = Disjoint::new(Gapped::new(ns(4), ns(10), ns(0)).unwrap());
        for at in [i64::MIN, i64::MIN + 1, i64::MIN + 9, i64::MAX - 1, i64::MAX] {
            let (Stretch::Slice(span) | Stretch::Gap(span)) = cuts.stretch(at);
            assert!(span.start.0 <= at && (at < span.end.0 || at == i64::MAX), "{at}: {span:?}");
            assert!(cuts.end_after(at) > at || at == i64::MAX);
        }
    }
}
