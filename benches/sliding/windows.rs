//! The windows of one key that are compared: the engine's two, and two baselines.

use std::collections::VecDeque;

use millstream::Timestamp;
use millstream::state::Chunks;
use millstream::window::{Aggregate, Entry, Fifo, Nodes, Tree};

/// A window of one key that whoever holds it slides.
pub trait OneKey<A: Aggregate<i64>> {
    /// A record comes.
    fn push(&mut self, at: Timestamp, value: i64);
    /// The oldest record goes.
    fn pop(&mut self);
    /// The aggregate of all that are there.
    fn total(&self) -> A::Acc;
}

/// The accumulator of one record.
fn alone<A: Aggregate<i64>>(aggregate: &A, at: Timestamp, value: i64) -> A::Acc {
    let mut acc = A::Acc::default();
    aggregate.accumulate(&mut acc, at, &value);
    acc
}

/// The engine's window for records in order of arrival.
pub struct Queue<A: Aggregate<i64>> {
    aggregate: A,
    fifo: Fifo<A::Acc>,
    chunks: Chunks<Entry<A::Acc, ()>>,
}

impl<A: Aggregate<i64>> Queue<A> {
    pub fn new(aggregate: A) -> Self {
        Self { aggregate, fifo: Fifo::default(), chunks: Chunks::new() }
    }
}

impl<A: Aggregate<i64>> OneKey<A> for Queue<A> {
    fn push(&mut self, at: Timestamp, value: i64) {
        let acc = alone(&self.aggregate, at, value);
        self.fifo.push(&mut self.chunks, &self.aggregate, acc, ());
    }

    fn pop(&mut self) {
        self.fifo.pop(&mut self.chunks, &self.aggregate);
    }

    fn total(&self) -> A::Acc {
        self.fifo.total(&self.chunks, &self.aggregate)
    }
}

/// The engine's window for records in order of time.
pub struct Sorted<A: Aggregate<i64>> {
    aggregate: A,
    tree: Tree,
    nodes: Nodes<i64, A::Acc>,
}

impl<A: Aggregate<i64>> Sorted<A> {
    pub fn new(aggregate: A) -> Self {
        Self { aggregate, tree: Tree::default(), nodes: Nodes::new() }
    }
}

impl<A: Aggregate<i64>> OneKey<A> for Sorted<A> {
    fn push(&mut self, at: Timestamp, value: i64) {
        self.tree.insert(&mut self.nodes, &self.aggregate, at, value);
    }

    fn pop(&mut self) {
        self.tree.pop(&mut self.nodes, &self.aggregate);
    }

    fn total(&self) -> A::Acc {
        self.tree.total(&self.nodes, &self.aggregate)
    }
}

/// The usual way for what cannot deduct: a queue made of two stacks. What is pushed waits in the
/// back; when the front is empty the whole back is turned over into it.
pub struct TwoStacks<A: Aggregate<i64>> {
    aggregate: A,
    /// Each the aggregate of itself and all that are younger here; the oldest is last.
    front: Vec<A::Acc>,
    /// As they came.
    back: Vec<A::Acc>,
    /// The aggregate of the back.
    sum: A::Acc,
}

impl<A: Aggregate<i64>> TwoStacks<A> {
    pub fn new(aggregate: A) -> Self {
        Self { aggregate, front: Vec::new(), back: Vec::new(), sum: A::Acc::default() }
    }
}

impl<A: Aggregate<i64>> OneKey<A> for TwoStacks<A> {
    fn push(&mut self, at: Timestamp, value: i64) {
        let acc = alone(&self.aggregate, at, value);
        self.aggregate.combine(&mut self.sum, &acc);
        self.back.push(acc);
    }

    fn pop(&mut self) {
        if self.front.is_empty() {
            let mut younger = A::Acc::default();
            while let Some(mut acc) = self.back.pop() {
                self.aggregate.combine(&mut acc, &younger);
                self.front.push(acc);
                younger = acc;
            }
            self.sum = A::Acc::default();
        }
        self.front.pop();
    }

    fn total(&self) -> A::Acc {
        let mut total = self.front.last().copied().unwrap_or_default();
        self.aggregate.combine(&mut total, &self.sum);
        total
    }
}

/// The simplest way: keeps the records and goes over them for each result.
pub struct Recompute<A> {
    aggregate: A,
    records: VecDeque<(Timestamp, i64)>,
}

impl<A> Recompute<A> {
    pub fn new(aggregate: A) -> Self {
        Self { aggregate, records: VecDeque::new() }
    }
}

impl<A: Aggregate<i64>> OneKey<A> for Recompute<A> {
    fn push(&mut self, at: Timestamp, value: i64) {
        self.records.push_back((at, value));
    }

    fn pop(&mut self) {
        self.records.pop_front();
    }

    fn total(&self) -> A::Acc {
        let mut total = A::Acc::default();
        for (at, value) in &self.records {
            self.aggregate.combine(&mut total, &alone(&self.aggregate, *at, *value));
        }
        total
    }
}
