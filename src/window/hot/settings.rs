//! What makes a key hot.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::ConfigError;

/// What makes a key hot, and how that is found out.
///
/// Each shard looks at some of the records that arrive on it, and decides anew every so often: a
/// key is hot if more than its share of them had it, and stays so until it has less than half of
/// that. The keys are counted by "space-saving" (Metwally, Agrawal, El Abbadi, "Efficient
/// Computation of Frequent and Top-k Elements in Data Streams", ICDT 2005), in memory of four keys
/// over the share: no key with its share of what was looked at is missed, and none with less than
/// three quarters of it is taken.
///
/// ```
/// use millstream::HotKeys;
/// let hot = HotKeys::above(0.1).sample_every(4).decide_after(500);
/// # let _ = hot;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HotKeys {
    share: f64,
    sample_every: u32,
    decide_after: u32,
}

/// Counters for each key that could have its share.
const COUNTERS: f64 = 4.0;

/// The least share: a decision looks at all counters, in one step.
const SHARE_MIN: f64 = 0.002;

/// Samples of a decision, and records of a sample, at most.
const SAMPLES_MAX: u32 = 1 << 16;

impl HotKeys {
    /// Keys that have more than this share of the records that arrive on a shard, from 0.002 to 1.
    pub const fn above(share: f64) -> Self {
        Self { share, sample_every: 16, decide_after: 1024 }
    }

    /// Looks at one record in so many, at random. 16 unless set.
    pub const fn sample_every(self, records: u32) -> Self {
        Self { sample_every: records, ..self }
    }

    /// Decides after looking at so many records. 1024 unless set.
    pub const fn decide_after(self, samples: u32) -> Self {
        Self { decide_after: samples, ..self }
    }

    pub(super) fn check(self) -> Result<(), ConfigError> {
        if !(SHARE_MIN..=1.0).contains(&self.share) {
            let reason = format!("a key is hot from a share of {SHARE_MIN} to 1 on");
            return Err(ConfigError::setting("hot keys above", self.share, reason));
        }
        let numbers = [("sample_every", self.sample_every), ("decide_after", self.decide_after)];
        match numbers.into_iter().find(|(_, number)| !(1..=SAMPLES_MAX).contains(number)) {
            Some((setting, number)) => {
                let reason = format!("must be from 1 to {SAMPLES_MAX}");
                Err(ConfigError::setting(setting, number, reason))
            }
            None => Ok(()),
        }
    }

    /// These, or the default where they make no sense: the pipeline is rejected then.
    pub(super) fn or_default(self) -> Self {
        if self.check().is_ok() { self } else { Self::default() }
    }

    pub(super) const fn records_of_sample(self) -> u32 {
        self.sample_every
    }

    pub(super) const fn samples(self) -> u32 {
        self.decide_after
    }

    /// Samples of a key that make it hot.
    pub(super) fn least(self) -> u32 {
        ((self.share * f64::from(self.decide_after)).ceil() as u32).max(1)
    }

    pub(super) fn counters(self) -> usize {
        (COUNTERS / self.share).ceil() as usize
    }
}

impl Default for HotKeys {
    /// Keys with more than a sixteenth of the records: two shards are even within 3 % without them.
    fn default() -> Self {
        Self::above(1.0 / 16.0)
    }
}

impl fmt::Display for HotKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "above {} %", self.share * 100.0)
    }
}
