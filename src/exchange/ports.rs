//! The sending side of an edge: one port to each shard that records may go to.

use crate::dataflow::{Checkpoint, Context, Operator, Pressure, Record, Saved, Work};
use crate::exchange::partition::{Route, To};
use crate::exchange::port::Port;
use crate::time::Watermark;

/// The ports of an edge, one per shard. Whatever goes through which of them, the marks are the same
/// in all: watermarks, and the ends of batches.
pub struct Ports<T> {
    ports: Vec<Port<T>>,
    /// The port to this shard.
    here: usize,
    watermark: Watermark,
}

impl<T> Ports<T> {
    /// These ports, of which `here` is this shard's own.
    pub fn new(ports: Vec<Port<T>>, here: usize) -> Self {
        Self { ports, here, watermark: Watermark::START }
    }

    /// How many shards there are.
    #[inline(always)]
    pub fn shards(&self) -> usize {
        self.ports.len()
    }

    /// This shard.
    #[inline(always)]
    pub fn here(&self) -> usize {
        self.here
    }

    /// Sends a record to `shard`, which must be one of them.
    #[inline(always)]
    pub fn push(&mut self, shard: usize, record: Record<T>) {
        self.ports[shard].push(record, self.watermark);
    }

    /// Sends a record to a shard that is alone; gives it back if there are several.
    ///
    /// Nobody need be asked where it goes then. Among several shards no branch may depend on the
    /// answer, which nobody can predict: it is an index.
    #[inline(always)]
    pub fn push_if_alone(&mut self, record: Record<T>) -> Option<Record<T>> {
        if let [port] = &mut self.ports[..] {
            port.push(record, self.watermark);
            return None;
        }
        Some(record)
    }

    /// The port to a shard.
    #[inline(always)]
    pub fn to(&mut self, shard: usize) -> &mut Port<T> {
        &mut self.ports[shard]
    }

    #[inline]
    fn end_batch(&mut self, cx: &mut Context) {
        // Other shards first: what stays here is not looked at before this step goes on.
        let count = self.ports.len();
        for port in (self.here + 1..count).chain(0..=self.here) {
            self.ports[port].end_batch(self.watermark, cx);
        }
    }

    fn send(&mut self, cx: &mut Context) -> Work {
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
        out.put("exchange", &self.watermark);
        self.ports.iter().for_each(|port| port.save(out));
    }

    fn load(&mut self, from: &mut Saved) {
        from.rescale_watermark("exchange", &mut self.watermark);
        // As many as there were shards.
        match from.is_rescaled() {
            true => from.skip_rest_of("port"),
            false => self.ports.iter_mut().for_each(|port| port.load(from)),
        }
    }
}

/// Ends a stage in an edge: `route` puts each record into ports, watermarks go to all.
pub struct Exchange<T, R> {
    ports: Ports<T>,
    route: R,
}

impl<T, R> Exchange<T, R> {
    /// An exchange over these ports.
    pub fn new(ports: Ports<T>, route: R) -> Self {
        Self { ports, route }
    }

    /// An exchange with one port, to a stage of the same shard.
    pub fn local(port: Port<T>) -> Exchange<T, To> {
        Exchange::new(Ports::new(vec![port], 0), To(0))
    }
}

impl<T: 'static, R: Route<T>> Operator<T> for Exchange<T, R> {
    #[inline(always)]
    fn on_record(&mut self, record: Record<T>, cx: &mut Context) {
        self.route.send(record, &mut self.ports, cx);
    }

    #[inline(always)]
    fn on_watermark(&mut self, watermark: Watermark, _cx: &mut Context) {
        self.ports.watermark = watermark;
    }

    #[inline]
    fn on_batch_end(&mut self, cx: &mut Context) {
        self.ports.end_batch(cx);
        self.route.on_batch_end();
    }

    fn resume(&mut self, cx: &mut Context) -> Work {
        self.ports.send(cx)
    }

    #[inline]
    fn pressure(&self) -> Pressure {
        self.ports.pressure()
    }

    fn on_checkpoint(&mut self, checkpoint: Checkpoint, cx: &mut Context) {
        self.ports.ports.iter_mut().for_each(|port| port.on_checkpoint(checkpoint, cx));
    }

    fn save(&self, out: &mut Saved) {
        self.ports.save(out);
        self.route.save(out);
    }

    fn load(&mut self, from: &mut Saved) {
        self.ports.load(from);
        self.route.load(from);
    }
}
