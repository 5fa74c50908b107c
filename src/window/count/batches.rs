//! Counting end to end: one accumulator a key, and the records are not held.

use serde::{Deserialize, Serialize};

use crate::dataflow::Record;
use crate::time::Timestamp;
use crate::window::Aggregate;
use crate::window::Span;
use crate::window::count::operator::{Counting, between};

/// Windows of so many records, end to end.
#[derive(Clone, Serialize, Deserialize)]
pub struct Batches {
    size: u32,
}

/// The open window of a key.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
pub struct Open<Acc> {
    count: u32,
    first: Timestamp,
    last: Timestamp,
    acc: Acc,
}

impl Batches {
    /// Windows of so many records.
    pub fn new(size: u32) -> Self {
        Self { size }
    }
}

impl<T, A: Aggregate<T>> Counting<T, A> for Batches {
    type State = Open<A::Acc>;

    #[inline]
    fn take(
        &mut self,
        aggregate: &A,
        open: &mut Self::State,
        record: &Record<T>,
    ) -> Option<(Span, A::Out)> {
        if open.count == 0 {
            open.first = record.at;
        }
        open.count += 1;
        open.last = record.at;
        aggregate.accumulate(&mut open.acc, record.at, &record.value);
        if open.count < self.size {
            return None;
        }
        let closed = std::mem::take(open);
        Some((between(closed.first, closed.last), aggregate.finish(&closed.acc)))
    }

    fn rest(&self, aggregate: &A, open: &Self::State) -> Option<(Timestamp, Span, A::Out)> {
        let span = between(open.first, open.last);
        (open.count > 0).then(|| (open.last, span, aggregate.finish(&open.acc)))
    }

    #[inline]
    fn is_spent(open: &Self::State) -> bool {
        open.count == 0
    }

    fn held(&self) -> usize {
        0
    }
}
