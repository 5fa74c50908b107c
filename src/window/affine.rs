//! An aggregate to test with: not commutative, and it counts what it does.

use std::cell::Cell;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;
use crate::window::Aggregate;

/// Composition of functions x -> scale * x + shift, modulo 2^64: associative, not commutative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Affine {
    pub scale: u64,
    pub shift: u64,
}

impl Default for Affine {
    fn default() -> Self {
        Self { scale: 1, shift: 0 }
    }
}

/// Composes, and counts how often.
#[derive(Default)]
pub struct Compose {
    pub combined: Cell<u64>,
}

impl Aggregate<Affine> for Compose {
    type Acc = Affine;
    type Out = Affine;

    fn accumulate(&self, acc: &mut Affine, _at: Timestamp, value: &Affine) {
        self.combined.set(self.combined.get() + 1);
        *acc = Affine {
            scale: acc.scale.wrapping_mul(value.scale),
            shift: acc.shift.wrapping_mul(value.scale).wrapping_add(value.shift),
        };
    }

    fn combine(&self, acc: &mut Affine, other: &Affine) {
        self.accumulate(acc, Timestamp(0), other);
    }

    fn finish(&self, acc: &Affine) -> Affine {
        *acc
    }
}

/// The same for scales that are odd, which have an inverse: the oldest can be taken out again.
pub struct Undo(pub Compose);

impl Aggregate<Affine> for Undo {
    type Acc = Affine;
    type Out = Affine;
    const INVERTIBLE: bool = true;

    fn accumulate(&self, acc: &mut Affine, at: Timestamp, value: &Affine) {
        self.0.accumulate(acc, at, value);
    }

    fn combine(&self, acc: &mut Affine, other: &Affine) {
        self.0.combine(acc, other);
    }

    /// `acc` is `other` and then what is left: x -> left.scale * other(x) + left.shift.
    fn deduct(&self, acc: &mut Affine, other: &Affine) {
        self.0.combined.set(self.0.combined.get() + 1);
        let scale = acc.scale.wrapping_mul(inverse(other.scale));
        *acc = Affine { scale, shift: acc.shift.wrapping_sub(other.shift.wrapping_mul(scale)) };
    }

    fn finish(&self, acc: &Affine) -> Affine {
        *acc
    }
}

/// The inverse of an odd number modulo 2^64, by Newton's method.
fn inverse(odd: u64) -> u64 {
    (0..6).fold(odd, |x, _| x.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(x))))
}
