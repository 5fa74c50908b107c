//! The value at the latest event time.

use super::super::aggregate::Aggregate;
use crate::state::State;
use crate::time::Timestamp;

/// See [`last`].
#[derive(Clone, Copy, Debug)]
pub struct Last<F>(F);

/// A field of the record with the latest event time, whatever the order of arrival; of records
/// with the same event time, the one that arrived last.
///
/// NaN is a value like any other here. Of no records the result is the default value. Not
/// invertible.
///
/// ```
/// use millstream::aggregates::{last, over};
/// use millstream::time::Timestamp;
///
/// let (early, late) = (Timestamp::from_millis(1), Timestamp::from_millis(2));
/// assert_eq!(over(&last(|v: &char| *v), [(late, 'a'), (early, 'b')]), 'a');
/// ```
pub fn last<In, V: State, F: Fn(&In) -> V>(field: F) -> Last<F> {
    Last(field)
}

impl<In, V: State, F: Fn(&In) -> V + 'static> Aggregate<In> for Last<F> {
    type Acc = Option<(Timestamp, V)>;
    type Out = V;

    #[inline]
    fn accumulate(&self, acc: &mut Self::Acc, at: Timestamp, value: &In) {
        if acc.is_none_or(|(seen, _)| at >= seen) {
            *acc = Some((at, (self.0)(value)));
        }
    }

    #[inline]
    fn combine(&self, acc: &mut Self::Acc, other: &Self::Acc) {
        if let Some((at, _)) = *other
            && acc.is_none_or(|(seen, _)| at >= seen)
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
        laws::hold(&last(|v: &u64| *v), |rng| rng.u64(..), u64::eq);
    }

    #[test]
    fn ties_go_by_arrival_and_the_ends_of_time_are_times() {
        let f = last(|v: &i32| *v);
        for at in [Timestamp::MIN, Timestamp(0), Timestamp::MAX] {
            assert_eq!(over(&f, [(at, 1), (at, 2)]), 2);
        }
        assert_eq!(over(&f, []), 0);
        assert!(over(&last(|v: &f64| *v), [(Timestamp(0), f64::NAN)]).is_nan());
    }
}
