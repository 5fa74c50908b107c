//! When a pipeline that has failed begins again.

use std::collections::VecDeque;
use std::time::Duration;

use fastrand::Rng;

use crate::error::ConfigError;

/// Whether, and after which delay, a failed pipeline begins again from its last checkpoint.
///
/// Only what may go better the next time is tried again: errors of
/// [`kind`](crate::Error::kind) `Restartable`, panics among them.
///
/// ```
/// use millstream::runtime::Restart;
/// use millstream::{ms, secs};
///
/// let never = Restart::none();
/// let three_times = Restart::fixed_delay(3, ms(100));
/// let for_ever = Restart::exponential(ms(10), secs(30)).jitter(0.2).reset_after(secs(60));
/// let unless_too_often = Restart::failure_rate(5, secs(60), ms(500));
/// # let _ = (never, three_times, for_ever, unless_too_often);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Restart(Strategy);

#[derive(Clone, Debug, PartialEq)]
enum Strategy {
    None,
    Fixed { times: u32, delay: Duration },
    Exponential { first: Duration, most: Duration, jitter: f64, reset_after: Duration },
    Rate { failures: usize, within: Duration, delay: Duration },
}

impl Restart {
    /// Never: the first error is what the run comes to.
    pub fn none() -> Self {
        Self(Strategy::None)
    }

    /// At most `times` in all, each after the same delay.
    pub fn fixed_delay(times: u32, delay: Duration) -> Self {
        Self(Strategy::Fixed { times, delay })
    }

    /// For ever, after a delay that doubles from `first` to `most` while failures follow each
    /// other. Unless set otherwise there is no jitter, and a minute without a failure begins anew.
    pub fn exponential(first: Duration, most: Duration) -> Self {
        let reset_after = Duration::from_secs(60);
        Self(Strategy::Exponential { first, most, jitter: 0.0, reset_after })
    }

    /// Shortens or lengthens each delay by at most this part of it, from 0 to 1, so that many
    /// pipelines that fail together do not begin again together. For exponential delays.
    pub fn jitter(mut self, part: f64) -> Self {
        if let Strategy::Exponential { jitter, .. } = &mut self.0 {
            *jitter = part;
        }
        self
    }

    /// After so long without a failure the delays begin with the first one again. For exponential
    /// delays.
    pub fn reset_after(mut self, quiet: Duration) -> Self {
        if let Strategy::Exponential { reset_after, .. } = &mut self.0 {
            *reset_after = quiet;
        }
        self
    }

    /// Unless there were more than so many failures within a span of time.
    pub fn failure_rate(failures: usize, within: Duration, delay: Duration) -> Self {
        Self(Strategy::Rate { failures, within, delay })
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        match self.0 {
            Strategy::Exponential { jitter, .. } if !(0.0..=1.0).contains(&jitter) => {
                Err(ConfigError::setting("restart jitter", jitter, "from 0 to 1"))
            }
            Strategy::Exponential { first, most, .. } if first > most => {
                let reason = "the first delay is at most the longest one";
                Err(ConfigError::setting("restart delay", format!("{first:?}"), reason))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn begin(&self, seed: u64) -> Restarts {
        let rng = Rng::with_seed(seed);
        Restarts { strategy: self.0.clone(), in_a_row: 0, failed_at: VecDeque::new(), rng }
    }
}

/// The failures of one run.
pub struct Restarts {
    strategy: Strategy,
    /// Failures without a pause that was long enough to forget them.
    in_a_row: u32,
    failed_at: VecDeque<Duration>,
    rng: Rng,
}

impl Restarts {
    /// The pipeline has failed, so long after the run began. Returns the delay after which it is to
    /// begin again; `None` if it is not.
    pub fn after_failure(&mut self, at: Duration) -> Option<Duration> {
        let before = self.failed_at.back().copied();
        self.failed_at.push_back(at);
        match self.strategy {
            Strategy::None => None,
            Strategy::Fixed { times, delay } => {
                self.in_a_row += 1;
                (self.in_a_row <= times).then_some(delay)
            }
            Strategy::Exponential { first, most, jitter, reset_after } => {
                if before.is_some_and(|before| at.saturating_sub(before) >= reset_after) {
                    self.in_a_row = 0;
                }
                let delay = first.saturating_mul(1 << self.in_a_row.min(30)).min(most);
                self.in_a_row += 1;
                Some(delay.mul_f64(1.0 + jitter * (2.0 * self.rng.f64() - 1.0)))
            }
            Strategy::Rate { failures, within, delay } => {
                while self.failed_at.front().is_some_and(|&old| at.saturating_sub(old) > within) {
                    self.failed_at.pop_front();
                }
                (self.failed_at.len() <= failures).then_some(delay)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{ms, secs};

    fn delays(restart: &Restart, failures: impl IntoIterator<Item = u64>) -> Vec<Option<u128>> {
        let mut restarts = restart.begin(7);
        let delay = |at| restarts.after_failure(ms(at)).map(|delay| delay.as_millis());
        failures.into_iter().map(delay).collect()
    }

    #[test]
    fn each_strategy() {
        assert_eq!(delays(&Restart::none(), [1]), [None]);
        let fixed = Restart::fixed_delay(2, ms(5));
        assert_eq!(delays(&fixed, [1, 2, 3]), [Some(5), Some(5), None]);
        let growing = Restart::exponential(ms(10), ms(35)).reset_after(secs(1));
        let want = [Some(10), Some(20), Some(35), Some(35), Some(10), Some(20)];
        assert_eq!(delays(&growing, [1, 2, 3, 4, 1_004, 1_005]), want);
        let rate = Restart::failure_rate(2, ms(100), ms(1));
        assert_eq!(
            delays(&rate, [1, 2, 200, 201, 202]),
            [Some(1), Some(1), Some(1), Some(1), None]
        );
    }

    #[test]
    fn jitter_stays_within_its_part_and_nothing_overflows() {
        let restart = Restart::exponential(ms(1_000), secs(1 << 40)).jitter(0.25);
        let all = delays(&restart, 0..200);
        assert!((750..=1_250).contains(&all[0].unwrap()));
        assert!(all.iter().all(Option::is_some));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert!(Restart::exponential(ms(1), ms(2)).jitter(1.5).check().is_err());
        assert!(Restart::exponential(ms(3), ms(2)).check().is_err());
        assert!(Restart::exponential(ms(1), ms(2)).jitter(1.0).check().is_ok());
    }
}
