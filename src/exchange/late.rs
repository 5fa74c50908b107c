//! Records that no window takes any more.

use crate::dataflow::{Checkpoint, Context, Edge, Pressure, Record, Saved, Stream, Work};
use crate::exchange::edge;
use crate::exchange::side::Side;
use crate::metrics::Counter;
use crate::time::Watermark;

/// The results of windows that `build` puts behind an edge, with a late output beside them, and the
/// stream of late records.
pub fn with_late<'p, T: 'static, S>(
    stream: Stream<'p, Edge<T>>,
    build: impl FnOnce(Stream<'p, Edge<T>>, Side<T>) -> Stream<'p, S>,
) -> (Stream<'p, S>, Stream<'p, Edge<T>>) {
    let pipeline = stream.pipeline;
    let (port, lane) = edge::handover(pipeline);
    let results = build(stream, Side::new(port));
    let node = pipeline.node("late", &[results.node]);
    (results, edge::behind(pipeline, vec![lane], node))
}

/// What becomes of late records: they are counted, and dropped or sent to a stream of their own.
pub struct LateRecords<T> {
    side: Option<Side<T>>,
    /// Their places in the batch in hand.
    places: Vec<usize>,
}

impl<T> LateRecords<T> {
    /// None yet; without a side output they are dropped. There is room to note a batch of them.
    pub fn new(side: Option<Side<T>>, batch_max: usize) -> Self {
        Self { side, places: Vec::with_capacity(batch_max) }
    }

    /// The record at this place of the batch is late.
    pub fn note(&mut self, place: usize) {
        self.places.push(place);
    }

    /// Whether none of the batch is late.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Does with the late records of the batch what is to be done with them.
    #[cold]
    pub fn put_aside(&mut self, batch: impl Iterator<Item = Record<T>>, cx: &mut Context) {
        self.take_out(batch, |late, _place, record| late.count_and_send(record, cx));
    }

    /// Calls `each` with the late records of the batch and their places; none is noted then.
    #[cold]
    pub fn take_out(
        &mut self,
        batch: impl Iterator<Item = Record<T>>,
        mut each: impl FnMut(&mut Self, usize, Record<T>),
    ) {
        let mut noted = std::mem::take(&mut self.places);
        let mut places = noted.drain(..).peekable();
        for (place, record) in batch.enumerate() {
            if places.next_if_eq(&place).is_some() {
                each(self, place, record);
            }
        }
        drop(places);
        self.places = noted;
    }

    /// A record is late.
    pub fn count_and_send(&mut self, record: Record<T>, cx: &mut Context) {
        cx.count(Counter::Late, 1);
        self.send(record, cx);
    }

    /// A record belongs to no window, whether or not it is late.
    pub fn send(&mut self, record: Record<T>, cx: &mut Context) {
        match &mut self.side {
            Some(side) => side.push(record),
            None => cx.count(Counter::Dropped, 1),
        }
    }

    /// Event time has come this far.
    pub fn on_watermark(&mut self, watermark: Watermark) {
        if let Some(side) = &mut self.side {
            side.on_watermark(watermark);
        }
    }

    /// Publishes what was sent.
    pub fn on_batch_end(&mut self, cx: &mut Context) {
        if let Some(side) = &mut self.side {
            side.on_batch_end(cx);
        }
    }

    /// Sends what did not fit before.
    pub fn resume(&mut self, cx: &mut Context) -> Work {
        self.side.as_mut().map_or(Work::NONE, |side| side.resume(cx))
    }

    /// See [`Side::on_checkpoint`].
    pub fn on_checkpoint(&mut self, checkpoint: Checkpoint, cx: &mut Context) {
        if let Some(side) = &mut self.side {
            side.on_checkpoint(checkpoint, cx);
        }
    }

    /// See [`Side::save`].
    pub fn save(&self, out: &mut Saved) {
        if let Some(side) = &self.side {
            side.save(out);
        }
    }

    /// See [`Side::load`].
    pub fn load(&mut self, from: &mut Saved) {
        if let Some(side) = &mut self.side {
            side.load(from);
        }
    }

    /// How much room there is.
    #[inline]
    pub fn pressure(&self) -> Pressure {
        self.side.as_ref().map_or(Pressure::Clear, Side::pressure)
    }
}
