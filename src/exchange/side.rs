//! An output beside the main one.

use crate::dataflow::{Checkpoint, Context, Pressure, Record, Saved, Work};
use crate::exchange::port::Port;
use crate::time::Watermark;

/// Passes on to a side output and to what follows, in these two fields, everything but records.
macro_rules! pass_on_beside {
    ($side:ident, $next:ident) => {
        #[inline(always)]
        fn on_watermark(
            &mut self,
            watermark: $crate::time::Watermark,
            cx: &mut $crate::dataflow::Context,
        ) {
            self.$side.on_watermark(watermark);
            self.$next.on_watermark(watermark, cx);
        }

        #[inline]
        fn on_batch_end(&mut self, cx: &mut $crate::dataflow::Context) {
            self.$side.on_batch_end(cx);
            self.$next.on_batch_end(cx);
        }

        fn resume(&mut self, cx: &mut $crate::dataflow::Context) -> $crate::dataflow::Work {
            let mut work = self.$side.resume(cx);
            work += self.$next.resume(cx);
            work
        }

        #[inline]
        fn pressure(&self) -> $crate::dataflow::Pressure {
            self.$side.pressure().max(self.$next.pressure())
        }

        fn on_checkpoint(
            &mut self,
            checkpoint: $crate::dataflow::Checkpoint,
            cx: &mut $crate::dataflow::Context,
        ) {
            self.$side.on_checkpoint(checkpoint, cx);
            self.$next.on_checkpoint(checkpoint, cx);
        }

        fn load(&mut self, from: &mut $crate::dataflow::Saved) {
            self.$side.load(from);
            self.$next.load(from);
        }

        $crate::dataflow::pass_on!($next: inspect, bulk);
    };
}
pub(crate) use pass_on_beside;

/// A port beside the main output, which gets the same watermarks.
pub struct Side<V> {
    port: Port<V>,
    watermark: Watermark,
}

impl<V> Side<V> {
    /// Nothing has been sent to it.
    pub fn new(port: Port<V>) -> Self {
        Self { port, watermark: Watermark::START }
    }

    /// Sends a record to the side.
    #[inline]
    pub fn push(&mut self, record: Record<V>) {
        self.port.push(record, self.watermark);
    }

    /// Event time has come this far.
    #[inline(always)]
    pub fn on_watermark(&mut self, watermark: Watermark) {
        self.watermark = watermark;
    }

    /// Publishes what was sent.
    #[inline]
    pub fn on_batch_end(&mut self, cx: &mut Context) {
        self.port.end_batch(self.watermark, cx);
    }

    /// Sends what did not fit before.
    pub fn resume(&mut self, cx: &mut Context) -> Work {
        self.port.send(cx)
    }

    /// See [`Operator::on_checkpoint`](crate::dataflow::Operator::on_checkpoint).
    pub fn on_checkpoint(&mut self, checkpoint: Checkpoint, cx: &mut Context) {
        self.port.on_checkpoint(checkpoint, cx);
    }

    /// Puts into a snapshot what the side was told; nothing may wait to be sent.
    pub fn save(&self, out: &mut Saved) {
        out.put("side", &self.watermark);
        self.port.save(out);
    }

    /// Takes it from a snapshot.
    pub fn load(&mut self, from: &mut Saved) {
        from.rescale_watermark("side", &mut self.watermark);
        self.port.load(from);
    }

    /// How much room there is.
    #[inline]
    pub fn pressure(&self) -> Pressure {
        self.port.pressure()
    }
}
