//! Sources: records in memory, and records that are made as they are due.

use std::sync::Arc;

use millstream::error::IoError;
use millstream::io::{Polled, Source};
use millstream::{Pipeline, Record, Timestamp};
use rivals_workload::pace::{Pace, Share};
use rivals_workload::{CHUNK, Reading};

/// One shard's part of records in memory that are in order of time: chunks, as all contestants
/// read them. It promises the time of its next record as the watermark.
pub struct Chunks<T, F> {
    all: Arc<[T]>,
    at: F,
    next: usize,
    /// From the end of one chunk to the start of the next.
    skip: usize,
}

impl<T, F: Fn(&T) -> i64> Chunks<T, F> {
    /// The part of the shard that this is.
    pub fn new(all: &Arc<[T]>, p: &Pipeline<'_>, at: F) -> Self {
        let skip = (p.shards() - 1) * CHUNK;
        Self { all: all.clone(), at, next: p.shard() * CHUNK, skip }
    }
}

impl<T: Copy + 'static, F: Fn(&T) -> i64 + 'static> Source for Chunks<T, F> {
    type Out = T;

    #[inline]
    fn poll(
        &mut self,
        _partition: usize,
        _now: Timestamp,
        budget: usize,
        emit: &mut impl FnMut(Record<T>),
    ) -> Result<Polled, IoError> {
        let left = self.all.get(self.next..).unwrap_or_default();
        let batch = &left[..left.len().min(CHUNK - self.next % CHUNK).min(budget)];
        batch.iter().for_each(|value| emit(Record::new(Timestamp((self.at)(value)), *value)));
        self.next += batch.len();
        if self.next.is_multiple_of(CHUNK) {
            self.next += self.skip;
        }
        let next = self.all.get(self.next).map(|next| Timestamp((self.at)(next)));
        Ok(Polled { watermark: next, ended: next.is_none(), ..Polled::open() })
    }
}

/// One shard's share of an open loop.
pub struct Paced {
    pace: Pace,
    share: Share,
}

impl Paced {
    /// The share of the shard that this is.
    pub fn new(pace: &Pace, p: &Pipeline<'_>) -> Self {
        Self { pace: pace.clone(), share: pace.share(p.shard(), p.shards()) }
    }
}

impl Source for Paced {
    type Out = Reading;

    #[inline]
    fn poll(
        &mut self,
        _partition: usize,
        _now: Timestamp,
        budget: usize,
        emit: &mut impl FnMut(Record<Reading>),
    ) -> Result<Polled, IoError> {
        // Its own look at the clock: the one that all contestants and stamps are by.
        self.share.due(self.pace.now(), budget, |r| emit(Record::new(Timestamp(r.at), r)));
        let ended = self.share.is_over();
        let next = Timestamp(self.share.next_at());
        Ok(Polled { watermark: (!ended).then_some(next), ended, ..Polled::open() })
    }
}
