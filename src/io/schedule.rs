//! When the records of an open loop are due.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::ConfigError;
use crate::time::Timestamp;

/// Records a second that can be asked for: from one in eleven days to a thousand a nanosecond.
const RATES: std::ops::RangeInclusive<f64> = 1e-6..=1e12;

/// How the intended times of an open loop are spread around their mean rate.
///
/// Real load is not even: independent senders make a Poisson stream, and feeds come in bursts. The
/// mean rate is the same for all of them, the queues are not.
///
/// | arrival | time from record `i` to the next, at `r` records a second |
/// |---|---|
/// | `Constant` | `1 / r` |
/// | `Poisson` | exponential with the mean `1 / r`, drawn from the seed and `i` |
/// | `Burst` | `duty / r` within a burst, and the rest of `size / r` after its last record |
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Arrival {
    /// Evenly.
    #[default]
    Constant,
    /// Gaps are exponential: what many independent senders make together. The same seed gives the
    /// same times, on any number of shards.
    Poisson {
        /// What the gaps are drawn from.
        seed: u64,
    },
    /// So many records, and then silence until the next burst.
    Burst {
        /// Records of a burst, at least 1.
        size: u32,
        /// The share of the time that a burst takes: 0 is all records at once, 0.1 ten times the
        /// mean rate for a tenth of the time. Below 1, which would be `Constant`.
        duty: f64,
    },
}

impl Arrival {
    /// Whether there can be such arrivals.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] for a burst of no records, or a duty that is not from 0 to 1.
    pub fn check(self) -> Result<(), ConfigError> {
        match self {
            Self::Burst { size: 0, .. } => {
                Err(ConfigError::setting("arrival", "burst:0", "a burst has at least one record"))
            }
            Self::Burst { duty, .. } if !(0.0..1.0).contains(&duty) => {
                let reason = "the duty of a burst is a share of the time, from 0 to less than 1";
                Err(ConfigError::setting("arrival", duty, reason))
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant => write!(f, "constant"),
            Self::Poisson { seed } => write!(f, "poisson, seed {seed}"),
            Self::Burst { size, duty: 0.0 } => write!(f, "bursts of {size} at once"),
            Self::Burst { size, duty } => {
                write!(f, "bursts of {size} in {} % of the time", duty * 100.0)
            }
        }
    }
}

/// The intended times of an open loop, one after the other; it never ends.
///
/// Record 0 is due at the start. What falls behind takes the times that it owes as they are: none
/// is skipped, so latency that counts from them is free of coordinated omission. Two words of
/// state, no allocation. [`Generator`](crate::io::Generator) has one inside; this is for senders
/// that are not sources: a client of a socket, a load generator of one's own.
///
/// ```
/// use millstream::Timestamp;
/// use millstream::io::{Arrival, Schedule};
///
/// let bursts = Arrival::Burst { size: 2, duty: 0.0 };
/// let times = Schedule::new(1000.0, bursts, Timestamp::from_millis(5))?.take(5);
/// let ms = times.map(|at| at.as_nanos() / 1_000_000).collect::<Vec<_>>();
/// assert_eq!(ms, [5, 5, 7, 7, 9]);
/// # Ok::<(), millstream::error::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Schedule {
    gaps: Gaps,
    beat: Beat,
    /// The number of the next record.
    index: u64,
}

impl Schedule {
    /// So many records a second, spread by `arrival`, the first of them at `start`.
    ///
    /// # Errors
    /// [`ConfigError::Setting`] if the rate is not within 1e-6 and 1e12, or there can be no such
    /// arrivals.
    pub fn new(
        records_per_s: f64,
        arrival: Arrival,
        start: Timestamp,
    ) -> Result<Self, ConfigError> {
        let gaps = Gaps::new(arrival, period("rate", records_per_s)?)?;
        Ok(Self { gaps, beat: gaps.beat(start, 0, 1), index: 0 })
    }

    /// When the next record is due.
    #[inline]
    pub fn due(&self) -> Timestamp {
        self.beat.time()
    }

    /// Goes to the record after it.
    #[inline]
    pub fn advance(&mut self) {
        self.gaps.advance(&mut self.beat, self.index, 1);
        self.index = self.index.wrapping_add(1);
    }
}

impl Iterator for Schedule {
    type Item = Timestamp;

    fn next(&mut self) -> Option<Timestamp> {
        let due = self.due();
        self.advance();
        Some(due)
    }
}

/// The time between two records in 2^-64 ns, rounded up, for a rate in records a second.
///
/// Rounded up because the time of a record is rounded down to whole nanoseconds: three periods of a
/// third of a second are then a second, and not a nanosecond less.
pub(super) fn period(setting: &'static str, rate: f64) -> Result<u128, ConfigError> {
    if !RATES.contains(&rate) {
        let reason = "a rate is a number of records a second from 1e-6 to 1e12";
        return Err(ConfigError::setting(setting, rate, reason));
    }
    let second = 1_000_000_000_u128 << 64;
    if rate.fract() == 0.0 {
        return Ok(second.div_ceil(rate as u128));
    }
    Ok((second as f64 / rate).ceil() as u128)
}

/// The times between records, all in 2^-64 ns. A gap follows from the number of its record alone,
/// so whoever makes only some of the records knows the times of all.
#[derive(Clone, Copy, Debug)]
pub(super) enum Gaps {
    Even { period: u128 },
    Exponential { seed: u64, mean: f64 },
    Bursts { size: u64, within: i128, behind: i128 },
}

impl Gaps {
    pub(super) fn new(arrival: Arrival, period: u128) -> Result<Self, ConfigError> {
        arrival.check()?;
        Ok(match arrival {
            Arrival::Constant => Self::Even { period },
            Arrival::Poisson { seed } => Self::Exponential { seed, mean: period as f64 },
            Arrival::Burst { size, duty } => {
                let size = u64::from(size);
                let within = (period as f64 * duty) as i128;
                let whole = i128::try_from(period).unwrap_or(i128::MAX);
                let behind = whole.saturating_mul(size.into()) - within * i128::from(size - 1);
                Self::Bursts { size, within, behind }
            }
        })
    }

    #[inline(always)]
    pub(super) const fn is_even(&self) -> bool {
        matches!(self, Self::Even { .. })
    }

    /// The beat of the records `first`, `first + stride`, and so on, where record 0 is due at the
    /// start.
    pub(super) fn beat(&self, start: Timestamp, first: u64, stride: u64) -> Beat {
        self.beat_from(((start.0 as i128) << 64).wrapping_add(self.between(0, first)), stride)
    }

    /// The beat of every `stride`-th record from that on which is due at `time`, in 2^-64 ns.
    pub(super) fn beat_from(&self, time: i128, stride: u64) -> Beat {
        match self {
            Self::Even { .. } => Beat { time, step: self.between(0, stride) },
            _ => Beat { time, step: 0 },
        }
    }

    /// Goes `stride` records on from record `index`.
    #[inline]
    pub(super) fn advance(&self, beat: &mut Beat, index: u64, stride: u64) {
        beat.advance();
        if !self.is_even() {
            beat.skip(self.between(index, stride));
        }
    }

    /// The time from record `index` to the one `stride` after it. Wraps where the times themselves
    /// would not be within i64, which is right in two's complement, or ends at the end of time.
    pub(super) fn between(&self, index: u64, stride: u64) -> i128 {
        if let Self::Even { period } = self {
            return period.wrapping_mul(stride as u128) as i128;
        }
        let gaps = (0..stride).map(|ahead| self.after(index.wrapping_add(ahead)));
        gaps.fold(0, i128::saturating_add)
    }

    /// The time from record `index` to the next.
    fn after(&self, index: u64) -> i128 {
        match *self {
            Self::Even { period } => i128::try_from(period).unwrap_or(i128::MAX),
            // Above zero and up to one, in steps of 2^-53: the logarithm is finite.
            Self::Exponential { seed, mean } => {
                let share = ((draw(seed, index) >> 11) + 1) as f64 * f64::EPSILON / 2.0;
                // Converting saturates.
                (-share.ln() * mean) as i128
            }
            Self::Bursts { size, within, behind } => {
                if index % size == size - 1 {
                    behind
                } else {
                    within
                }
            }
        }
    }

    /// How many of the next `most` records are due at `now` or before, and before `until`.
    #[inline]
    pub(super) fn due(
        &self,
        mut beat: Beat,
        (mut index, stride): (u64, u64),
        now: Timestamp,
        until: Timestamp,
        most: u64,
    ) -> u64 {
        if self.is_even() {
            return beat.due(now, most);
        }
        let mut due = 0;
        while due < most && beat.time() <= now && beat.time() < until {
            self.advance(&mut beat, index, stride);
            index = index.wrapping_add(stride);
            due += 1;
        }
        due
    }
}

/// A random number that follows from the seed and its place in the sequence alone (the output
/// function of splitmix64: Steele, Lea, Flood, OOPSLA 2014).
const fn draw(seed: u64, index: u64) -> u64 {
    let mut x = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A clock that advances by a fixed step finer than a nanosecond, or by given ones.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Beat {
    /// Whole nanoseconds since the epoch in the upper half, 2^-64 ns in the lower.
    time: i128,
    step: i128,
}

impl Beat {
    /// The same in units of 2^-64 ns.
    #[inline]
    pub(super) fn exact(&self) -> i128 {
        self.time
    }

    /// The time of this beat, rounded down to whole nanoseconds.
    #[inline(always)]
    pub(super) fn time(&self) -> Timestamp {
        Timestamp((self.time >> 64) as i64)
    }

    /// How many of the next `most` beats are at `now` or before.
    #[inline]
    pub(super) fn due(mut self, now: Timestamp, most: u64) -> u64 {
        let mut due = 0;
        while due < most && self.time() <= now {
            self.advance();
            due += 1;
        }
        due
    }

    /// Goes to the next beat: two additions.
    #[inline(always)]
    pub(super) fn advance(&mut self) {
        self.time = self.time.wrapping_add(self.step);
    }

    /// Lets so much time pass, in 2^-64 ns.
    #[inline]
    fn skip(&mut self, gap: i128) {
        self.time = self.time.saturating_add(gap);
    }

    /// Lets the time pass up to `now`, if that is later.
    #[inline]
    pub(super) fn catch_up(&mut self, now: Timestamp) {
        self.time = self.time.max((now.0 as i128) << 64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(rate: f64, arrival: Arrival, count: usize) -> Vec<i64> {
        let schedule = Schedule::new(rate, arrival, Timestamp(0)).unwrap();
        schedule.take(count).map(|at| at.0).collect()
    }

    #[test]
    fn does_not_drift_and_hits_whole_seconds() {
        for rate in [3.0, 7.0, 999_983.0, 1e6, 3e9] {
            let gaps = Gaps::new(Arrival::Constant, period("rate", rate).unwrap()).unwrap();
            let mut beat = gaps.beat(Timestamp(0), 0, 1);
            let mut passed = 0_u64;
            while beat.time() < Timestamp(1_000_000_000) && passed < 5_000_000 {
                let exact = passed as u128 * 1_000_000_000 / rate as u128;
                assert_eq!(beat.time().0 as u128, exact, "record {passed} at {rate}/s");
                beat.advance();
                passed += 1;
            }
            assert_eq!(passed, (rate as u64).min(5_000_000));
        }
    }

    #[test]
    fn poisson_gaps_are_exponential() {
        const RECORDS: usize = 200_000;
        let all = times(1e6, Arrival::Poisson { seed: 7 }, RECORDS + 1);
        let gaps: Vec<f64> = all.windows(2).map(|two| (two[1] - two[0]) as f64).collect();
        assert!(gaps.iter().all(|gap| *gap >= 0.0));
        let mean = gaps.iter().sum::<f64>() / RECORDS as f64;
        assert!((mean - 1000.0).abs() < 15.0, "the mean gap is {mean} ns");
        // Of an exponential, the share above t is e^-t, and deviation and mean are the same.
        for t in [0.5, 1.0, 2.0, 4.0] {
            let share = gaps.iter().filter(|gap| **gap > t * 1000.0).count() as f64;
            let expected = f64::exp(-t);
            let error = (share / RECORDS as f64 - expected).abs();
            assert!(error < 0.005, "above {t} means: off by {error}");
        }
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / RECORDS as f64;
        assert!((variance.sqrt() / mean - 1.0).abs() < 0.02, "{}", variance.sqrt());
        // Neighbours know nothing of each other.
        let product = |two: &[f64]| (two[0] - mean) * (two[1] - mean);
        let together = gaps.windows(2).map(product).sum::<f64>() / RECORDS as f64;
        assert!((together / variance).abs() < 0.01, "{}", together / variance);
    }

    #[test]
    fn the_seed_is_all_that_chance_is() {
        let [one, again, other] = [1, 1, 2].map(|seed| times(1e6, Arrival::Poisson { seed }, 1000));
        assert_eq!(one, again);
        assert_ne!(one, other);
    }

    #[test]
    fn bursts_have_the_mean_rate() {
        let at_once = times(1e6, Arrival::Burst { size: 3, duty: 0.0 }, 8);
        assert_eq!(at_once, [0, 0, 0, 3000, 3000, 3000, 6000, 6000]);
        let spread = times(1e6, Arrival::Burst { size: 4, duty: 0.5 }, 6);
        assert_eq!(spread, [0, 500, 1000, 1500, 4000, 4500]);
        assert_eq!(times(1e6, Arrival::Burst { size: 1, duty: 0.0 }, 3), [0, 1000, 2000]);
        let many = times(3.0, Arrival::Burst { size: 64, duty: 0.25 }, 64 * 3 + 1);
        assert_eq!(many.last(), Some(&64_000_000_000), "no drift");
    }

    #[test]
    fn the_end_of_time_is_not_passed() {
        for arrival in [Arrival::Poisson { seed: 1 }, Arrival::Burst { size: 9, duty: 0.0 }] {
            let mut schedule = Schedule::new(1e-6, arrival, Timestamp::MAX).unwrap();
            for _ in 0..100 {
                assert_eq!(schedule.next(), Some(Timestamp::MAX));
            }
        }
    }

    #[test]
    fn impossible_arrivals_are_refused() {
        let burst = |size, duty| Arrival::Burst { size, duty };
        for arrival in [burst(0, 0.0), burst(8, 1.0), burst(8, -0.1), burst(8, f64::NAN)] {
            let error = Schedule::new(1.0, arrival, Timestamp(0)).unwrap_err().to_string();
            assert!(error.starts_with("arrival = "), "{error}");
        }
    }

    #[test]
    fn arrivals_have_names() {
        let burst = |duty| Arrival::Burst { size: 64, duty };
        let all = [Arrival::Constant, Arrival::Poisson { seed: 3 }, burst(0.0), burst(0.25)];
        assert_eq!(
            all.map(|arrival| arrival.to_string()),
            [
                "constant",
                "poisson, seed 3",
                "bursts of 64 at once",
                "bursts of 64 in 25 % of the time"
            ]
        );
    }
}
