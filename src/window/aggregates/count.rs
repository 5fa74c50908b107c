//! How many records.

use super::super::aggregate::Aggregate;
use crate::time::Timestamp;

/// See [`count`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Count;

/// How many records fell into the window, as a `u64`. Invertible.
///
/// ```
/// use millstream::aggregates::{count, over};
/// use millstream::time::Timestamp;
///
/// let at = Timestamp::from_millis(1);
/// assert_eq!(over(&count(), [(at, "a"), (at, "b")]), 2);
/// ```
pub fn count() -> Count {
    Count
}

impl<In> Aggregate<In> for Count {
    type Acc = u64;
    type Out = u64;
    const INVERTIBLE: bool = true;

    #[inline]
    fn accumulate(&self, acc: &mut u64, _at: Timestamp, _value: &In) {
        *acc += 1;
    }

    #[inline]
    fn combine(&self, acc: &mut u64, other: &u64) {
        *acc += *other;
    }

    #[inline]
    fn deduct(&self, acc: &mut u64, other: &u64) {
        *acc -= *other;
    }

    #[inline]
    fn finish(&self, acc: &u64) -> u64 {
        *acc
    }
}

#[cfg(test)]
mod tests {
    use super::super::{laws, over};
    use super::*;

    #[test]
    fn the_laws_hold() {
        laws::hold(&count(), |rng| rng.u8(..), u64::eq);
    }

    #[test]
    fn nan_counts_and_nothing_is_zero() {
        assert_eq!(over(&count(), [(Timestamp(0), f64::NAN)]), 1);
        assert_eq!(over(&count(), [(Timestamp(0), ()); 0]), 0);
    }
}
