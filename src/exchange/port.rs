//! The sending end of one lane.

use std::cell::RefCell;
use std::rc::Rc;

use crate::dataflow::{Checkpoint, Context, Pressure, Record, Saved, Work};
use crate::exchange::outbox::{Mark, Outbox};
use crate::exchange::ring::RingSender;
use crate::metrics::Counter;
use crate::time::Watermark;

/// What a stage hands to another stage of the same shard: no ring, one swap of buffers a batch.
pub type Handover<T> = Rc<RefCell<Outbox<T>>>;

/// The sending end of one lane.
pub struct Port<T> {
    outbox: Outbox<T>,
    batch_max: usize,
    /// The last watermark that went into the outbox; `None` before the first.
    told: Option<Watermark>,
    /// How many records the outbox held at the last batch end.
    ended_at: usize,
    /// Records were sent whose batch has not ended: it is to end behind them.
    goes_on: bool,
    to: Destination<T>,
}

enum Destination<T> {
    Here(Handover<T>),
    There(RingSender<T>),
}

impl<T> Port<T> {
    /// A port to a stage of this shard.
    pub fn here(handover: Handover<T>, batch_max: usize) -> Self {
        Self::new(Destination::Here(handover), batch_max)
    }

    /// A port to another shard.
    pub fn there(ring: RingSender<T>, batch_max: usize) -> Self {
        Self::new(Destination::There(ring), batch_max)
    }

    fn new(to: Destination<T>, batch_max: usize) -> Self {
        Self {
            outbox: Outbox::new(batch_max),
            batch_max,
            told: None,
            ended_at: 0,
            goes_on: false,
            to,
        }
    }

    /// Takes a record that was emitted under `watermark`. A record behind it is told so first, by a
    /// mark in front of it: that makes lateness a matter of the order of records alone, not of
    /// where batches end.
    #[inline(always)]
    pub fn push(&mut self, record: Record<T>, watermark: Watermark) {
        if record.at < watermark.at {
            self.tell(watermark);
        }
        self.outbox.records.push(record);
    }

    #[cold]
    fn tell(&mut self, watermark: Watermark) {
        if self.told.is_none_or(|told| told.at < watermark.at) {
            self.told = Some(watermark);
            self.outbox.mark(Mark::Watermark(watermark));
        }
    }

    /// Ends a batch, if there is anything to say, and sends what fits.
    #[inline]
    pub fn end_batch(&mut self, watermark: Watermark, cx: &mut Context) {
        let has_records = self.outbox.records.len() > self.ended_at || self.goes_on;
        if has_records || self.told != Some(watermark) {
            self.told = Some(watermark);
            let Watermark { at, idle } = watermark;
            let (ingress, waited_ns) = (cx.ingress, cx.stamps.waited_ns(cx.ingress));
            self.outbox.mark(Mark::BatchEnd { ingress, at, idle, waited_ns });
            (self.ended_at, self.goes_on) = (self.outbox.records.len(), false);
        }
        self.send(cx);
    }

    /// Sends what fits.
    #[inline]
    pub fn send(&mut self, cx: &mut Context) -> Work {
        if self.outbox.is_empty() {
            return Work::NONE;
        }
        self.goes_on |= self.outbox.records.len() > self.ended_at;
        let sent = match &mut self.to {
            Destination::There(ring) => {
                let before = self.outbox.records.len();
                let sent = ring.send(&mut self.outbox);
                let records = before - self.outbox.records.len();
                cx.count(Counter::RecordsExchanged, records as u64);
                sent
            }
            Destination::Here(handover) => {
                let sent = hand_over(&mut self.outbox, handover);
                cx.left_over |= sent > 0;
                sent
            }
        };
        self.ended_at = self.outbox.records.len();
        if !self.outbox.is_empty() {
            cx.count(Counter::Refused, 1);
        }
        Work(sent as u64)
    }

    /// Puts a barrier behind all that was pushed. That a checkpoint is complete is not told here:
    /// the other end hears of it by itself.
    pub fn on_checkpoint(&mut self, checkpoint: Checkpoint, cx: &mut Context) {
        if let Checkpoint::Barrier(epoch) = checkpoint {
            self.outbox.mark(Mark::Barrier(epoch));
            self.send(cx);
        }
    }

    /// Puts into a snapshot what the other side was told; nothing may wait to be sent.
    pub fn save(&self, out: &mut Saved) {
        out.at_rest("port", self.outbox.is_empty(), "has not sent all it was given");
        out.put("port", &self.told);
    }

    /// Takes it from a snapshot.
    pub fn load(&mut self, from: &mut Saved) {
        // Another shard, which has heard nothing yet.
        from.take_unless_rescaled("port", &mut self.told);
    }

    /// How much waits that the other side has not taken yet, here and on the way. Looks at what the
    /// other side writes, so once a batch is often enough.
    pub fn backlog(&self) -> usize {
        self.outbox.records.len()
            + match &self.to {
                Destination::Here(handover) => handover.borrow().records.len(),
                Destination::There(ring) => ring.taken_up(),
            }
    }

    /// Whether a stage of this shard had no room for all that it was handed over, at any time since
    /// this was last asked.
    pub fn take_left_over(&mut self) -> bool {
        match &self.to {
            Destination::Here(handover) => std::mem::take(&mut handover.borrow_mut().left_over),
            Destination::There(_) => false,
        }
    }

    /// How much room there is.
    #[inline(always)]
    pub fn pressure(&self) -> Pressure {
        if self.outbox.is_empty() {
            Pressure::Clear
        } else if self.outbox.records.len() < self.batch_max
            && self.outbox.marks.len() < self.batch_max
        {
            Pressure::Pending
        } else {
            Pressure::Full
        }
    }
}

#[inline]
fn hand_over<T>(outbox: &mut Outbox<T>, handover: &Handover<T>) -> usize {
    let mut there = handover.borrow_mut();
    if !there.is_empty() {
        return 0;
    }
    std::mem::swap(&mut outbox.records, &mut there.records);
    std::mem::swap(&mut outbox.marks, &mut there.marks);
    there.records.len() + there.marks.len()
}
