//! Open, high, low and close.

use serde::{Deserialize, Serialize};

use super::super::aggregate::Aggregate;
use super::is_ordered;
use crate::state::State;
use crate::time::Timestamp;

/// See [`ohlc`].
#[derive(Clone, Copy, Debug)]
pub struct OhlcOf<F>(F);

/// The first, largest, smallest and last value of a field, as [`Ohlc`].
///
/// First and last go by event time; of records with the same event time the first to arrive opens
/// and the last to arrive closes. NaN is skipped; where every value is NaN, so are all four. Of no
/// records all four are the default value. Not invertible.
///
/// ```
/// use millstream::aggregates::{Ohlc, ohlc, over};
/// use millstream::time::Timestamp;
///
/// let prices = [(20, 10.5), (40, 10.0), (30, 11.5), (10, 11.0)];
/// let bar = over(&ohlc(|p: &f64| *p), prices.map(|(ms, p)| (Timestamp::from_millis(ms), p)));
/// assert_eq!(bar, Ohlc { open: 11.0, high: 11.5, low: 10.0, close: 10.0 });
/// ```
pub fn ohlc<In, V: PartialOrd + State, F: Fn(&In) -> V>(field: F) -> OhlcOf<F> {
    OhlcOf(field)
}

/// What [`ohlc`] yields, in the unit of the field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ohlc<V = f64> {
    /// The value at the earliest event time.
    pub open: V,
    /// The largest value.
    pub high: V,
    /// The smallest value.
    pub low: V,
    /// The value at the latest event time.
    pub close: V,
}

/// A bar, and when it opened and closed.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Bar<V> {
    opened: Timestamp,
    closed: Timestamp,
    ohlc: Ohlc<V>,
}

impl<V: Copy + PartialOrd> Bar<V> {
    #[inline]
    fn of(at: Timestamp, value: V) -> Self {
        let ohlc = Ohlc { open: value, high: value, low: value, close: value };
        Self { opened: at, closed: at, ohlc }
    }

    /// Widens the bar by one that arrived after it.
    #[inline]
    fn widen(&mut self, other: &Self) {
        let (bar, by) = (&mut self.ohlc, &other.ohlc);
        if other.opened < self.opened {
            (self.opened, bar.open) = (other.opened, by.open);
        }
        if other.closed >= self.closed {
            (self.closed, bar.close) = (other.closed, by.close);
        }
        if by.high > bar.high {
            bar.high = by.high;
        }
        if by.low < bar.low {
            bar.low = by.low;
        }
    }
}

/// Joins a bar to what arrived before it. A bar of NaN is one that no other value has come into
/// yet: it gives way to any bar, and is skipped beside one.
#[inline]
fn join<V: Copy + PartialOrd>(acc: &mut Option<Bar<V>>, new: &Bar<V>) {
    match acc {
        Some(bar) if is_ordered(&bar.ohlc.open) => {
            if is_ordered(&new.ohlc.open) {
                bar.widen(new);
            }
        }
        _ => *acc = Some(*new),
    }
}

impl<In, V: PartialOrd + State, F: Fn(&In) -> V + 'static> Aggregate<In> for OhlcOf<F> {
    type Acc = Option<Bar<V>>;
    type Out = Ohlc<V>;

    #[inline]
    fn accumulate(&self, acc: &mut Self::Acc, at: Timestamp, value: &In) {
        join(acc, &Bar::of(at, (self.0)(value)));
    }

    #[inline]
    fn combine(&self, acc: &mut Self::Acc, other: &Self::Acc) {
        if let Some(other) = other {
            join(acc, other);
        }
    }

    #[inline]
    fn finish(&self, acc: &Self::Acc) -> Ohlc<V> {
        acc.map(|bar| bar.ohlc).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{laws, over};
    use super::*;

    #[test]
    fn the_laws_hold_with_ties() {
        laws::hold(&ohlc(|v: &u64| *v), |rng| rng.u64(..), Ohlc::eq);
        laws::hold(&ohlc(|v: &f64| *v), laws::with_nan, |a, b| {
            a == b || (a.open.is_nan() && b.open.is_nan())
        });
    }

    #[test]
    fn ties_go_by_arrival() {
        let bar = over(&ohlc(|v: &i32| *v), [3, 1, 4, 2].map(|v| (Timestamp(0), v)));
        assert_eq!(bar, Ohlc { open: 3, high: 4, low: 1, close: 2 });
    }

    #[test]
    fn nan_is_skipped_unless_it_is_all_there_is() {
        let f = ohlc(|v: &f64| *v);
        let at = |i: i64, v: f64| (Timestamp(i), v);
        let bar = over(&f, [at(0, f64::NAN), at(1, 2.0), at(2, 5.0), at(3, f64::NAN)]);
        assert_eq!(bar, Ohlc { open: 2.0, high: 5.0, low: 2.0, close: 5.0 });
        let bar = over(&f, [at(0, f64::NAN); 2]);
        assert!([bar.open, bar.high, bar.low, bar.close].iter().all(|v| v.is_nan()));
        assert_eq!(over(&f, []), Ohlc::default());
    }
}
