//! The aggregates that come with the engine; start with `count.rs`, the smallest.
//!
//! Each takes closures that pick a field: `sum(|trade: &Trade| trade.qty)`. A tuple of aggregates
//! computes them side by side and yields a tuple: `(count(), max(|trade: &Trade| trade.price))`.
//!
//! What they do with odd input:
//!
//! | | NaN | no records | integer overflow |
//! |---|---|---|---|
//! | [`count`] | counted | 0 | |
//! | [`sum`] | the sum is NaN | 0 | exact inside, the result saturates |
//! | [`mean`], [`variance`] | the result is NaN | NaN | cannot |
//! | [`vwap`] | the result is NaN | NaN | cannot |
//! | [`min`], [`max`], [`ohlc`] | skipped; NaN if there is nothing else | the default value | |
//! | [`first`], [`last`] | a value like any other | the default value | |
//! | [`reduce`] | as its closure has it | the default value | as its closure has it |
//!
//! An engine's window always holds a record; "no records" is what [`over`] an empty list gives.

mod count;
mod first;
mod last;
mod max;
mod mean;
mod min;
mod number;
mod ohlc;
mod reduce;
mod sum;
mod tuple;
mod variance;
mod vwap;

#[cfg(test)]
mod laws;

pub use count::{Count, count};
pub use first::{First, first};
pub use last::{Last, last};
pub use max::{Max, max};
pub use mean::{Mean, mean};
pub use min::{Min, min};
pub use number::Number;
pub use ohlc::{Ohlc, OhlcOf, ohlc};
pub use reduce::{Reduce, reduce};
pub use sum::{Sum, sum};
pub use variance::{Moments, Variance, variance};
pub use vwap::{Vwap, vwap};

use super::aggregate::Aggregate;
use crate::time::Timestamp;

/// What an aggregate yields over `records`, in their order of arrival, outside any pipeline.
///
/// For tests of your own aggregates, and for one-off answers.
///
/// ```
/// use millstream::aggregates::{count, over, sum};
/// use millstream::time::Timestamp;
///
/// let at = Timestamp::from_millis(1);
/// let both = (count(), sum(|qty: &u32| *qty));
/// assert_eq!(over(&both, [(at, 30), (at, 12)]), (2, 42));
/// ```
pub fn over<In, A: Aggregate<In>>(
    aggregate: &A,
    records: impl IntoIterator<Item = (Timestamp, In)>,
) -> A::Out {
    let mut acc = A::Acc::default();
    for (at, value) in records {
        aggregate.accumulate(&mut acc, at, &value);
    }
    aggregate.finish(&acc)
}

/// Whether a value compares with others: false for NaN, and for what holds one.
#[inline]
fn is_ordered<V: PartialOrd>(value: &V) -> bool {
    value.partial_cmp(value).is_some()
}

/// The better of two candidates by `wins(new, old)`, which must be false on ties. A value that
/// compares with nothing loses to any that does.
#[inline]
fn better<V: Copy + PartialOrd>(old: Option<V>, new: V, wins: fn(&V, &V) -> bool) -> Option<V> {
    match old {
        Some(old) if is_ordered(&old) && !wins(&new, &old) => Some(old),
        _ => Some(new),
    }
}
