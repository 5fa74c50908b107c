//! What one edge of a pipeline has to deliver: records, and the marks between them.

use crate::dataflow::{Epoch, Record};
use crate::time::{Timestamp, Watermark};

/// What travels in band between the records of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// The records that follow may be behind this watermark: whether they are late is decided by
    /// it.
    Watermark(Watermark),
    /// The records so far were one batch. Carries the clock reading of its ingress and how far
    /// event time has come. Three words: it must not be what makes a slot of a ring larger.
    BatchEnd {
        /// When the batch's oldest record arrived or was due.
        ingress: Timestamp,
        /// How far event time has come after it.
        at: Timestamp,
        /// Whether nothing is coming for now.
        idle: bool,
        /// How long that record waited for its source: see [`Stamps`](crate::metrics::Stamps).
        waited_ns: u32,
    },
    /// What came before belongs to this checkpoint, what follows does not.
    Barrier(Epoch),
}

impl Mark {
    /// How far event time has come, if it says so.
    pub(super) fn watermark(self) -> Option<Watermark> {
        match self {
            Self::Watermark(watermark) => Some(watermark),
            Self::BatchEnd { at, idle, .. } => Some(Watermark { at, idle }),
            Self::Barrier(_) => None,
        }
    }
}

/// Records in order, and the marks with the number of records before each.
#[derive(Debug)]
pub struct Outbox<T> {
    pub(super) records: Vec<Record<T>>,
    pub(super) marks: Vec<(usize, Mark)>,
    /// Since somebody last asked, the stage behind had no room for all that was handed over to it.
    pub(super) left_over: bool,
}

impl<T> Outbox<T> {
    /// An outbox for two batches of `batch_max` records: one that waits, and one that arrives
    /// meanwhile.
    pub fn new(batch_max: usize) -> Self {
        let capacity = 2 * batch_max + 2;
        let (records, marks) = (Vec::with_capacity(capacity), Vec::with_capacity(capacity));
        Self { records, marks, left_over: false }
    }

    /// Bytes that an outbox for `batch_max` takes.
    pub fn bytes(batch_max: usize) -> usize {
        (2 * batch_max + 2) * (size_of::<Record<T>>() + size_of::<(usize, Mark)>())
    }

    /// Whether nothing waits.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.marks.is_empty() && self.records.is_empty()
    }

    /// Adds a mark after the records so far. The end of an empty batch melts into the end before
    /// it: the older ingress stays, so that latency is never under-reported.
    #[inline]
    pub(super) fn mark(&mut self, mark: Mark) {
        let position = self.records.len();
        if let (
            Some((last, Mark::BatchEnd { at: known, idle: known_idle, .. })),
            Mark::BatchEnd { at, idle, .. },
        ) = (self.marks.last_mut(), mark)
            && *last == position
        {
            (*known, *known_idle) = (at, idle);
            return;
        }
        self.marks.push((position, mark));
    }

    /// The ingress of the first batch, and how long it waited, if its end is here.
    #[inline]
    pub(super) fn ingress(&self) -> Option<(Timestamp, u32)> {
        self.marks.iter().find_map(|(_, mark)| match mark {
            Mark::BatchEnd { ingress, waited_ns, .. } => Some((*ingress, *waited_ns)),
            Mark::Watermark(_) | Mark::Barrier(_) => None,
        })
    }

    /// Forgets the first `records` records and `marks` marks, which were delivered.
    pub(super) fn forget_marks(&mut self, records: usize, marks: usize) {
        self.marks.drain(..marks);
        for (position, _) in &mut self.marks {
            *position -= records;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A slot of a ring holds a record of 16 bytes and its timestamp, or a mark.
    #[test]
    fn a_mark_is_no_larger_than_a_small_record() {
        assert_eq!(size_of::<Mark>(), 24);
        assert!(size_of::<Mark>() <= size_of::<Record<[u64; 2]>>());
    }
}
