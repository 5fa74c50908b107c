//! What has to wait until windows have fired.

use crate::dataflow::{Batch, Record};
use crate::time::Watermark;

/// Records that wait until the firing is over, and the watermark behind them.
pub struct Deferred<T> {
    records: Vec<Record<T>>,
    watermark: Option<Watermark>,
    /// An empty buffer to change places with the records.
    spare: Vec<Record<T>>,
}

impl<T> Deferred<T> {
    /// Nothing waits; there is room for a batch.
    pub fn new(batch_max: usize) -> Self {
        let [records, spare] = [(); 2].map(|()| Vec::with_capacity(batch_max));
        Self { records, watermark: None, spare }
    }

    /// Whether records wait, so that what arrives has to wait behind them.
    #[inline(always)]
    pub fn holds_records(&self) -> bool {
        !self.records.is_empty()
    }

    /// Whether nothing waits.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.watermark.is_none()
    }

    /// What is left of a batch waits.
    pub fn defer(&mut self, batch: Batch<'_, T>) {
        self.records.extend(batch);
    }

    /// A watermark waits behind the records.
    pub fn defer_watermark(&mut self, watermark: Watermark) {
        self.watermark = Some(watermark);
    }

    /// The records that wait, in a buffer to give back; others may come to wait meanwhile.
    pub fn take(&mut self) -> Vec<Record<T>> {
        std::mem::swap(&mut self.records, &mut self.spare);
        std::mem::take(&mut self.spare)
    }

    /// Takes the buffer back, and returns the watermark if no records wait in front of it any more.
    pub fn give_back(&mut self, buffer: Vec<Record<T>>) -> Option<Watermark> {
        self.spare = buffer;
        if self.holds_records() { None } else { self.watermark.take() }
    }
}
