//! Any operation that makes one record of two.

use super::super::aggregate::Aggregate;
use crate::state::State;
use crate::time::Timestamp;

/// See [`reduce`].
#[derive(Clone, Copy, Debug)]
pub struct Reduce<F>(F);

/// One record made of all, by `merge(into, record)`, which puts a record into what was made of
/// those that arrived before it, or are all earlier in event time.
///
/// The first record stands for itself. What is merged may itself have been merged, so `merge` must
/// be associative: `(a + b) + c` is `a + (b + c)`. It need not be commutative. Of no records the
/// result is the default value. Not invertible.
///
/// ```
/// use millstream::aggregates::{over, reduce};
/// use millstream::time::Timestamp;
///
/// let at = Timestamp::from_millis(1);
/// let widest = reduce(|range: &mut (i64, i64), other: &(i64, i64)| {
///     *range = (range.0.min(other.0), range.1.max(other.1));
/// });
/// assert_eq!(over(&widest, [(at, (3, 4)), (at, (1, 2)), (at, (2, 9))]), (1, 9));
/// ```
pub fn reduce<T: State, F: Fn(&mut T, &T)>(merge: F) -> Reduce<F> {
    Reduce(merge)
}

impl<T: State, F: Fn(&mut T, &T) + 'static> Aggregate<T> for Reduce<F> {
    type Acc = Option<T>;
    type Out = T;

    #[inline]
    fn accumulate(&self, acc: &mut Option<T>, _at: Timestamp, value: &T) {
        match acc {
            Some(acc) => (self.0)(acc, value),
            None => *acc = Some(*value),
        }
    }

    #[inline]
    fn combine(&self, acc: &mut Option<T>, other: &Option<T>) {
        if let Some(other) = other {
            self.accumulate(acc, Timestamp::MIN, other);
        }
    }

    #[inline]
    fn finish(&self, acc: &Option<T>) -> T {
        acc.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{laws, over};
    use super::*;

    #[test]
    fn the_laws_hold() {
        laws::hold(
            &reduce(|a: &mut i64, b: &i64| *a = a.wrapping_add(*b)),
            |rng| rng.i64(..),
            i64::eq,
        );
        // Affine maps, one after the other: associative and not commutative.
        let after = reduce(|a: &mut (u64, u64), b: &(u64, u64)| {
            *a = (a.0.wrapping_mul(b.0), a.1.wrapping_mul(b.0).wrapping_add(b.1));
        });
        laws::hold(&after, |rng| (rng.u64(..), rng.u64(..)), PartialEq::eq);
    }

    #[test]
    fn nothing_is_the_default() {
        assert_eq!(over(&reduce(|a: &mut u8, b: &u8| *a |= b), []), 0);
    }
}
