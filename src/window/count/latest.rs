//! Counting with overlap: the latest records of each key are held.

use serde::{Deserialize, Serialize};

use crate::dataflow::Record;
use crate::state::{Chunks, Stored};
use crate::time::Timestamp;
use crate::window::count::operator::{Counting, between};
use crate::window::{Aggregate, Entry, Fifo, Span};

/// The latest so many records, every so many.
#[derive(Serialize, Deserialize)]
#[serde(bound = "Acc: Stored")]
pub struct Latest<Acc: Copy> {
    size: u32,
    every: u32,
    chunks: Chunks<Entry<Acc, Timestamp>>,
}

/// The latest records of a key.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Held<Acc> {
    /// Records since the last firing.
    since: u32,
    last: Timestamp,
    fifo: Fifo<Acc>,
}

impl<Acc> Default for Held<Acc>
where
    Fifo<Acc>: Default,
{
    fn default() -> Self {
        Self { since: 0, last: Timestamp::MIN, fifo: Fifo::default() }
    }
}

impl<Acc: Copy> Latest<Acc> {
    /// The latest `size` records, every `every`.
    pub fn new(size: u32, every: u32) -> Self {
        Self { size, every, chunks: Chunks::new() }
    }
}

impl<T, A: Aggregate<T>> Counting<T, A> for Latest<A::Acc> {
    type State = Held<A::Acc>;

    #[inline]
    fn take(
        &mut self,
        aggregate: &A,
        held: &mut Self::State,
        record: &Record<T>,
    ) -> Option<(Span, A::Out)> {
        let mut acc = A::Acc::default();
        aggregate.accumulate(&mut acc, record.at, &record.value);
        if held.fifo.len() == self.size {
            held.fifo.pop(&mut self.chunks, aggregate);
        }
        held.fifo.push(&mut self.chunks, aggregate, acc, record.at);
        held.last = record.at;
        held.since += 1;
        if held.since < self.every {
            return None;
        }
        held.since = 0;
        self.result(aggregate, held)
    }

    fn rest(&self, aggregate: &A, held: &Self::State) -> Option<(Timestamp, Span, A::Out)> {
        if held.since == 0 {
            return None;
        }
        self.result(aggregate, held).map(|(span, value)| (held.last, span, value))
    }

    #[inline]
    fn is_spent(_held: &Self::State) -> bool {
        false
    }

    fn held(&self) -> usize {
        self.chunks.len()
    }

    fn take_over(&mut self, other: &Self, held: &mut Self::State) {
        held.fifo = held.fifo.in_other(&other.chunks, &mut self.chunks);
    }
}

impl<Acc: Copy> Latest<Acc> {
    #[inline]
    fn result<T, A: Aggregate<T, Acc = Acc>>(
        &self,
        aggregate: &A,
        held: &Held<Acc>,
    ) -> Option<(Span, A::Out)>
    where
        Acc: crate::state::State,
    {
        let first = held.fifo.front(&self.chunks)?;
        let total = held.fifo.total(&self.chunks, aggregate);
        Some((between(first, held.last), aggregate.finish(&total)))
    }
}
