//! The receiving side of an edge: the lanes that lead to it, merged into one operator.

use crate::dataflow::{
    Checkpoint, Context, Epoch, Operator, Placement, Pressure, Record, Runnable, Saved, Shown, Work,
};
use crate::exchange::outbox::Mark;
use crate::exchange::port::Handover;
use crate::exchange::ring::RingReceiver;
use crate::state::EachBulk;
use crate::time::{Merged, Watermark};

/// The receiving end of one lane.
pub enum Lane<T> {
    /// From a stage of this shard.
    Here(Handover<T>),
    /// From another shard.
    There(RingReceiver<T>),
}

/// The head of the stage behind an edge: takes records from all lanes, merges their watermarks,
/// and hands both to the operator.
///
/// It takes nothing before every lane has said something. A watermark merged without a lane that is
/// merely late to start would depend on which shard started first, and lateness with it.
///
/// A lane that has brought the barrier of a checkpoint is held: nothing more is taken from it until
/// all lanes have brought theirs, and the barrier has gone on.
pub struct Inlet<T> {
    here: Vec<Here<T>>,
    there: Vec<There<T>>,
    merged: Merged,
    /// What decides on which shard the operator keeps what.
    placement: Placement,
    operator: Box<dyn Operator<T>>,
    batch_max: usize,
    started: bool,
    /// The operator has nothing left to do and nothing left to send, so it need not be asked.
    settled: bool,
}

/// A lane from a stage of this shard.
struct Here<T> {
    path: usize,
    handover: Handover<T>,
    /// The barrier that it has brought.
    held: Option<Epoch>,
}

/// A lane from another shard, and the records of a batch whose end has not arrived yet.
struct There<T> {
    path: usize,
    ring: RingReceiver<T>,
    inbox: Vec<Record<T>>,
    /// The barrier that it has brought.
    held: Option<Epoch>,
}

impl<T: 'static> Inlet<T> {
    /// An inlet from these lanes into `operator`.
    pub fn new(
        lanes: Vec<Lane<T>>,
        placement: Placement,
        operator: Box<dyn Operator<T>>,
        batch_max: usize,
    ) -> Self {
        let merged = Merged::new(lanes.len());
        let (mut here, mut there) = (Vec::new(), Vec::new());
        for (path, lane) in lanes.into_iter().enumerate() {
            match lane {
                Lane::Here(handover) => here.push(Here { path, handover, held: None }),
                Lane::There(ring) => {
                    let inbox = Vec::with_capacity(batch_max);
                    there.push(There { path, ring, inbox, held: None });
                }
            }
        }
        let (started, settled) = (false, false);
        Self { here, there, merged, placement, operator, batch_max, started, settled }
    }

    /// Bytes that the inboxes of this many lanes from other shards take.
    pub fn bytes(lanes: usize, batch_max: usize) -> usize {
        lanes * batch_max * size_of::<Record<T>>()
    }

    /// Starts once every lane has said something, with the marks that the lanes begin with: one
    /// that has ended already must not hold back the watermark until its turn comes.
    #[cold]
    fn start(&mut self, cx: &mut Context) -> bool {
        self.started = self.here.iter().all(|here| !here.handover.borrow().is_empty())
            && self.there.iter().all(|there| !there.ring.is_empty())
            && self.operator.pressure() != Pressure::Full;
        if self.started {
            self.take_first_marks();
            self.settled = false;
            cx.begin_edge();
            if self.merged.now() != Watermark::START {
                self.operator.on_watermark(self.merged.now(), cx);
            }
            self.operator.on_batch_end(cx);
        }
        self.started
    }

    fn take_first_marks(&mut self) {
        let Self { here, there, merged, .. } = self;
        for There { path, ring, .. } in there {
            while let Some(watermark) = ring.receive_watermark() {
                merged.update(*path, watermark);
            }
        }
        for Here { path, handover, .. } in here {
            let mut outbox = handover.borrow_mut();
            while let Some((0, mark)) = outbox.marks.first()
                && let Some(watermark) = mark.watermark()
            {
                merged.update(*path, watermark);
                outbox.forget_marks(0, 1);
            }
        }
    }

    /// Takes at most two batches from another shard's lane.
    #[inline(never)]
    fn receive(&mut self, lane: usize, cx: &mut Context) -> Work {
        let mut budget = 2 * self.batch_max;
        while budget > 0 && self.operator.pressure() != Pressure::Full {
            let There { path, ring, inbox, held } = &mut self.there[lane];
            let room = budget.min(self.batch_max - inbox.len());
            let (taken, mark) = ring.receive(room, inbox);
            if taken == 0 {
                break;
            }
            budget -= taken;
            let path = *path;
            if let Some(Mark::BatchEnd { ingress, waited_ns, .. }) = mark {
                cx.dequeue(ingress, waited_ns);
            }
            if !inbox.is_empty() && (mark.is_some() || inbox.len() == self.batch_max) {
                self.operator.on_batch(inbox.drain(..), cx);
            }
            if let Some(Mark::Barrier(epoch)) = mark {
                *held = Some(epoch);
                break;
            }
            if let Some(mark) = mark {
                self.on_mark(path, mark, cx);
            }
        }
        Work((2 * self.batch_max - budget) as u64)
    }

    /// Takes what a stage of this shard handed over.
    #[inline(never)]
    fn take(&mut self, lane: usize, cx: &mut Context) -> Work {
        let mut work = Work::NONE;
        loop {
            if self.operator.pressure() == Pressure::Full {
                cx.left_over = true;
                let mut outbox = self.here[lane].handover.borrow_mut();
                outbox.left_over |= !outbox.is_empty();
                break;
            }
            let Here { path, handover, held } = &mut self.here[lane];
            let (path, mut outbox) = (*path, handover.borrow_mut());
            let (records, mark) = match outbox.marks.first() {
                Some((position, mark)) if *position <= self.batch_max => (*position, Some(*mark)),
                _ => (outbox.records.len().min(self.batch_max), None),
            };
            if records == 0 && mark.is_none() {
                break;
            }
            if let Some((ingress, waited_ns)) = outbox.ingress() {
                cx.dequeue(ingress, waited_ns);
            }
            if records > 0 {
                self.operator.on_batch(outbox.records.drain(..records), cx);
            }
            outbox.forget_marks(records, usize::from(mark.is_some()));
            drop(outbox);
            work += Work(records as u64 + 1);
            if let Some(Mark::Barrier(epoch)) = mark {
                *held = Some(epoch);
                break;
            }
            if let Some(mark) = mark {
                self.on_mark(path, mark, cx);
            }
        }
        work
    }

    #[inline]
    fn on_mark(&mut self, path: usize, mark: Mark, cx: &mut Context) {
        let Some(watermark) = mark.watermark() else { return };
        let is_end = match mark {
            Mark::BatchEnd { ingress, waited_ns, .. } => {
                cx.dequeue(ingress, waited_ns);
                true
            }
            Mark::Watermark(_) | Mark::Barrier(_) => false,
        };
        if let Some(merged) = self.merged.update(path, watermark) {
            self.operator.on_watermark(merged, cx);
        }
        if is_end {
            self.operator.on_batch_end(cx);
        }
    }
}

impl<T: 'static> Runnable for Inlet<T> {
    fn drain(&mut self, cx: &mut Context) -> Work {
        let mut work = Work::NONE;
        if !self.settled {
            cx.begin_edge();
            work += self.operator.resume(cx);
            self.settled = self.operator.pressure() == Pressure::Clear;
        }
        if !self.started && !self.start(cx) {
            return work;
        }
        for lane in 0..self.there.len() {
            let There { ring, held, .. } = &self.there[lane];
            if held.is_none() && !ring.is_empty() {
                self.settled = false;
                cx.begin_edge();
                work += self.receive(lane, cx);
            }
        }
        work
    }

    fn poll(&mut self, cx: &mut Context) -> Work {
        let mut work = Work::NONE;
        if !self.started && !self.start(cx) {
            cx.left_over = true;
            return work;
        }
        for lane in 0..self.here.len() {
            let Here { handover, held, .. } = &self.here[lane];
            if held.is_none() && !handover.borrow().is_empty() {
                self.settled = false;
                cx.begin_edge();
                work += self.take(lane, cx);
            }
        }
        work
    }

    fn is_done(&self) -> bool {
        self.merged.now().is_end() && self.operator.pressure() == Pressure::Clear
    }

    /// Lanes that have ended bring barriers too.
    fn is_at(&self, barrier: Epoch) -> bool {
        self.here.iter().all(|here| here.held == Some(barrier))
            && self.there.iter().all(|there| there.held == Some(barrier))
            && self.operator.is_at_rest()
    }

    fn on_checkpoint(&mut self, checkpoint: Checkpoint, cx: &mut Context) {
        if let Checkpoint::Barrier(_) = checkpoint {
            self.here.iter_mut().for_each(|here| here.held = None);
            self.there.iter_mut().for_each(|there| there.held = None);
        }
        (self.settled, cx.left_over) = (false, true);
        self.operator.on_checkpoint(checkpoint, cx);
    }

    fn inspect(&self, each: &mut dyn FnMut(Shown<'_>)) {
        self.operator.inspect(each);
    }

    fn save(&self, out: &mut Saved) {
        // What is behind a barrier comes again after a restore.
        let is_done = |here: &Here<T>| here.held.is_some() || here.handover.borrow().is_empty();
        let is_empty = |there: &There<T>| {
            there.held.is_some() || (there.ring.is_empty() && there.inbox.is_empty())
        };
        let is_at_rest = self.here.iter().all(is_done) && self.there.iter().all(is_empty);
        out.at_rest("inlet", is_at_rest, "has not taken in what arrived");
        out.put("inlet", &self.merged);
        out.put("inlet", &self.started);
        out.put("inlet", &self.settled);
        self.operator.save(out);
    }

    fn load(&mut self, from: &mut Saved) {
        let lanes = self.here.len() + self.there.len();
        from.rescale_merged("inlet", &mut self.merged, lanes);
        // The lanes are others, and begin anew: each says something first.
        from.take_unless_rescaled("inlet", &mut self.started);
        from.take_unless_rescaled("inlet", &mut self.settled);
        from.placed(self.placement);
        self.operator.load(from);
    }

    fn bulk(&mut self, each: &mut EachBulk<'_>) {
        self.operator.bulk(each);
    }
}
