//! The unit that flows.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// A value and when it happened.
///
/// Every record has a timestamp: ingest time unless `event_time` says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record<T> {
    /// When it happened, in the time that windows are cut by.
    pub at: Timestamp,
    /// What happened.
    pub value: T,
}

impl<T> Record<T> {
    /// A value that happened at `at`.
    #[inline(always)]
    pub const fn new(at: Timestamp, value: T) -> Self {
        Self { at, value }
    }

    /// The same moment, another value.
    #[inline(always)]
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Record<U> {
        Record { at: self.at, value: f(self.value) }
    }
}
