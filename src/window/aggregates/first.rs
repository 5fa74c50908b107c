//! The value at the earliest event time.

use super::super::aggregate::Aggregate;
use crate::state::State;
use crate::time::Timestamp;

/// See [`first`].
#[derive(Clone, Copy, Debug)]
pub struct First<F>(F);

/// A field of the record with the earliest event time, whatever the order of arrival; of records
/// with the same event time, the one that arrived first.
///
/// NaN is a value like any other here. Of no records the result is the default value. Not
/// invertible.
///
/// ```
/// use millstream::aggregates::{first, over};
/// use millstream::time::Timestamp;
///
/// let (early, late) = (Timestamp::from_millis(1), Timestamp::from_millis(2));
/// assert_eq!(over(&first(|v: &char| *v), [(late, 'a'), (early, 'b')]), 'b');
/// ```
pub fn first<In, V: State, F: Fn(&In) -> V>(field: F) -> First<F> {
    First(field)
}

impl<In, V: State, F: Fn(&In) -> V + 'static> Aggregate<In> for First<F> {
    type Acc = Option<(Timestamp, V)>;
    type Out = V;

    #[inline]
    fn accumulate(&self, acc: &mut Self::Acc, at: Timestamp, value: &In) {
        if acc.is_none_or(|(seen, _)| at < seen) {
            *acc = Some((at, (self.0)(value)));
        }
    }

    #[inline]
    fn combine(&self, acc: &mut Self::Acc, other: &Self::Acc) {
        if let Some((at, _)) = *other
            && acc.is_none_or(|(seen, _)| at < seen)
        {
            *acc = *other;
        }
    }

    #[inline]
    fn finish(&self, acc: &Self::Acc) -> V {
        acc.map(|(_, value)| value).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{laws, over};
    use super::*;

    #[test]
    fn the_laws_hold_with_ties() {
        laws::hold(&first(|v: &u64| *v), |rng| rng.u64(..), u64::eq);
    }

    #[test]
    fn ties_go_by_arrival_and_the_ends_of_time_are_times() {
        let f = first(|v: &i32| *v);
        for at in [Timestamp::MIN, Timestamp(0), Timestamp::MAX] {
            assert_eq!(over(&f, [(at, 1), (at, 2)]), 1);
        }
        assert_eq!(over(&f, []), 0);
        assert!(over(&first(|v: &f64| *v), [(Timestamp(0), f64::NAN)]).is_nan());
    }
}
