//! The largest of each window, ties included: what queries 5 and 7 have in common.
//!
//! The largest value is an aggregate; those that have it are found by a join of the stream with
//! its own maximum. So that few records get there, each shard leaves out those that are less than
//! one that it has seen before.

use std::time::Duration;

use crate::dataflow::{Stage, Stream};
use crate::state::Stored;
use crate::time::{Timestamp, nanos};
use crate::window::Tumbling;
use crate::window::aggregates::max;

/// Of the records of each tumbling window those of which `measure` is largest, when it closes.
///
/// `at` is the time of a record. Keeps, on each shard, the largest so far of the latest window, and
/// in one place the records that were the largest of their shard when they came.
pub fn leading<'p, T: Copy + Send + Stored>(
    records: Stream<'p, impl Stage<Out = T>>,
    window: Duration,
    at: impl Fn(&T) -> Timestamp + 'static,
    measure: impl Fn(&T) -> u64 + Copy + 'static,
) -> Stream<'p, impl Stage<Out = T>> {
    let mut ahead = Ahead::new(window);
    let (ahead, all) =
        records.filter(move |record| ahead.lets_pass(at(record), measure(record))).tee();
    let most = all.window_all(Tumbling::of(window)).aggregate(max(measure)).map(|most| most.value);
    ahead
        .key_by(|_| ())
        .window_join(most.key_by(|_| ()))
        .window(Tumbling::of(window))
        .select(move |record, most| (measure(record) == *most).then_some(*record))
        .filter_map(|record| record)
}

/// Lets a record pass unless a larger one of its window has passed here.
///
/// A filter that remembers, in the same loop as the source. No snapshot need hold it: one that
/// begins anew lets more pass, and what comes of them is the same.
struct Ahead {
    size_ns: i64,
    /// The latest window that a record of was seen: its first moment and the one behind its last.
    start: i64,
    end: i64,
    most: u64,
}

impl Ahead {
    fn new(window: Duration) -> Self {
        Self { size_ns: nanos(window), start: i64::MIN, end: i64::MIN, most: 0 }
    }

    /// Records of an earlier window all pass.
    #[inline(always)]
    fn lets_pass(&mut self, at: Timestamp, measure: u64) -> bool {
        let at = at.as_nanos();
        if at >= self.end {
            self.start = at - at.rem_euclid(self.size_ns);
            (self.end, self.most) = (self.start.saturating_add(self.size_ns), 0);
        }
        let is_ahead = measure >= self.most;
        if is_ahead && at >= self.start {
            self.most = measure;
        }
        is_ahead || at < self.start
    }
}
