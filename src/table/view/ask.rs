//! What was asked, and the answer.

use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use crate::error::QueryError;
use crate::state::{Key, State};
use crate::table::view::desk::Desk;
use crate::time::Timestamp;

/// What one shard answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<K, V> {
    /// The shard.
    pub shard: usize,
    /// Its watermark: the rows are those of all changes before it.
    pub as_of: Timestamp,
    /// The rows, in the order of keys.
    pub rows: Vec<(K, V)>,
    /// Whether these are all rows that were asked for, or only the first of them.
    pub is_whole: bool,
}

/// What all shards that were asked have answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer<K, V> {
    parts: Vec<Part<K, V>>,
}

impl<K: Key, V: State> Answer<K, V> {
    /// What each shard that was asked has answered.
    pub fn parts(&self) -> &[Part<K, V>] {
        &self.parts
    }

    /// The least of the watermarks: all changes before it are in the answer, and of shards that
    /// were further some that come after.
    pub fn as_of(&self) -> Timestamp {
        self.parts.iter().map(|part| part.as_of).min().unwrap_or(Timestamp::MIN)
    }

    /// Whether all shards answered as of the same watermark, so that together it is the table as of
    /// that.
    pub fn is_of_one_watermark(&self) -> bool {
        self.parts.iter().all(|part| part.as_of == self.as_of())
    }

    /// Whether these are all rows that were asked for.
    pub fn is_whole(&self) -> bool {
        self.parts.iter().all(|part| part.is_whole)
    }

    /// The rows of all shards, in the order of keys.
    pub fn rows(&self) -> Vec<(K, V)> {
        let rows = self.parts.iter().flat_map(|part| part.rows.iter().copied());
        let mut rows: Vec<_> = rows.collect();
        rows.sort_by_key(|row| row.0);
        rows
    }
}

/// Where a shard puts its part of an answer.
pub(super) type Slot<K, V> = Arc<OnceLock<(Timestamp, Vec<(K, V)>, bool)>>;

/// A question that waits for its answer.
pub struct Asked<K, V> {
    waiting: Vec<(usize, Arc<Desk<K, V>>, Slot<K, V>)>,
}

impl<K: Key, V: State> Asked<K, V> {
    pub(super) fn new() -> Self {
        Self { waiting: Vec::new() }
    }

    pub(super) fn wait_for(&mut self, shard: usize, desk: Arc<Desk<K, V>>, slot: Slot<K, V>) {
        self.waiting.push((shard, desk, slot));
    }

    /// The answer, if all shards have given theirs. Never waits.
    ///
    /// # Errors
    /// The pipeline is over, and has not answered.
    pub fn poll(&mut self) -> Result<Option<Answer<K, V>>, QueryError> {
        if self.waiting.iter().all(|(.., slot)| slot.get().is_some()) {
            let part = |(shard, _, slot): &(usize, _, Slot<K, V>)| {
                let (as_of, rows, is_whole) = slot.get()?.clone();
                Some(Part { shard: *shard, as_of, rows, is_whole })
            };
            return Ok(Some(Answer { parts: self.waiting.iter().filter_map(part).collect() }));
        }
        let is_lost = |(_, desk, slot): &(usize, Arc<Desk<K, V>>, Slot<K, V>)| {
            !desk.is_open() && slot.get().is_none()
        };
        if self.waiting.iter().any(is_lost) { Err(QueryError::Closed) } else { Ok(None) }
    }

    /// Sleeps until all shards have answered, for about so long at most. For threads that step no
    /// shard: who does would wait for itself.
    ///
    /// # Errors
    /// The time is over; or the pipeline is, and has not answered.
    pub fn wait(mut self, longest: Duration) -> Result<Answer<K, V>, QueryError> {
        // No clock is read on this floor. A nap that an answer cuts short counts as a whole one,
        // and there are no more of those than shards.
        let naps = longest.as_millis().max(1) as u64 + self.waiting.len() as u64;
        for _ in 0..naps {
            if let Some(answer) = self.poll()? {
                return Ok(answer);
            }
            thread::park_timeout(Duration::from_millis(1));
        }
        self.poll()?.ok_or(QueryError::Timeout)
    }
}
