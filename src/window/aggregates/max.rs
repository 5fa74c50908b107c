//! The largest value of a field.

use super::super::aggregate::Aggregate;
use super::better;
use crate::state::State;
use crate::time::Timestamp;

/// See [`max`].
#[derive(Clone, Copy, Debug)]
pub struct Max<F>(F);

/// The largest value of a field: of anything that compares, so also of timestamps, tuples and
/// texts.
///
/// A NaN is skipped, and the result is NaN only where every value is. Of values that compare equal
/// (`-0.0` and `0.0`) the first to arrive is given. Of no records the result is the default value.
/// Not invertible.
///
/// ```
/// use millstream::aggregates::{max, over};
/// use millstream::time::Timestamp;
///
/// let at = Timestamp::from_millis(1);
/// let values = [(at, 2.5), (at, f64::NAN), (at, -1.5)];
/// assert_eq!(over(&max(|v: &f64| *v), values), 2.5);
/// ```
pub fn max<In, V: PartialOrd + State, F: Fn(&In) -> V>(field: F) -> Max<F> {
    Max(field)
}

impl<In, V: PartialOrd + State, F: Fn(&In) -> V + 'static> Aggregate<In> for Max<F> {
    type Acc = Option<V>;
    type Out = V;

    #[inline]
    fn accumulate(&self, acc: &mut Option<V>, _at: Timestamp, value: &In) {
        *acc = better(*acc, (self.0)(value), V::gt);
    }

    #[inline]
    fn combine(&self, acc: &mut Option<V>, other: &Option<V>) {
        if let Some(other) = *other {
            *acc = better(*acc, other, V::gt);
        }
    }

    #[inline]
    fn finish(&self, acc: &Option<V>) -> V {
        acc.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{laws, over};
    use super::*;

    #[test]
    fn the_laws_hold() {
        laws::hold(&max(|v: &i64| *v), |rng| rng.i64(-9..9), i64::eq);
        laws::hold(&max(|v: &f64| *v), laws::with_nan, laws::same_f64);
        let zeros = |rng: &mut fastrand::Rng| if rng.bool() { 0.0 } else { -0.0 };
        laws::hold(&max(|v: &f64| *v), zeros, |a, b| a.to_bits() == b.to_bits());
    }

    #[test]
    fn nan_loses_to_anything_wherever_it_stands() {
        let f = max(|v: &f64| *v);
        let at = |values: [f64; 2]| values.map(|value| (Timestamp(0), value));
        assert_eq!(over(&f, at([f64::NAN, 1.0])), 1.0);
        assert_eq!(over(&f, at([1.0, f64::NAN])), 1.0);
        assert_eq!(over(&f, at([f64::NAN, f64::INFINITY])), f64::INFINITY);
        assert!(over(&f, at([f64::NAN, f64::NAN])).is_nan());
        assert_eq!(over(&f, []), 0.0);
    }
}
