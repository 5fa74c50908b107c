//! What a window keeps instead of its records.

use crate::state::State;
use crate::time::Timestamp;

/// Turns the records of a window into one value, without keeping the records.
///
/// The engine holds one accumulator per open window (or per slice of overlapping windows) and key.
/// It starts each one as `Acc::default()`, adds records with [`accumulate`](Self::accumulate),
/// joins two with [`combine`](Self::combine), and reads the result with [`finish`](Self::finish).
///
/// # What an aggregate promises
///
/// Write `a + b` for `combine` and `0` for `Acc::default()`. Floats may break the first and the
/// third law by rounding, and by nothing else.
///
/// - **Split**: accumulating `x` and then `y` gives what accumulating `x`, accumulating `y` alone
///   and combining them gives, for any split of the records in two, however uneven.
/// - **Identity**: `a + 0` and `0 + a` are `a`. Either side may be empty.
/// - **Associativity**: `(a + b) + c` is `a + (b + c)`. The engine groups as it likes.
/// - **Order**: in `a + b`, what `a` holds arrived before what `b` holds, or all of it is earlier
///   in event time. No commutativity is asked: an aggregate may tell ties apart by arrival.
/// - **Inverse**, only where [`INVERTIBLE`](Self::INVERTIBLE): after `a + b`, deducting `b` gives
///   `a`, and deducting `a` gives `b`.
///
/// Records of one window may arrive in any order of event time. A result that should not depend on
/// arrival looks at `at` (see [`first`](super::aggregates::first)) or does not care for order (see
/// [`sum`](super::aggregates::sum)).
///
/// All four calls run on the hot path: no allocation, no blocking, no panic.
///
/// ```
/// use millstream::aggregates::over;
/// use millstream::time::Timestamp;
/// use millstream::window::Aggregate;
///
/// /// How far a value ranged within the window.
/// struct Range;
///
/// impl Aggregate<i64> for Range {
///     type Acc = Option<(i64, i64)>;
///     type Out = u64;
///
///     fn accumulate(&self, acc: &mut Self::Acc, _at: Timestamp, value: &i64) {
///         self.combine(acc, &Some((*value, *value)));
///     }
///
///     fn combine(&self, acc: &mut Self::Acc, other: &Self::Acc) {
///         *acc = match (*acc, *other) {
///             (Some((low, high)), Some((l, h))) => Some((low.min(l), high.max(h))),
///             (one, two) => one.or(two),
///         };
///     }
///
///     fn finish(&self, acc: &Self::Acc) -> u64 {
///         acc.map_or(0, |(low, high)| high.abs_diff(low))
///     }
/// }
///
/// let at = Timestamp::from_millis(1);
/// assert_eq!(over(&Range, [(at, 3), (at, -4), (at, 5)]), 9);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not aggregate records of type `{In}`",
    label = "this is not an aggregate of `{In}`",
    note = "aggregates are those of `millstream::aggregates`, tuples of two to six of them, \
            and your own `impl Aggregate<{In}>`",
    note = "a field closure names its record and returns a plain value: \
            `sum(|trade: &Trade| trade.qty)`"
)]
pub trait Aggregate<In>: 'static {
    /// What is kept instead of the records. Its `Default` is the accumulator of no records.
    type Acc: State;
    /// What a window yields.
    type Out: 'static;

    /// Whether [`deduct`](Self::deduct) undoes [`combine`](Self::combine) exactly.
    ///
    /// Sliding windows then drop what slid out with one `deduct` instead of combining anew what is
    /// left. Integer sums are invertible. Float sums are not: what rounding lost does not come
    /// back, and the result would drift for as long as the process runs.
    const INVERTIBLE: bool = false;

    /// Adds one record, whose event time is `at`, to what arrived before it.
    fn accumulate(&self, acc: &mut Self::Acc, at: Timestamp, value: &In);

    /// Adds what `other` holds, which arrived after what `acc` holds or is all later in event time.
    /// Either may be empty.
    fn combine(&self, acc: &mut Self::Acc, other: &Self::Acc);

    /// Takes `other` back out of `acc`, which holds it. Only called where
    /// [`INVERTIBLE`](Self::INVERTIBLE); does nothing unless overridden.
    fn deduct(&self, acc: &mut Self::Acc, other: &Self::Acc) {
        let _ = (acc, other);
    }

    /// The result. Windows that no record fell into do not exist, so `acc` is empty only when a
    /// caller makes it so; the result must be defined all the same.
    fn finish(&self, acc: &Self::Acc) -> Self::Out;
}
