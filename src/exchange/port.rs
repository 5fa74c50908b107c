//! The sending side of an edge: one port to each shard that records may go to.

use std::cell::RefCell;
use std::rc::Rc;

use crate::dataflow::{Context, Operator, Pressure, Record, Saved, Work};
use crate::exchange::outbox::{Mark, Outbox};
use crate::exchange::partition::{Route, To};
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
        Self { outbox: Outbox::new(batch_max), batch_max, told: None, ended_at: 0, to }
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
        if self.outbox.records.len() > self.ended_at || self.told != Some(watermark) {
            self.told = Some(watermark);
            self.outbox.mark(Mark::BatchEnd { ingress: cx.ingress, watermark });
        }
        self.send(cx);
    }

    /// Sends what fits.
    #[inline]
    pub fn send(&mut self, cx: &mut Context) -> Work {
        if self.outbox.is_empty() {
            return Work::NONE;
        }
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

    /// Puts into a snapshot what the other side was told; nothing may wait to be sent.
    pub fn save(&self, out: &mut Saved) {
        out.at_rest("port", self.outbox.is_empty(), "has not sent all it was given");
        out.put("port", self.told);
    }

    /// Takes it from a snapshot.
    pub fn load(&mut self, from: &mut Saved) {
        from.take("port", &mut self.told);
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
    std::mem::swap(outbox, &mut there);
    there.records.len() + there.marks.len()
}

/// Ends a stage in an edge: each record goes to the port that `route` chooses, watermarks go to
/// all.
pub struct Exchange<T, R> {
    ports: Vec<Port<T>>,
    /// The port to this shard.
    here: usize,
    route: R,
    watermark: Watermark,
}

impl<T, R> Exchange<T, R> {
    /// An exchange over these ports, one per shard, of which `here` is this shard's own.
    pub fn new(ports: Vec<Port<T>>, here: usize, route: R) -> Self {
        Self { ports, here, route, watermark: Watermark::START }
    }

    /// An exchange with one port, to a stage of the same shard.
    pub fn local(port: Port<T>) -> Exchange<T, To> {
        Exchange::new(vec![port], 0, To(0))
    }
}

impl<T: 'static, R: Route<T>> Operator<T> for Exchange<T, R> {
    #[inline(always)]
    fn on_record(&mut self, record: Record<T>, _cx: &mut Context) {
        // On a shard that is alone a record is pushed without asking where it goes. Among several
        // no branch may depend on the answer, which nobody can predict: it is an index.
        if let [port] = &mut self.ports[..] {
            port.push(record, self.watermark);
        } else {
            let shard = self.route.shard(&record.value);
            self.ports[shard].push(record, self.watermark);
        }
    }

    #[inline(always)]
    fn on_watermark(&mut self, watermark: Watermark, _cx: &mut Context) {
        self.watermark = watermark;
    }

    #[inline]
    fn on_batch_end(&mut self, cx: &mut Context) {
        // Other shards first: what stays here is not looked at before this step goes on.
        let count = self.ports.len();
        for port in (self.here + 1..count).chain(0..=self.here) {
            self.ports[port].end_batch(self.watermark, cx);
        }
    }

    fn resume(&mut self, cx: &mut Context) -> Work {
        let mut work = Work::NONE;
        for port in &mut self.ports {
            work += port.send(cx);
        }
        work
    }

    #[inline]
    fn pressure(&self) -> Pressure {
        self.ports.iter().map(Port::pressure).max().unwrap_or(Pressure::Clear)
    }

    fn save(&self, out: &mut Saved) {
        out.put("exchange", self.watermark);
        self.ports.iter().for_each(|port| port.save(out));
    }

    fn load(&mut self, from: &mut Saved) {
        from.take("exchange", &mut self.watermark);
        self.ports.iter_mut().for_each(|port| port.load(from));
    }
}
