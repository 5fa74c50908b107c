//! The numbers that can be added up.

use serde::{Deserialize, Serialize};

use crate::state::State;

/// A number that [`sum`](super::sum), [`mean`](super::mean), [`variance`](super::variance) and
/// [`vwap`](super::vwap) take: the integers up to 64 bits, `f32` and `f64`. Closed: no other type
/// can be one.
///
/// Integers are added up exactly: those of 64 bits in 128, by an `add` and an `adc`, which is fewer
/// instructions than a saturating sum takes, and unlike that one associative and invertible; those
/// of up to 32 bits in 64, which holds 2^31 of the largest for one key of one window. Floats are
/// added up as `f64`, rounding at each step.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a number that can be added up",
    label = "expected an integer of at most 64 bits, `f32` or `f64`",
    note = "let the field closure return a number, or write your own `impl Aggregate`"
)]
pub trait Number: Copy + PartialOrd + Send + 'static + sealed::Sealed {
    /// What a sum is kept in.
    type Sum: State;
    /// What a sum is given as: `u64`, `i64` or `f64`.
    type Total: State;
    /// Whether sums are exact, so that what was added can be taken out again.
    const EXACT: bool;

    /// Adds a value to a sum.
    fn add(sum: &mut Self::Sum, value: Self);
    /// Adds a sum to a sum.
    fn merge(sum: &mut Self::Sum, other: &Self::Sum);
    /// Takes a sum out of a sum.
    fn unmerge(sum: &mut Self::Sum, other: &Self::Sum);
    /// The sum, saturated to what [`Total`](Self::Total) can hold.
    fn total(sum: &Self::Sum) -> Self::Total;
    /// The sum as the nearest `f64`.
    fn approximate(sum: &Self::Sum) -> f64;
    /// The value as the nearest `f64`: exact up to 53 bits.
    fn to_f64(self) -> f64;
}

mod sealed {
    pub trait Sealed {}
}

/// An exact sum. Aligned to 8 bytes, not 16, so that a count beside it costs 8 bytes and not 16.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
#[repr(Rust, packed(8))]
pub struct Wide(i128);

macro_rules! integers {
    ($total:ty: $($int:ty),*) => {$(
        impl sealed::Sealed for $int {}
        impl Number for $int {
            type Sum = Wide;
            type Total = $total;
            const EXACT: bool = true;

            // 2^63 values of 64 bits fit in 128, and no process lives to see as many: none of these
            // wraps in practice, and "wrapping" only spares the check in debug builds.
            #[inline]
            fn add(sum: &mut Wide, value: Self) {
                sum.0 = sum.0.wrapping_add(value as i128);
            }

            #[inline]
            fn merge(sum: &mut Wide, other: &Wide) {
                sum.0 = sum.0.wrapping_add(other.0);
            }

            #[inline]
            fn unmerge(sum: &mut Wide, other: &Wide) {
                sum.0 = sum.0.wrapping_sub(other.0);
            }

            #[inline]
            fn total(sum: &Wide) -> $total {
                let sum = sum.0;
                sum.clamp(<$total>::MIN as i128, <$total>::MAX as i128) as $total
            }

            #[inline]
            fn approximate(sum: &Wide) -> f64 {
                sum.0 as f64
            }

            #[inline]
            fn to_f64(self) -> f64 {
                self as f64
            }
        }
    )*};
}
integers!(u64: u64, usize);
integers!(i64: i64, isize);

macro_rules! small_integers {
    ($total:ty: $($int:ty),*) => {$(
        impl sealed::Sealed for $int {}
        impl Number for $int {
            type Sum = $total;
            type Total = $total;
            const EXACT: bool = true;

            // 2^31 values of 32 bits fit in 64 whatever their signs: a window of more records than
            // that takes its keys' sums in a wider field.
            #[inline]
            fn add(sum: &mut $total, value: Self) {
                *sum = sum.wrapping_add(<$total>::from(value));
            }

            #[inline]
            fn merge(sum: &mut $total, other: &$total) {
                *sum = sum.wrapping_add(*other);
            }

            #[inline]
            fn unmerge(sum: &mut $total, other: &$total) {
                *sum = sum.wrapping_sub(*other);
            }

            #[inline]
            fn total(sum: &$total) -> $total {
                *sum
            }

            #[inline]
            fn approximate(sum: &$total) -> f64 {
                *sum as f64
            }

            #[inline]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
        }
    )*};
}
small_integers!(u64: u8, u16, u32);
small_integers!(i64: i8, i16, i32);

macro_rules! floats {
    ($($float:ty),*) => {$(
        impl sealed::Sealed for $float {}
        impl Number for $float {
            type Sum = f64;
            type Total = f64;
            const EXACT: bool = false;

            #[inline]
            fn add(sum: &mut f64, value: Self) {
                *sum += f64::from(value);
            }

            #[inline]
            fn merge(sum: &mut f64, other: &f64) {
                *sum += *other;
            }

            #[inline]
            fn unmerge(sum: &mut f64, other: &f64) {
                *sum -= *other;
            }

            #[inline]
            fn total(sum: &f64) -> f64 {
                *sum
            }

            #[inline]
            fn approximate(sum: &f64) -> f64 {
                *sum
            }

            #[inline]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
        }
    )*};
}
floats!(f32, f64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exact_sum_and_a_count_take_24_bytes() {
        assert_eq!(size_of::<(Wide, u64)>(), 24);
    }
}
