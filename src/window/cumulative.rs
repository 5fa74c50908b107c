//! Windows that grow step by step and start over.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use crate::error::ConfigError;
use crate::time::{Timestamp, nanos};
use crate::window::{Cuts, NESTED, Slices, Span, Stretch, Window};

/// Windows that grow: they begin together, each is one step longer than the one before, and when
/// they have reached their greatest length they start over.
///
/// With a greatest length of a day and a step of an hour, each hour gives what there has been since
/// midnight. A key that has had a record gets a result at every step from then on, until the
/// windows start over.
///
/// ```
/// use millstream::aggregates::count;
/// use millstream::{io::IterSource, ms, Cumulative, Record, Simulation, Timestamp};
/// # fn main() -> millstream::Result<()> {
/// Simulation::new(1, 0).run(|p| {
///     let ticks = (0..60).map(|n| Record::new(Timestamp::from_millis(n), n));
///     p.source(IterSource::new(ticks))
///         .key_by(|_| 0u8)
///         .window(Cumulative::of(ms(30)).every(ms(10)))
///         .aggregate(count())
///         .for_each(|window| {
///             let span = window.value.span;
///             let length = (span.end - span.start).as_millis() as u64;
///             assert_eq!(window.value.value, length);
///         });
///     Ok(())
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Cumulative {
    most: Duration,
    step: Duration,
    offset: Duration,
}

impl Cumulative {
    /// Windows that grow up to this length; say by how much with [`every`](Self::every).
    pub const fn of(most: Duration) -> Self {
        Self { most, step: most, offset: Duration::ZERO }
    }

    /// A window ends every `step`, which must divide the greatest length.
    pub const fn every(self, step: Duration) -> Self {
        Self { step, ..self }
    }

    /// Moves every boundary later by this much.
    pub const fn offset(self, offset: Duration) -> Self {
        Self { offset, ..self }
    }
}

impl Window for Cumulative {
    fn cuts(&self) -> Result<Rc<dyn Cuts>, ConfigError> {
        let (most, step) = (nanos(self.most), nanos(self.step));
        if most == 0 || step == 0 {
            return Err(ConfigError::setting("window", "0 ns", "a window needs a length"));
        }
        if most % step != 0 {
            let reason = format!("does not divide the greatest length of {:?}", self.most);
            return Err(ConfigError::setting("step", format!("{:?}", self.step), reason));
        }
        // The steps of one turn all have the offset of the turn.
        let (turns, steps) = (
            Slices::new(self.most, self.most, self.offset)?,
            Slices::new(self.step, self.step, self.offset)?,
        );
        Ok(Rc::new(Growing { turns, steps, most: self.most, step: self.step }))
    }
}

/// Turns, each of which is cut into steps.
struct Growing {
    turns: Slices,
    steps: Slices,
    most: Duration,
    step: Duration,
}

impl Cuts for Growing {
    fn stretch(&self, at: i64) -> Stretch {
        self.steps.stretch(at)
    }

    fn first_end(&self, start: i64) -> i64 {
        self.steps.end_of(start)
    }

    fn last_end(&self, start: i64) -> i64 {
        self.turns.end_of(self.turns.start_of(start))
    }

    fn end_after(&self, after: i64) -> i64 {
        self.steps.end_after(after)
    }

    fn window(&self, end: i64) -> Span {
        let start = self.turns.start_of(end.saturating_sub(1));
        Span { start: Timestamp(start), end: Timestamp(end) }
    }

    fn overlap(&self) -> usize {
        NESTED
    }
}

impl fmt::Display for Growing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "up to {:?} every {:?}", self.most, self.step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::ns;

    #[test]
    fn windows_begin_together_and_start_over() {
        let cuts = Cumulative::of(ns(30)).every(ns(10)).offset(ns(3)).cuts().unwrap();
        assert_eq!(cuts.stretch(14), Stretch::slice(13, 23));
        assert_eq!((cuts.first_end(13), cuts.last_end(13)), (23, 33));
        assert_eq!((cuts.end_after(32), cuts.end_after(33)), (33, 43));
        let starts = [13, 23, 33, 43].map(|end| cuts.window(end).start.0);
        assert_eq!(starts, [3, 3, 3, 33]);
        let first = match cuts.stretch(i64::MIN) {
            Stretch::Slice(span) => span,
            Stretch::Gap(span) => panic!("{span:?} is no gap"),
        };
        assert_eq!(first.start, Timestamp::MIN);
        assert!(cuts.last_end(first.start.0) > i64::MIN);
    }

    #[test]
    fn a_step_divides_the_whole() {
        assert!(Cumulative::of(ns(30)).every(ns(20)).cuts().is_err());
        assert!(Cumulative::of(ns(30)).every(ns(60)).cuts().is_err());
        assert!(Cumulative::of(ns(0)).cuts().is_err());
        assert!(Cumulative::of(ns(30)).every(ns(0)).cuts().is_err());
    }
}
