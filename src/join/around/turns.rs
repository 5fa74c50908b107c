//! What happens when a record's turn has come.

use crate::dataflow::{Saved, Shown};
use crate::join::around::held::{Held, Rights};
use crate::join::bound::Interval;
use crate::join::in_turn::InTurn;
use crate::state::{EachBulk, Key, Rescaled, Stored};
use crate::time::Timestamp;

/// Shows each left record the right ones around it. Its turn comes when its window is over, and
/// those of its window are then among the last that are held of its key.
pub struct Around<K: Key, R: Copy, F> {
    interval: Interval,
    held: Held<K, R>,
    apply: F,
}

impl<K: Key, R: Copy + Stored, F> Around<K, R, F> {
    /// Nothing is held.
    pub fn new(interval: Interval, prevailing: bool, seed: u64, apply: F) -> Self {
        Self { interval, held: Held::new(interval, prevailing, seed), apply }
    }
}

impl<K, L, R, F, Out> InTurn<K, L, R> for Around<K, R, F>
where
    K: Key,
    L: Copy + Stored,
    R: Copy + Stored,
    Out: 'static,
    F: FnMut(&L, Rights<'_, R>) -> Out + 'static,
{
    const NAME: &'static str = "window around";
    type Out = Out;

    fn left_first(&self) -> bool {
        false
    }

    #[inline(always)]
    fn wait_ns(&self) -> i64 {
        self.interval.to.max(0)
    }

    #[inline(always)]
    fn go_on(&mut self, _emit: &mut impl FnMut(Timestamp, Out)) -> bool {
        self.held.drop_one()
    }

    #[inline(always)]
    fn seek_due(&mut self, now: i64) -> bool {
        self.held.seek_past(now)
    }

    fn forget(&mut self) -> bool {
        self.held.forget()
    }

    #[inline(always)]
    fn on_left(&mut self, key: K, at: Timestamp, left: L, emit: &mut impl FnMut(Timestamp, Out)) {
        emit(at, (self.apply)(&left, self.held.around(key, at)));
    }

    #[inline(always)]
    fn on_right(&mut self, key: K, at: Timestamp, right: R) {
        self.held.add(key, at, right);
    }

    fn keys(&self) -> usize {
        self.held.keys()
    }

    fn records(&self) -> usize {
        self.held.records()
    }

    fn inspect(&self, each: &mut dyn FnMut(Shown<'_>)) {
        self.held.visit(|key, right| each(Shown::value("window around", &key, right)));
    }

    fn save(&self, out: &mut Saved) {
        out.unseen::<F>("window around");
        out.put("window around", &self.held);
    }

    fn load(&mut self, from: &mut Saved) {
        from.rescale("window around", &mut self.held);
    }

    fn bulk(&mut self, each: &mut EachBulk<'_>) {
        self.held.bulk(each);
    }
}
