//! Timestamps at the start of slides, and one watermark a slide.

use renoir::operator::Timestamp;
use renoir::prelude::EventTimeWindow;

/// The start of the slide that a time is in.
#[inline(always)]
pub fn floor(at: i64, slide: i64) -> Timestamp {
    at.div_euclid(slide) * slide
}

/// A watermark with the first record of each slide: it is said to each key, so there had better be
/// few of them.
pub fn watermarks<T>() -> impl FnMut(&T, &Timestamp) -> Option<Timestamp> + Clone + Send + 'static {
    let mut latest = Timestamp::MIN;
    move |_, at| {
        let is_new = *at > latest;
        latest = latest.max(*at);
        is_new.then_some(*at)
    }
}

/// Windows over such timestamps. They close when a watermark is behind their end, and are a
/// nanosecond short, so that the start of the next slide is.
pub fn windows(size: i64, slide: i64) -> EventTimeWindow {
    EventTimeWindow::sliding(size - 1, slide)
}
