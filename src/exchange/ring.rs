//! The ring between two shards. This file and `pipe.rs` are the only ones that name rtrb.

use std::sync::Arc;

use rtrb::chunks::{ChunkError, WriteChunkUninit};
use rtrb::{Consumer, Producer, RingBuffer};

use crate::dataflow::Record;
use crate::exchange::outbox::{Mark, Outbox};
use crate::memory::Bell;
use crate::time::Watermark;

/// What a slot of a ring holds: control travels with the records, in order.
enum Slot<T> {
    Record(Record<T>),
    Mark(Mark),
}

/// Both ends of a ring with room for `capacity` records or marks; `bell` is the receiving shard's.
pub fn ring<T>(capacity: usize, bell: Arc<Bell>) -> (RingSender<T>, RingReceiver<T>) {
    let (producer, consumer) = RingBuffer::new(capacity);
    (RingSender { producer, bell }, RingReceiver { consumer })
}

/// Bytes that a ring of this capacity takes.
pub fn ring_bytes<T>(capacity: usize) -> usize {
    capacity * size_of::<Slot<T>>()
}

/// The sending end.
pub struct RingSender<T> {
    producer: Producer<Slot<T>>,
    bell: Arc<Bell>,
}

impl<T> RingSender<T> {
    /// How many slots hold what the other shard has not taken yet.
    pub(super) fn taken_up(&self) -> usize {
        self.producer.buffer().capacity() - self.producer.slots()
    }

    /// Moves what fits from the outbox into the ring and publishes it at once; returns how many
    /// slots that took.
    #[inline]
    pub(super) fn send(&mut self, outbox: &mut Outbox<T>) -> usize {
        let waiting = outbox.records.len() + outbox.marks.len();
        if waiting == 0 {
            return 0;
        }
        let (sent, records, marks) = match self.producer.write_chunk_uninit(waiting) {
            Ok(chunk) => {
                let (records, marks) = (outbox.records.len(), outbox.marks.len());
                (fill(chunk, outbox, records, marks), records, marks)
            }
            Err(ChunkError::TooFewSlots(0)) => return 0,
            Err(ChunkError::TooFewSlots(room)) => {
                let (records, marks) = split(outbox, room);
                let Ok(chunk) = self.producer.write_chunk_uninit(room) else { return 0 };
                (fill(chunk, outbox, records, marks), records, marks)
            }
        };
        debug_assert_eq!(sent, records + marks);
        outbox.forget_marks(records, marks);
        self.bell.ring();
        sent
    }
}

/// How many records and marks the first `slots` slots of an outbox hold.
fn split<T>(outbox: &Outbox<T>, slots: usize) -> (usize, usize) {
    let in_front = |(index, (position, _)): (usize, &(usize, Mark))| position + index < slots;
    let marks = outbox.marks.iter().enumerate().take_while(|mark| in_front(*mark)).count();
    (slots - marks, marks)
}

/// Moves the first records and marks of an outbox, interleaved, into as many slots, and publishes
/// them; returns how many slots that took.
#[inline]
fn fill<T>(
    mut chunk: WriteChunkUninit<'_, Slot<T>>,
    outbox: &mut Outbox<T>,
    records: usize,
    marks: usize,
) -> usize {
    let mut marks = outbox.marks[..marks].iter();
    let mut all = outbox.records.drain(..records);
    let (mut mark, mut filled) = (marks.next(), 0);
    let (one, two) = chunk.as_mut_slices();
    for mut slots in [one, two] {
        while !slots.is_empty() && (mark.is_some() || all.len() > 0) {
            // Records up to the next mark, in a loop that asks for nothing but the end of it.
            let before = mark.map_or(records, |(position, _)| *position) + all.len() - records;
            let count = before.min(slots.len()).min(all.len());
            let (some, rest) = std::mem::take(&mut slots).split_at_mut(count);
            some.iter_mut().zip(all.by_ref()).for_each(|(slot, record)| {
                slot.write(Slot::Record(record));
            });
            filled += count;
            slots = match (mark, rest) {
                (Some((_, next)), [slot, rest @ ..]) => {
                    slot.write(Slot::Mark(*next));
                    (mark, filled) = (marks.next(), filled + 1);
                    rest
                }
                (_, rest) => rest,
            };
        }
    }
    drop(all);
    // SAFETY: the first so many slots have been written, in their order.
    unsafe { chunk.commit(filled) };
    filled
}

/// The receiving end.
pub struct RingReceiver<T> {
    consumer: Consumer<Slot<T>>,
}

impl<T> RingReceiver<T> {
    /// Whether nothing has arrived.
    #[inline(always)]
    pub fn is_empty(&self) -> bool {
        self.consumer.is_empty()
    }

    /// Takes what comes next, if that is a mark that says how far event time has come.
    pub(super) fn receive_watermark(&mut self) -> Option<Watermark> {
        let Ok(Slot::Mark(mark)) = self.consumer.peek() else { return None };
        let watermark = mark.watermark()?;
        self.consumer.pop().is_ok().then_some(watermark)
    }

    /// Moves records into `inbox`, up to and without the next mark, which it returns. Takes at most
    /// `budget` slots and returns how many it took; without a mark, either the budget or the ring
    /// ran out.
    #[inline]
    pub(super) fn receive(
        &mut self,
        budget: usize,
        inbox: &mut Vec<Record<T>>,
    ) -> (usize, Option<Mark>) {
        let waiting = self.consumer.slots().min(budget);
        let Ok(chunk) = self.consumer.read_chunk(waiting) else { return (0, None) };
        let mut taken = 0;
        for slot in chunk {
            taken += 1;
            match slot {
                Slot::Record(record) => inbox.push(record),
                Slot::Mark(mark) => return (taken, Some(mark)),
            }
        }
        (taken, None)
    }
}
