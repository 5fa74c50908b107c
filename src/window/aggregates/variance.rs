//! The variance of a field.

use serde::{Deserialize, Serialize};

use super::super::aggregate::Aggregate;
use super::Number;
use crate::time::Timestamp;

/// See [`variance`].
#[derive(Clone, Copy, Debug)]
pub struct Variance<F>(F);

/// How far a field spreads: its count, mean and variance, as [`Moments`].
///
/// Computed as `f64` in one pass by Welford's method, and combined by that of Chan, Golub and
/// LeVeque: unlike the difference of two large sums these stay accurate where the mean is large and
/// the spread small. One division a record. Not invertible. A NaN or an infinity makes the mean or
/// the variance NaN.
///
/// ```
/// use millstream::aggregates::{over, variance};
/// use millstream::time::Timestamp;
///
/// let at = Timestamp::from_millis(1);
/// let spread = over(&variance(|v: &u32| *v), [(at, 1), (at, 3)]);
/// assert_eq!((spread.count, spread.mean), (2, 2.0));
/// assert_eq!((spread.population(), spread.sample()), (1.0, 2.0));
/// ```
pub fn variance<In, V: Number, F: Fn(&In) -> V>(field: F) -> Variance<F> {
    Variance(field)
}

/// What [`variance`] yields.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    /// How many values.
    pub count: u64,
    /// Their arithmetic mean; 0 if there are none.
    pub mean: f64,
    /// The sum of their squared distances from the mean.
    pub squares: f64,
}

impl Moments {
    /// The variance of exactly these values, `squares / count`. NaN if there are none.
    pub fn population(&self) -> f64 {
        self.squares / self.count as f64
    }

    /// The variance estimated from these values as a sample, `squares / (count - 1)`. NaN if there
    /// are fewer than two.
    pub fn sample(&self) -> f64 {
        if self.count < 2 { f64::NAN } else { self.squares / (self.count - 1) as f64 }
    }

    /// The standard deviation of exactly these values, in the unit of the field.
    pub fn deviation(&self) -> f64 {
        self.population().sqrt()
    }

    /// The standard deviation estimated from these values as a sample, in the unit of the field.
    pub fn sample_deviation(&self) -> f64 {
        self.sample().sqrt()
    }

    /// Welford's step.
    #[inline]
    fn add(&mut self, value: f64) {
        self.count += 1;
        let from_old = value - self.mean;
        self.mean += from_old / self.count as f64;
        self.squares += from_old * (value - self.mean);
    }

    /// The combination of Chan, Golub and LeVeque.
    #[inline]
    fn merge(&mut self, other: &Self) {
        if self.count == 0 || other.count == 0 {
            if self.count == 0 {
                *self = *other;
            }
            return;
        }
        let (a, b) = (self.count as f64, other.count as f64);
        let apart = other.mean - self.mean;
        self.count += other.count;
        self.mean += apart * (b / (a + b));
        self.squares += other.squares + apart * apart * (a * b / (a + b));
    }
}

impl<In, V: Number, F: Fn(&In) -> V + 'static> Aggregate<In> for Variance<F> {
    type Acc = Moments;
    type Out = Moments;

    #[inline]
    fn accumulate(&self, acc: &mut Moments, _at: Timestamp, value: &In) {
        acc.add((self.0)(value).to_f64());
    }

    #[inline]
    fn combine(&self, acc: &mut Moments, other: &Moments) {
        acc.merge(other);
    }

    #[inline]
    fn finish(&self, acc: &Moments) -> Moments {
        *acc
    }
}

#[cfg(test)]
mod tests {
    use super::super::{laws, over};
    use super::*;

    fn close(a: &Moments, b: &Moments) -> bool {
        a.count == b.count
            && laws::close(&a.mean, &b.mean)
            && laws::close(&a.population(), &b.population())
            && laws::close(&a.sample(), &b.sample())
    }

    #[test]
    fn the_laws_hold() {
        laws::hold(&variance(|v: &i8| *v), |rng| rng.i8(..), close);
        laws::hold(&variance(|v: &f64| *v), fastrand::Rng::f64, close);
        laws::hold(&variance(|v: &f64| *v), laws::with_nan, close);
    }

    #[test]
    fn a_small_spread_around_a_large_mean_survives() {
        let values = [4.0, 7.0, 13.0, 16.0].map(|v| (Timestamp(0), 1e9 + v));
        let spread = over(&variance(|v: &f64| *v), values);
        assert_eq!((spread.population(), spread.sample()), (22.5, 30.0));
        assert_eq!(spread.deviation(), 22.5_f64.sqrt());
        assert_eq!(spread.sample_deviation(), 30_f64.sqrt());
    }

    #[test]
    fn one_value_none_and_nan() {
        let f = variance(|v: &f64| *v);
        let one = over(&f, [(Timestamp(0), 3.0)]);
        assert_eq!(one.population(), 0.0);
        assert!(one.sample().is_nan());
        let none = over(&f, []);
        assert!(none.population().is_nan() && none.sample().is_nan());
        assert!(over(&f, [(Timestamp(0), f64::NAN)]).population().is_nan());
        assert!(over(&f, [(Timestamp(0), f64::INFINITY); 2]).population().is_nan());
    }
}
