//! What a join emits into, and how much it may still do.

use crate::dataflow::{BETWEEN_LOOKS, Context, Operator, Pressure, Record};

/// What follows a join, and what the slice of work in hand may still do.
pub struct Outlet<N> {
    pub next: N,
    /// Units of work left in this slice: a look-up, or a record looked at.
    work: usize,
    /// Records for which there is room downstream, as far as is known.
    room: usize,
    /// Records emitted since the last end of a batch.
    unpublished: usize,
    /// Records to emit between two looks at the room.
    between_looks: usize,
}

impl<N> Outlet<N> {
    /// Nothing may be done before [`begin`](Self::begin).
    pub fn new(next: N, batch_max: usize) -> Self {
        let between_looks = BETWEEN_LOOKS.min(batch_max);
        Self { next, work: 0, room: 0, unpublished: 0, between_looks }
    }

    /// A slice of `work` units begins.
    #[inline]
    pub fn begin(&mut self, work: usize) {
        (self.work, self.room) = (work, 0);
    }

    /// Units that are left of the slice.
    #[inline(always)]
    pub fn left(&self) -> usize {
        self.work
    }

    /// Takes a unit of work, if one is left.
    #[inline(always)]
    pub fn may_work(&mut self) -> bool {
        let may = self.work > 0;
        self.work -= usize::from(may);
        may
    }

    /// Whether there is room for one record downstream.
    #[inline(always)]
    pub fn has_room<Out>(&mut self, cx: &mut Context) -> bool
    where
        N: Operator<Out>,
    {
        self.room > 0 || self.look(cx)
    }

    fn look<Out>(&mut self, cx: &mut Context) -> bool
    where
        N: Operator<Out>,
    {
        self.publish(cx);
        if self.next.pressure() == Pressure::Full {
            return false;
        }
        self.room = self.between_looks;
        true
    }

    /// Emits a record, for which there is room.
    #[inline(always)]
    pub fn emit<Out>(&mut self, record: Record<Out>, cx: &mut Context)
    where
        N: Operator<Out>,
    {
        self.next.on_record(record, cx);
        self.room = self.room.saturating_sub(1);
        self.unpublished += 1;
    }

    /// Publishes what was emitted.
    #[inline]
    pub fn publish<Out>(&mut self, cx: &mut Context)
    where
        N: Operator<Out>,
    {
        self.room = 0;
        if std::mem::take(&mut self.unpublished) > 0 {
            self.next.on_batch_end(cx);
        }
    }
}
