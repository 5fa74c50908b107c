//! What comes in on one of two inputs.

use std::rc::Rc;

use crate::dataflow::{Batch, Context, KeyColumn};
use crate::exchange::{LateRecords, Side};
use crate::state::Key;
use crate::time::{Timestamp, Watermark};

/// One input: how it is keyed, and what becomes of its late records.
pub struct Arrivals<K, T> {
    keys: Rc<dyn KeyColumn<K, T>>,
    /// The keys of the batch in hand.
    column: Vec<K>,
    pub late: LateRecords<T>,
    /// Nothing before this is taken any more.
    pub reached: Timestamp,
}

impl<K: Key, T: Copy> Arrivals<K, T> {
    /// Nothing has come.
    pub fn new(keys: Rc<dyn KeyColumn<K, T>>, late: Option<Side<T>>, batch_max: usize) -> Self {
        let late = LateRecords::new(late, batch_max);
        Self { keys, column: Vec::with_capacity(batch_max), late, reached: Timestamp::MIN }
    }

    /// Lets the late output know how far event time has come.
    pub fn tell(&mut self, watermark: Watermark, cx: &mut Context) {
        self.late.on_watermark(watermark);
        self.late.on_batch_end(cx);
    }

    /// Calls `each` with the records of a batch that are not late.
    #[inline]
    pub fn take(
        &mut self,
        batch: Batch<'_, T>,
        cx: &mut Context,
        mut each: impl FnMut(Timestamp, (K, T)),
    ) {
        self.keys.extract(batch.as_slice(), &mut self.column);
        for (&key, record) in self.column.iter().zip(batch) {
            if record.at < self.reached {
                self.late.count_and_send(record, cx);
            } else {
                each(record.at, (key, record.value));
            }
        }
    }
}
