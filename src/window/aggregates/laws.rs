//! The laws of [`Aggregate`], checked on seeded random records.

use std::fmt::Debug;

use super::super::aggregate::Aggregate;
use crate::time::Timestamp;

/// Checks split, identity, associativity and inverse on a few thousand random lists of records
/// whose event times are out of order and often equal. Results are compared by `same`.
pub fn hold<In, A: Aggregate<In>>(
    aggregate: &A,
    mut record: impl FnMut(&mut fastrand::Rng) -> In,
    same: impl Fn(&A::Out, &A::Out) -> bool,
) where
    A::Out: Debug,
{
    let mut rng = fastrand::Rng::with_seed(7);
    let check = |left: &A::Acc, right: &A::Acc, law: &str| {
        let (left, right) = (aggregate.finish(left), aggregate.finish(right));
        assert!(same(&left, &right), "{law}: {left:?} is not {right:?}");
    };
    for _ in 0..3000 {
        let len = rng.usize(0..24);
        let records: Vec<_> =
            (0..len).map(|_| (Timestamp(rng.i64(-4..4)), record(&mut rng))).collect();
        let (i, j) = (rng.usize(0..=len), rng.usize(0..=len));
        let (i, j) = (i.min(j), i.max(j));
        let whole = acc(aggregate, &records);
        let [a, b, c] = [&records[..i], &records[i..j], &records[j..]].map(|r| acc(aggregate, r));
        let join = |left: &A::Acc, right: &A::Acc| {
            let mut acc = *left;
            aggregate.combine(&mut acc, right);
            acc
        };
        check(&join(&a, &acc(aggregate, &records[i..])), &whole, "split");
        check(&join(&join(&a, &b), &c), &whole, "split in three");
        check(&join(&a, &join(&b, &c)), &whole, "associativity");
        check(&join(&whole, &A::Acc::default()), &whole, "right identity");
        check(&join(&A::Acc::default(), &whole), &whole, "left identity");
        if A::INVERTIBLE {
            let mut rest = join(&a, &b);
            aggregate.deduct(&mut rest, &b);
            check(&rest, &a, "inverse");
            let mut rest = join(&a, &b);
            aggregate.deduct(&mut rest, &a);
            check(&rest, &b, "inverse of the earlier");
        }
    }
}

/// The accumulator of `records`.
fn acc<In, A: Aggregate<In>>(aggregate: &A, records: &[(Timestamp, In)]) -> A::Acc {
    let mut acc = A::Acc::default();
    for (at, value) in records {
        aggregate.accumulate(&mut acc, *at, value);
    }
    acc
}

/// Equal, or both NaN.
pub fn same_f64(a: &f64, b: &f64) -> bool {
    a == b || (a.is_nan() && b.is_nan())
}

/// Equal but for rounding, or both NaN.
pub fn close(a: &f64, b: &f64) -> bool {
    same_f64(a, b) || (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0)
}

/// Small whole numbers whose sums are exact, and now and then a NaN.
pub fn with_nan(rng: &mut fastrand::Rng) -> f64 {
    if rng.u8(..) < 64 { f64::NAN } else { f64::from(rng.i8(-3..4)) }
}
