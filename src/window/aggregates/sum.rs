//! The sum of a field.

use super::super::aggregate::Aggregate;
use super::Number;
use crate::time::Timestamp;

/// See [`sum`].
#[derive(Clone, Copy, Debug)]
pub struct Sum<F>(F);

/// The sum of a field, in the unit of the field: as `u64` for unsigned integers, `i64` for signed
/// ones, `f64` for floats.
///
/// Integer sums are exact and invertible. Fields of 64 bits are summed in 128, so nothing is lost
/// on the way even where negative values bring a large sum back, and only a result that does not
/// fit saturates; fields of up to 32 bits are summed in 64, which holds 2^31 of the largest for one
/// key of one window. Float sums round at each addition, are not invertible, overflow to an
/// infinity, and are NaN once a value is. Of no records the sum is 0.
///
/// ```
/// use millstream::aggregates::{over, sum};
/// use millstream::time::Timestamp;
///
/// struct Trade { qty: u32, price: f64 }
///
/// let at = Timestamp::from_millis(1);
/// let trades = [(at, Trade { qty: 30, price: 10.5 }), (at, Trade { qty: 12, price: 10.25 })];
/// let both = (sum(|t: &Trade| t.qty), sum(|t: &Trade| t.price));
/// assert_eq!(over(&both, trades), (42_u64, 20.75));
/// ```
pub fn sum<In, V: Number, F: Fn(&In) -> V>(field: F) -> Sum<F> {
    Sum(field)
}

impl<In, V: Number, F: Fn(&In) -> V + 'static> Aggregate<In> for Sum<F> {
    type Acc = V::Sum;
    type Out = V::Total;
    const INVERTIBLE: bool = V::EXACT;

    #[inline]
    fn accumulate(&self, acc: &mut V::Sum, _at: Timestamp, value: &In) {
        V::add(acc, (self.0)(value));
    }

    #[inline]
    fn combine(&self, acc: &mut V::Sum, other: &V::Sum) {
        V::merge(acc, other);
    }

    #[inline]
    fn deduct(&self, acc: &mut V::Sum, other: &V::Sum) {
        V::unmerge(acc, other);
    }

    #[inline]
    fn finish(&self, acc: &V::Sum) -> V::Total {
        V::total(acc)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{laws, over};
    use super::*;

    fn at<V, const N: usize>(values: [V; N]) -> [(Timestamp, V); N] {
        values.map(|value| (Timestamp(0), value))
    }

    #[test]
    fn the_laws_hold() {
        laws::hold(&sum(|v: &i64| *v), |rng| rng.i64(..), i64::eq);
        laws::hold(&sum(|v: &u64| *v), |rng| rng.u64(..), u64::eq);
        laws::hold(&sum(|v: &u8| *v), |rng| rng.u8(..), u64::eq);
        laws::hold(&sum(|v: &f64| *v), laws::with_nan, laws::same_f64);
        laws::hold(&sum(|v: &f64| *v), fastrand::Rng::f64, laws::close);
    }

    #[test]
    fn only_integers_are_invertible() {
        fn invertible<In, A: Aggregate<In>>(_: &A) -> bool {
            A::INVERTIBLE
        }
        assert!(invertible(&sum(|v: &i64| *v)));
        assert!(!invertible(&sum(|v: &f64| *v)));
    }

    #[test]
    fn integers_saturate_at_the_end_and_not_on_the_way() {
        let i = sum(|v: &i64| *v);
        assert_eq!(over(&i, at([i64::MAX, 5])), i64::MAX);
        assert_eq!(over(&i, at([i64::MIN, -5])), i64::MIN);
        assert_eq!(over(&i, at([i64::MAX, 5, -7])), i64::MAX - 2);
        assert_eq!(over(&sum(|v: &u64| *v), at([u64::MAX, 1])), u64::MAX);
        assert_eq!(over(&sum(|v: &u8| *v), at([255, 255])), 510);
        assert_eq!(over(&sum(|v: &i8| *v), at([-128, -128])), -256);
    }

    #[test]
    fn floats_follow_ieee_and_nothing_is_zero() {
        let f = sum(|v: &f64| *v);
        assert_eq!(over(&f, at([f64::MAX, f64::MAX])), f64::INFINITY);
        assert!(over(&f, at([1.0, f64::NAN, 2.0])).is_nan());
        assert!(over(&f, at([f64::INFINITY, f64::NEG_INFINITY])).is_nan());
        assert_eq!(over(&f, at([])), 0.0);
        assert_eq!(over(&sum(|v: &f32| *v), at([16_777_216.0, 1.0])), 16_777_217.0);
        assert_eq!(over(&sum(|v: &u64| *v), at([])), 0);
    }
}
