//! Several aggregates side by side.

use super::super::aggregate::Aggregate;
use crate::time::Timestamp;

/// Two to six aggregates over the same records, as one that yields a tuple. Invertible if all are.
macro_rules! tuples {
    ($(($($name:ident $index:tt),+)),+ $(,)?) => {$(
        impl<In, $($name: Aggregate<In>),+> Aggregate<In> for ($($name,)+) {
            type Acc = ($($name::Acc,)+);
            type Out = ($($name::Out,)+);
            const INVERTIBLE: bool = $($name::INVERTIBLE)&&+;

            #[inline]
            fn accumulate(&self, acc: &mut Self::Acc, at: Timestamp, value: &In) {
                $(self.$index.accumulate(&mut acc.$index, at, value);)+
            }

            #[inline]
            fn combine(&self, acc: &mut Self::Acc, other: &Self::Acc) {
                $(self.$index.combine(&mut acc.$index, &other.$index);)+
            }

            #[inline]
            fn deduct(&self, acc: &mut Self::Acc, other: &Self::Acc) {
                $(self.$index.deduct(&mut acc.$index, &other.$index);)+
            }

            #[inline]
            fn finish(&self, acc: &Self::Acc) -> Self::Out {
                ($(self.$index.finish(&acc.$index),)+)
            }
        }
    )+};
}
tuples!(
    (A 0, B 1),
    (A 0, B 1, C 2),
    (A 0, B 1, C 2, D 3),
    (A 0, B 1, C 2, D 3, E 4),
    (A 0, B 1, C 2, D 3, E 4, G 5),
);

#[cfg(test)]
mod tests {
    use super::super::{count, first, last, laws, max, mean, min, over, sum};
    use super::*;

    fn invertible<In, A: Aggregate<In>>(_: &A) -> bool {
        A::INVERTIBLE
    }

    #[test]
    fn the_laws_hold() {
        let pair = (count(), sum(|v: &i32| *v));
        laws::hold(&pair, |rng| rng.i32(..), PartialEq::eq);
        let triple = (first(|v: &i32| *v), last(|v: &i32| *v), max(|v: &i32| *v));
        laws::hold(&triple, |rng| rng.i32(..), PartialEq::eq);
    }

    #[test]
    fn invertible_only_if_all_are() {
        assert!(invertible::<i32, _>(&(count(), sum(|v: &i32| *v), mean(|v: &i32| *v))));
        assert!(!invertible::<i32, _>(&(count(), min(|v: &i32| *v))));
    }

    #[test]
    fn six_side_by_side_each_see_every_record() {
        let field = |v: &i32| *v;
        let six = (count(), sum(field), min(field), max(field), first(field), last(field));
        let records = [5, -2, 4].map(|v| (Timestamp(0), v));
        assert_eq!(over(&six, records), (3, 7, -2, 5, 5, 4));
    }
}
