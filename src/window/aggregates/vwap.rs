//! The price weighted by volume.

use serde::{Deserialize, Serialize};

use super::super::aggregate::Aggregate;
use super::Number;
use crate::time::Timestamp;

/// See [`vwap`].
#[derive(Clone, Copy, Debug)]
pub struct Vwap<P, Q> {
    price: P,
    qty: Q,
}

/// The volume-weighted average price: the sum of price times quantity over the sum of quantity, as
/// an `f64` in the unit of the price.
///
/// Computed as `f64`, rounding at each step; not invertible. Where the quantities add up to zero,
/// and of no records, it is NaN. A negative quantity is taken as it stands, as the correction of an
/// earlier trade: it takes its volume and value out again, and the result may then lie outside the
/// range of the prices. A NaN in either field makes the result NaN, even at quantity zero.
///
/// ```
/// use millstream::aggregates::{over, vwap};
/// use millstream::time::Timestamp;
///
/// struct Trade { price: f64, qty: u32 }
///
/// let at = Timestamp::from_millis(1);
/// let trades = [(at, Trade { price: 10.0, qty: 3 }), (at, Trade { price: 14.0, qty: 1 })];
/// assert_eq!(over(&vwap(|t: &Trade| t.price, |t: &Trade| t.qty), trades), 11.0);
/// ```
pub fn vwap<In, A, B, P, Q>(price: P, qty: Q) -> Vwap<P, Q>
where
    A: Number,
    B: Number,
    P: Fn(&In) -> A,
    Q: Fn(&In) -> B,
{
    Vwap { price, qty }
}

/// What was paid and what for it.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
pub struct Traded {
    value: f64,
    volume: f64,
}

impl<In, A, B, P, Q> Aggregate<In> for Vwap<P, Q>
where
    A: Number,
    B: Number,
    P: Fn(&In) -> A + 'static,
    Q: Fn(&In) -> B + 'static,
{
    type Acc = Traded;
    type Out = f64;

    #[inline]
    fn accumulate(&self, acc: &mut Traded, _at: Timestamp, value: &In) {
        let qty = (self.qty)(value).to_f64();
        acc.value += (self.price)(value).to_f64() * qty;
        acc.volume += qty;
    }

    #[inline]
    fn combine(&self, acc: &mut Traded, other: &Traded) {
        acc.value += other.value;
        acc.volume += other.volume;
    }

    #[inline]
    fn finish(&self, acc: &Traded) -> f64 {
        // Without this a value that is left over at volume zero would be an infinite price.
        if acc.volume == 0.0 { f64::NAN } else { acc.value / acc.volume }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{laws, over};
    use super::*;

    fn over_all<const N: usize>(trades: [(f64, f64); N]) -> f64 {
        over(
            &vwap(|t: &(f64, f64)| t.0, |t: &(f64, f64)| t.1),
            trades.map(|trade| (Timestamp(0), trade)),
        )
    }

    #[test]
    fn the_laws_hold() {
        let exact = vwap(|t: &(f64, f64)| t.0, |t: &(f64, f64)| t.1);
        laws::hold(&exact, |rng| (laws::with_nan(rng), laws::with_nan(rng)), laws::same_f64);
        let whole = vwap(|t: &(i64, u32)| t.0, |t: &(i64, u32)| t.1);
        laws::hold(&whole, |rng| (rng.i64(-1000..1000), rng.u32(0..1000)), laws::same_f64);
        laws::hold(&exact, |rng| (rng.f64(), rng.f64()), laws::close);
    }

    #[test]
    fn zero_negative_and_nan_are_defined() {
        assert!(over_all([]).is_nan());
        assert!(over_all([(10.0, 0.0)]).is_nan());
        assert!(over_all([(10.0, 2.0), (11.0, -2.0)]).is_nan());
        assert_eq!(over_all([(10.0, 2.0), (12.0, 2.0), (12.0, -2.0)]), 10.0);
        assert_eq!(over_all([(10.0, 2.0), (20.0, -1.0)]), 0.0);
        assert_eq!(over_all([(10.0, -2.0)]), 10.0);
        assert!(over_all([(f64::NAN, 0.0), (10.0, 1.0)]).is_nan());
    }
}
