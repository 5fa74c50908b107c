//! The mean of a field.

use super::super::aggregate::Aggregate;
use super::Number;
use crate::time::Timestamp;

/// See [`mean`].
#[derive(Clone, Copy, Debug)]
pub struct Mean<F>(F);

/// The arithmetic mean of a field as an `f64`, in the unit of the field.
///
/// Integers are added up exactly and rounded once, at the end, and the mean is invertible. Floats
/// are added up with rounding and are not invertible; a NaN makes the mean NaN, and values whose
/// sum overflows make it infinite. Of no records the mean is NaN.
///
/// ```
/// use millstream::aggregates::{mean, over};
/// use millstream::time::Timestamp;
///
/// let at = Timestamp::from_millis(1);
/// assert_eq!(over(&mean(|v: &i32| *v), [(at, 1), (at, 2)]), 1.5);
/// ```
pub fn mean<In, V: Number, F: Fn(&In) -> V>(field: F) -> Mean<F> {
    Mean(field)
}

impl<In, V: Number, F: Fn(&In) -> V + 'static> Aggregate<In> for Mean<F> {
    type Acc = (V::Sum, u64);
    type Out = f64;
    const INVERTIBLE: bool = V::EXACT;

    #[inline]
    fn accumulate(&self, (sum, count): &mut Self::Acc, _at: Timestamp, value: &In) {
        V::add(sum, (self.0)(value));
        *count += 1;
    }

    #[inline]
    fn combine(&self, (sum, count): &mut Self::Acc, other: &Self::Acc) {
        V::merge(sum, &other.0);
        *count += other.1;
    }

    #[inline]
    fn deduct(&self, (sum, count): &mut Self::Acc, other: &Self::Acc) {
        V::unmerge(sum, &other.0);
        *count -= other.1;
    }

    #[inline]
    fn finish(&self, (sum, count): &Self::Acc) -> f64 {
        // 0 / 0 is the NaN of no records.
        V::approximate(sum) / *count as f64
    }
}

#[cfg(test)]
mod tests {
    use super::super::{laws, over};
    use super::*;

    #[test]
    fn the_laws_hold() {
        laws::hold(&mean(|v: &i64| *v), |rng| rng.i64(..), laws::same_f64);
        laws::hold(&mean(|v: &u8| *v), |rng| rng.u8(..), laws::same_f64);
        laws::hold(&mean(|v: &f64| *v), laws::with_nan, laws::same_f64);
        laws::hold(&mean(|v: &f64| *v), fastrand::Rng::f64, laws::close);
    }

    #[test]
    fn the_mean_of_extremes_nan_and_nothing() {
        let i = mean(|v: &i64| *v);
        assert_eq!(over(&i, [(Timestamp(0), i64::MAX); 4]), i64::MAX as f64);
        assert!(over(&i, []).is_nan());
        let f = mean(|v: &f64| *v);
        assert!(over(&f, [(Timestamp(0), 1.0), (Timestamp(0), f64::NAN)]).is_nan());
        assert_eq!(over(&f, [(Timestamp(0), f64::MAX); 2]), f64::INFINITY);
    }
}
