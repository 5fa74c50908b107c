//! How often a question is asked again, and when.

use std::time::Duration;

use fastrand::Rng;

use crate::error::ConfigError;
use crate::time::nanos;

/// How often a question is asked again after an attempt that failed, and how long to wait before.
///
/// What is worth trying again is what may pass: no answer in time, and a server that cannot be
/// reached. An answer that cannot be read is no better the second time.
///
/// ```
/// use millstream::{lookup::Retry, ms};
/// // After about 1, 2, 4 and 8 ms, each wait up to a fifth shorter.
/// let retry = Retry::exponential(4, ms(1)).at_most(ms(8)).jitter(0.2);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Retry {
    retries: u32,
    first: Duration,
    doubles: bool,
    most: Duration,
    jitter: f64,
}

impl Retry {
    /// Never.
    pub const fn none() -> Self {
        Self::fixed(0, Duration::ZERO)
    }

    /// So many times, each after the same wait.
    pub const fn fixed(retries: u32, wait: Duration) -> Self {
        Self { retries, first: wait, doubles: false, most: Duration::MAX, jitter: 0.0 }
    }

    /// So many times, the first after `first` and each of the others after a wait twice as long.
    pub const fn exponential(retries: u32, first: Duration) -> Self {
        Self { doubles: true, ..Self::fixed(retries, first) }
    }

    /// Waits no longer than this.
    pub const fn at_most(self, most: Duration) -> Self {
        Self { most, ..self }
    }

    /// Shortens each wait by a random part of it, up to this part: 0.2 makes 10 ms one between 8
    /// and 10. So that the questions which failed together do not come back together. Drawn under
    /// `Config::hash_seed`.
    pub const fn jitter(self, part: f64) -> Self {
        Self { jitter: part, ..self }
    }

    pub(super) fn check(&self) -> Result<(), ConfigError> {
        match self.jitter {
            part if (0.0..=1.0).contains(&part) => Ok(()),
            part => {
                let reason = "a part of the wait, from 0 to 1";
                Err(ConfigError::setting("lookup retry jitter", part, reason))
            }
        }
    }

    /// How long to wait before another attempt after `failed` of them; `None` if there is none.
    pub(super) fn wait(&self, failed: u32, rng: &mut Rng) -> Option<Duration> {
        if failed > self.retries {
            return None;
        }
        let doublings = if self.doubles { failed.saturating_sub(1).min(62) } else { 0 };
        let wait = nanos(self.first).saturating_mul(1 << doublings).min(nanos(self.most));
        let shorter = (wait as f64 * self.jitter * rng.f64()) as i64;
        Some(Duration::from_nanos((wait - shorter).max(0).unsigned_abs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{ms, secs};

    #[test]
    fn waits_double_up_to_the_most_and_end() {
        let rng = &mut Rng::with_seed(1);
        let retry = Retry::exponential(5, ms(1)).at_most(ms(6));
        let waits: Vec<_> = (1..=6).map(|failed| retry.wait(failed, rng)).collect();
        assert_eq!(waits, [1, 2, 4, 6, 6, 0].map(|n| (n > 0).then_some(ms(n))));
        assert_eq!(Retry::none().wait(1, rng), None);
        assert_eq!(Retry::fixed(2, ms(3)).wait(2, rng), Some(ms(3)));
        let ever = Retry::exponential(u32::MAX, secs(1)).wait(u32::MAX, rng);
        assert!(ever >= Some(secs(100 * 365 * 86_400)));
    }

    #[test]
    fn jitter_shortens_by_no_more_than_its_part() {
        let rng = &mut Rng::with_seed(7);
        let retry = Retry::fixed(1, ms(10)).jitter(0.2);
        let waits: Vec<_> = (0..1000).filter_map(|_| retry.wait(1, rng)).collect();
        assert!(waits.iter().all(|wait| (ms(8)..=ms(10)).contains(wait)));
        assert!(waits.iter().any(|wait| *wait < ms(9)) && waits.iter().any(|wait| *wait > ms(9)));
        for part in [-0.1, 1.5, f64::NAN] {
            assert!(Retry::none().jitter(part).check().is_err());
        }
    }
}
