//! How far the records of a lane have come: taken by the shard, and durable in its journal.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::io::journal::{Durable, Sequence};

/// How long a request waits until it looks again whether its records are durable.
const NAP: Duration = Duration::from_millis(1);

/// Told by the source of one shard, read by the requests that wait.
///
/// Records are counted from 0 as they were sent to the shard. A journal numbers those that it takes
/// itself, so what is kept is how far it had got when the last one was handed on.
#[derive(Default)]
pub struct Progress {
    durable: OnceLock<Durable>,
    /// The journal's next record, seen behind the last that was handed on.
    sequence: AtomicU64,
    /// Those that were handed on. Written after the sequence.
    handed_on: AtomicU64,
    /// How many had been when the last one was that the journal did not take.
    refused: AtomicU64,
}

impl Progress {
    /// From now on requests wait until their records are durable by this.
    pub fn wait_for(&self, durable: Durable) {
        // A source is asked once, while it is built.
        let _ = self.durable.set(durable);
    }

    /// Whether requests wait.
    pub fn waits(&self) -> bool {
        self.durable.get().is_some()
    }

    /// Hands a record on, and sees whether the journal takes it.
    pub fn hand_on<T>(&self, record: T, emit: &mut impl FnMut(T)) {
        let Some(durable) = self.durable.get() else { return emit(record) };
        let before = durable.taken();
        emit(record);
        let after = durable.taken();
        let count = self.handed_on.load(Ordering::Relaxed) + 1;
        if after == before {
            self.refused.store(count, Ordering::Relaxed);
        }
        self.sequence.store(after.0, Ordering::Relaxed);
        self.handed_on.store(count, Ordering::Release);
    }

    /// Whether all records from `first` up to `last` are durable; false too where one may not be,
    /// and as long as it is not known.
    fn are_durable(&self, first: u64, last: u64) -> bool {
        let Some(durable) = self.durable.get() else { return true };
        self.handed_on.load(Ordering::Acquire) >= last
            && durable.get() >= Sequence(self.sequence.load(Ordering::Relaxed))
            && !self.was_refused(first)
    }

    /// Whether the journal did not take a record behind the first so many.
    fn was_refused(&self, first: u64) -> bool {
        self.refused.load(Ordering::Relaxed) > first
    }

    /// Waits until that is so; false if it never is, or the shard is gone.
    pub async fn until_durable(
        &self,
        (first, last): (u64, u64),
        patience: Duration,
        is_gone: impl Fn() -> bool,
    ) -> bool {
        let wait = async {
            while !self.are_durable(first, last) {
                if self.was_refused(first) || is_gone() {
                    // What was made durable just before it went is.
                    return self.are_durable(first, last);
                }
                tokio::time::sleep(NAP).await;
            }
            true
        };
        tokio::time::timeout(patience, wait).await.unwrap_or(false)
    }
}
