//! How far an operator is behind the watermark that it was told, and how it catches up.

use serde::{Deserialize, Serialize};

use crate::dataflow::{BETWEEN_LOOKS, Context, Operator, Pressure, Progress, Work};
use crate::time::Watermark;

/// How many batches are taken while earlier work is still to be done.
const BEHIND_MAX: u32 = 4;

/// Work that a watermark makes due, done in slices; the watermark goes on when all of it is done.
#[derive(Clone, Serialize, Deserialize)]
pub struct Pace {
    progress: Progress,
    /// Work is due although the watermark stands.
    owes: bool,
    /// Batches taken since there was last nothing left to do.
    batches: u32,
}

impl Pace {
    /// Nothing is due.
    pub fn new() -> Self {
        Self { progress: Progress::new(), owes: false, batches: 0 }
    }

    /// The watermark up to which work is due. What is behind it is late, whether or not that work
    /// has been done.
    #[inline(always)]
    pub fn target(&self) -> Watermark {
        self.progress.target()
    }

    /// Whether work is left, or a watermark is still to be told.
    #[inline(always)]
    pub fn is_pending(&self) -> bool {
        self.owes || self.progress.is_pending()
    }

    /// Event time has come this far.
    #[inline]
    pub fn on_watermark(&mut self, watermark: Watermark, cx: &Context) {
        self.progress.begin(watermark, cx);
    }

    /// Event time has come this far, and there may be work whether or not that is news.
    #[inline]
    pub fn on_work(&mut self, watermark: Watermark, cx: &Context) {
        self.on_watermark(watermark, cx);
        self.owes = true;
    }

    /// A batch comes.
    #[inline]
    pub fn on_batch(&mut self) {
        if self.is_pending() {
            self.batches += 1;
        }
    }

    /// Whether input has to wait.
    #[inline]
    pub fn pressure(&self) -> Pressure {
        match self.is_pending() {
            true if self.batches > BEHIND_MAX => Pressure::Full,
            true => Pressure::Pending,
            false => Pressure::Clear,
        }
    }

    /// Calls `act` up to `fire_max` times while there is room downstream; each call may emit one
    /// record, and says whether there was something to do. When there is nothing left, the
    /// watermark goes on.
    pub fn fire<Out, N: Operator<Out>>(
        &mut self,
        [fire_max, batch_max]: [usize; 2],
        next: &mut N,
        cx: &mut Context,
        mut act: impl FnMut(&mut N, &mut Context) -> bool,
    ) -> Work {
        if !self.is_pending() || next.pressure() == Pressure::Full {
            return Work::NONE;
        }
        self.progress.blame(cx);
        // After one look there is room for one batch.
        let between_looks = BETWEEN_LOOKS.min(batch_max);
        let mut left = fire_max;
        while left > 0 && next.pressure() != Pressure::Full {
            let slice = left.min(between_looks);
            let done = (0..slice).take_while(|_| act(next, cx)).count();
            left -= done;
            if done < slice {
                (self.batches, self.owes) = (0, false);
                next.on_watermark(self.progress.finish(), cx);
                next.on_batch_end(cx);
                break;
            }
            next.on_batch_end(cx);
        }
        Work((fire_max - left) as u64 + 1)
    }
}
