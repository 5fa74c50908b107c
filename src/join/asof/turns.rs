//! What happens when a record's turn has come.

use crate::dataflow::{Saved, Shown};
use crate::join::asof::Rules;
use crate::join::asof::known::{Answer, Keys};
use crate::join::in_turn::InTurn;
use crate::state::{EachBulk, Key, Rescaled, Stored};
use crate::time::Timestamp;

/// Gives each left record the right one that belongs to it: looking back that is the latest there
/// was, looking ahead the next that comes.
pub struct Asof<K: Key, L: Copy, R: Copy, F> {
    rules: Rules,
    known: Keys<K, L, R>,
    select: F,
}

impl<K: Key, L: Copy + Stored, R: Copy + Stored, F> Asof<K, L, R, F> {
    /// Nothing is known.
    pub fn new(rules: Rules, seed: u64, select: F) -> Self {
        Self { rules, known: Keys::new(rules, seed), select }
    }
}

impl<K, L, R, F, Out> InTurn<K, L, R> for Asof<K, L, R, F>
where
    K: Key,
    L: Copy + Stored,
    R: Copy + Stored,
    Out: 'static,
    F: FnMut(&L, Option<&R>) -> Option<Out> + 'static,
{
    const NAME: &'static str = "as-of join";
    type Out = Out;

    fn left_first(&self) -> bool {
        self.rules.left_first()
    }

    #[inline(always)]
    fn wait_ns(&self) -> i64 {
        0
    }

    #[inline(always)]
    fn go_on(&mut self, emit: &mut impl FnMut(Timestamp, Out)) -> bool {
        if self.known.is_settled() {
            return false;
        }
        if let Some((now, Answer { left, right, .. })) = self.known.settle()
            && let Some(out) = (self.select)(&left, right)
        {
            // The last instant says that the input has ended; a record has the one before.
            emit(Timestamp(now.min(i64::MAX - 1)), out);
        }
        true
    }

    #[inline(always)]
    fn seek_due(&mut self, now: i64) -> bool {
        self.known.seek_due(now)
    }

    fn forget(&mut self) -> bool {
        self.known.forget()
    }

    #[inline(always)]
    fn on_left(&mut self, key: K, at: Timestamp, left: L, emit: &mut impl FnMut(Timestamp, Out)) {
        if let Some(Answer { at, left, right }) = self.known.show_left(key, at.0, left)
            && let Some(out) = (self.select)(&left, right)
        {
            emit(at, out);
        }
    }

    #[inline(always)]
    fn on_right(&mut self, key: K, at: Timestamp, right: R) {
        self.known.show_right(key, at.0, right);
    }

    fn keys(&self) -> usize {
        self.known.len()
    }

    fn records(&self) -> usize {
        self.known.waiting()
    }

    fn inspect(&self, each: &mut dyn FnMut(Shown<'_>)) {
        self.known.visit(|key, held| match held {
            Ok(left) => each(Shown::value(Self::NAME, &key, left)),
            Err(right) => each(Shown::value(Self::NAME, &key, right)),
        });
    }

    fn save(&self, out: &mut Saved) {
        out.unseen::<F>(Self::NAME);
        out.put(Self::NAME, &self.known);
    }

    fn load(&mut self, from: &mut Saved) {
        from.rescale(Self::NAME, &mut self.known);
    }

    fn bulk(&mut self, each: &mut EachBulk<'_>) {
        self.known.bulk(each);
    }
}
