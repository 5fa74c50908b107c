//! The triggers there are, by the names that pipelines use.
//!
//! ```
//! use millstream::window::triggers::{any, count, event_time, purging, silence};
//! use millstream::secs;
//! # use millstream::window::Trigger;
//! # fn of<T: Trigger<u64>>(_: T) {}
//! // At every hundredth record, on time, and once more for every tenth late record.
//! # of(
//! event_time().early(count(100)).late(count(10))
//! # );
//! // In pieces that do not overlap; what is left comes on time.
//! # of(
//! purging(any(event_time(), count(100)))
//! # );
//! // On time, or when nothing has come for five seconds of processing time.
//! # of(
//! any(event_time(), silence(secs(5)))
//! # );
//! ```

use std::time::Duration;

use crate::time::nanos;
pub use crate::window::trigger::combined::{All, Any, Purging};
pub use crate::window::trigger::record::{Continuous, Delta, EveryCount};
pub use crate::window::trigger::time::{Each, EventTime, Never, ProcessingTime};
pub use crate::window::trigger::wall::{Every, Silence};

/// Fires when the watermark reaches the end of the window, and then at every late record that is
/// still allowed. [`early`](EventTime::early) and [`late`](EventTime::late) say more.
pub const fn event_time() -> EventTime<Never, Each> {
    EventTime { early: Never, late: Each }
}

/// Fires when processing time reaches the end of the window, and then at every record.
pub const fn processing_time() -> ProcessingTime {
    ProcessingTime
}

/// Fires at every `n`th record of the window.
pub const fn count(n: u64) -> EveryCount {
    EveryCount(n)
}

/// Fires when the value of a record is further than `threshold` from that of the record that it
/// fired at last, or of the first.
pub const fn delta<T, F: Fn(&T) -> f64 + 'static>(threshold: f64, value: F) -> Delta<F> {
    Delta { threshold, value }
}

/// Fires every so often in event time: at the first record of the window that has come to the next
/// multiple of `every`.
///
/// It goes by the times of the window's own records and not by the watermark, so what a result
/// holds is the same on any number of shards and for batches of any size.
pub fn continuous(every: Duration) -> Continuous {
    Continuous { every: nanos(every) }
}

/// Fires every so often in processing time, at multiples of `every`, if records have come since.
pub fn every(every: Duration) -> Every {
    Every { every: nanos(every) }
}

/// Fires when the window has got no record for so long in processing time: closes windows of
/// streams that fall silent, and whose watermark stands still. Those results are early.
pub fn silence(after: Duration) -> Silence {
    Silence { after: nanos(after) }
}

/// Fires when either does.
pub const fn any<A, B>(a: A, b: B) -> Any<A, B> {
    Any(a, b)
}

/// Fires when both have fired since it fired last.
pub const fn all<A, B>(a: A, b: B) -> All<A, B> {
    All(a, b)
}

/// Forgets the records of each result, so that each record is in one result: "discarding". Without
/// it each result holds all records of the window so far: "accumulating".
pub const fn purging<A>(trigger: A) -> Purging<A> {
    Purging(trigger)
}
