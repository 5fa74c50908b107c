//! The ring between two shards. This file and `pipe.rs` are the only ones that name rtrb.

use std::sync::Arc;
use std::vec::Drain;

use rtrb::chunks::ChunkError;
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
                (chunk.fill_from_iter(Slots::of(outbox, records, marks)), records, marks)
            }
            Err(ChunkError::TooFewSlots(0)) => return 0,
            Err(ChunkError::TooFewSlots(room)) => {
                let (records, marks) = split(outbox, room);
                let Ok(chunk) = self.producer.write_chunk_uninit(room) else { return 0 };
                (chunk.fill_from_iter(Slots::of(outbox, records, marks)), records, marks)
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

/// The first records and marks of an outbox, interleaved.
struct Slots<'a, T> {
    records: Drain<'a, Record<T>>,
    marks: &'a [(usize, Mark)],
    taken: usize,
}

impl<'a, T> Slots<'a, T> {
    fn of(outbox: &'a mut Outbox<T>, records: usize, marks: usize) -> Self {
        let Outbox { records: all, marks: positions, .. } = outbox;
        Self { records: all.drain(..records), marks: &positions[..marks], taken: 0 }
    }
}

impl<T> Iterator for Slots<'_, T> {
    type Item = Slot<T>;

    #[inline(always)]
    fn next(&mut self) -> Option<Slot<T>> {
        if let Some(((position, mark), rest)) = self.marks.split_first()
            && *position == self.taken
        {
            self.marks = rest;
            return Some(Slot::Mark(*mark));
        }
        self.taken += 1;
        self.records.next().map(Slot::Record)
    }
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
