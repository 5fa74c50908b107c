//! Triggers that look at the end of the window.

use crate::dataflow::Record;
use crate::error::ConfigError;
use crate::time::Timestamp;
use crate::window::trigger::condition::{Moment, Trigger, Verdict, Ways};

/// Never fires.
#[derive(Clone, Copy, Debug)]
pub struct Never;

impl<T> Trigger<T> for Never {
    type State = ();

    fn on_record(&self, (): &mut (), _record: &Record<T>, _moment: &Moment) -> Verdict {
        Verdict::GO_ON
    }

    fn ways(&self, _is_global: bool) -> Ways {
        Ways::NONE
    }
}

/// Fires at every record.
#[derive(Clone, Copy, Debug)]
pub struct Each;

impl<T> Trigger<T> for Each {
    type State = ();

    #[inline(always)]
    fn on_record(&self, (): &mut (), _record: &Record<T>, _moment: &Moment) -> Verdict {
        Verdict::FIRE
    }

    fn ways(&self, _is_global: bool) -> Ways {
        Ways::SOME
    }
}

/// Fires when the watermark reaches the end of the window: see
/// [`event_time`](super::triggers::event_time).
#[derive(Clone, Copy, Debug)]
pub struct EventTime<E, L> {
    pub(super) early: E,
    pub(super) late: L,
}

impl<E, L> EventTime<E, L> {
    /// Before the end of the window `trigger` decides.
    pub fn early<B>(self, trigger: B) -> EventTime<B, L> {
        EventTime { early: trigger, late: self.late }
    }

    /// After the end of the window `trigger` decides, instead of every record firing.
    pub fn late<B>(self, trigger: B) -> EventTime<E, B> {
        EventTime { early: self.early, late: trigger }
    }
}

impl<T, E: Trigger<T>, L: Trigger<T>> Trigger<T> for EventTime<E, L> {
    type State = (E::State, L::State);

    #[inline]
    fn on_record(
        &self,
        (early, late): &mut Self::State,
        record: &Record<T>,
        moment: &Moment,
    ) -> Verdict {
        if moment.is_over() {
            self.late.on_record(late, record, moment)
        } else {
            self.early.on_record(early, record, moment)
        }
    }

    #[inline]
    fn on_event_time(&self, _state: &mut Self::State, _moment: &Moment) -> Verdict {
        Verdict::FIRE
    }

    fn on_processing_time(&self, (early, late): &mut Self::State, moment: &Moment) -> Verdict {
        if moment.is_over() {
            self.late.on_processing_time(late, moment)
        } else {
            self.early.on_processing_time(early, moment)
        }
    }

    #[inline]
    fn deadline(&self, (early, late): &Self::State, moment: &Moment) -> Timestamp {
        if moment.is_over() {
            self.late.deadline(late, moment)
        } else {
            self.early.deadline(early, moment)
        }
    }

    fn ways(&self, is_global: bool) -> Ways {
        let early = self.early.ways(is_global);
        Ways { any: !is_global || early.any, knows_end: true, sure: true, idle: false }
    }

    fn check(&self) -> Result<(), ConfigError> {
        self.early.check().and_then(|()| self.late.check())
    }
}

/// Fires when processing time reaches the end of the window: see
/// [`processing_time`](super::triggers::processing_time).
#[derive(Clone, Copy, Debug)]
pub struct ProcessingTime;

impl<T> Trigger<T> for ProcessingTime {
    /// Whether it has fired.
    type State = bool;

    #[inline]
    fn on_record(&self, fired: &mut bool, _record: &Record<T>, moment: &Moment) -> Verdict {
        let is_over = moment.span.end <= moment.now;
        *fired |= is_over;
        Verdict::fire_if(is_over)
    }

    fn on_processing_time(&self, fired: &mut bool, moment: &Moment) -> Verdict {
        let due = !*fired && moment.span.end <= moment.now;
        *fired |= due;
        Verdict::fire_if(due)
    }

    #[inline]
    fn deadline(&self, fired: &bool, moment: &Moment) -> Timestamp {
        if *fired { Timestamp::MAX } else { moment.span.end }
    }

    fn ways(&self, is_global: bool) -> Ways {
        if is_global { Ways::NONE } else { Ways::SOME }
    }
}
