//! Windows of one key that slide, a record in and a record out: two of the engine, two baselines.

use std::collections::VecDeque;

use millstream::Timestamp;
use millstream::aggregates::{max, sum};
use millstream::state::Chunks;
use millstream::window::{Aggregate, Entry, Fifo, Nodes, Tree};

/// How many places a disordered record is late, at most.
pub const DISORDER: i64 = 64;

/// A window of one key that whoever holds it slides.
pub trait OneKey {
    /// What it keeps of records.
    type Acc;
    /// A record comes.
    fn push(&mut self, at: Timestamp, value: i64);
    /// The oldest record goes.
    fn pop(&mut self);
    /// The aggregate of all that are there.
    fn total(&self) -> Self::Acc;
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
    /// Empty.
    pub fn new(aggregate: A) -> Self {
        Self { aggregate, fifo: Fifo::default(), chunks: Chunks::new() }
    }
}

impl<A: Aggregate<i64>> OneKey for Queue<A> {
    type Acc = A::Acc;

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
    /// Empty.
    pub fn new(aggregate: A) -> Self {
        Self { aggregate, tree: Tree::default(), nodes: Nodes::new() }
    }
}

impl<A: Aggregate<i64>> OneKey for Sorted<A> {
    type Acc = A::Acc;

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
    /// Empty.
    pub fn new(aggregate: A) -> Self {
        Self { aggregate, front: Vec::new(), back: Vec::new(), sum: A::Acc::default() }
    }
}

impl<A: Aggregate<i64>> OneKey for TwoStacks<A> {
    type Acc = A::Acc;

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
    /// Empty.
    pub fn new(aggregate: A) -> Self {
        Self { aggregate, records: VecDeque::new() }
    }
}

impl<A: Aggregate<i64>> OneKey for Recompute<A> {
    type Acc = A::Acc;

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

/// A window that records slide through.
pub struct Sliding<W> {
    window: W,
    records: Records,
}

impl<W: OneKey> Sliding<W> {
    /// Holding so many records, each as many places late as it may be at most.
    pub fn new(length: i64, disorder: i64, window: W) -> Self {
        let mut sliding = Self { window, records: Records::new(disorder) };
        (0..length).for_each(|_| sliding.records.push_into(&mut sliding.window));
        sliding
    }

    /// One record comes, the oldest goes, and the aggregate of all that are left is asked for.
    pub fn slide(&mut self) -> W::Acc {
        self.records.push_into(&mut self.window);
        self.window.pop();
        self.window.total()
    }
}

/// The engine's window in order of arrival, with an aggregate that can deduct.
pub fn fifo_sum(length: i64) -> Sliding<impl OneKey> {
    Sliding::new(length, 0, Queue::new(sum(|n: &i64| *n)))
}

/// The same with one that cannot.
pub fn fifo_max(length: i64) -> Sliding<impl OneKey> {
    Sliding::new(length, 0, Queue::new(max(|n: &i64| *n)))
}

/// The engine's window in order of time, where records come in that order.
pub fn tree_in_order(length: i64) -> Sliding<impl OneKey> {
    Sliding::new(length, 0, Sorted::new(max(|n: &i64| *n)))
}

/// The same where they do not.
pub fn tree_disordered(length: i64) -> Sliding<impl OneKey> {
    Sliding::new(length, DISORDER, Sorted::new(max(|n: &i64| *n)))
}

/// The first baseline.
pub fn two_stacks(length: i64) -> Sliding<impl OneKey> {
    Sliding::new(length, 0, TwoStacks::new(max(|n: &i64| *n)))
}

/// The second.
pub fn recompute(length: i64) -> Sliding<impl OneKey> {
    Sliding::new(length, 0, Recompute::new(max(|n: &i64| *n)))
}

/// Records one nanosecond apart, whose values have no pattern.
pub struct Records {
    next: i64,
    disorder: i64,
    random: fastrand::Rng,
}

impl Records {
    /// Each at most so many places late.
    pub fn new(disorder: i64) -> Self {
        Self { next: 0, disorder, random: fastrand::Rng::with_seed(7) }
    }

    /// One more.
    pub fn push_into(&mut self, window: &mut impl OneKey) {
        self.next += 1;
        let at = Timestamp(self.next - self.random.i64(0..=self.disorder));
        window.push(at, self.random.i64(0..1_000_000));
    }
}
