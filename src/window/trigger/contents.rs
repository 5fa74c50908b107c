//! What a window keeps of its records, and what it makes of them.

use crate::dataflow::{Record, Saved, Shown};
use crate::state::{Key, State};
use crate::window::{Aggregate, Span};

/// What a window of a key keeps, and what it yields.
pub trait Contents<K, T>: 'static {
    /// What is kept beside the key.
    type Held: State;
    /// What a window yields.
    type Out: 'static;

    /// Adds a record.
    fn add(&mut self, held: &mut Self::Held, record: &Record<T>);

    /// What the records so far come to; at least one.
    fn result(&mut self, key: &K, span: Span, held: &mut Self::Held) -> Self::Out;

    /// Forgets all records.
    fn clear(&mut self, held: &mut Self::Held);

    /// Shows what is kept of a window to somebody who does not take part.
    fn show(&self, key: &K, span: Span, held: &Self::Held, each: &mut dyn FnMut(Shown<'_>))
    where
        K: Key;

    /// Records that are kept one by one, over all windows.
    fn kept(&self) -> usize {
        0
    }

    /// Puts into a snapshot what is kept beside the windows themselves; nothing unless overridden.
    fn save(&self, _out: &mut Saved) {}

    /// Takes what [`save`](Self::save) put in.
    fn load(&mut self, _from: &mut Saved) {}

    /// Once that was taken from another number of shards: takes over what is kept of a window, from
    /// where it was on that shard.
    fn take_over(&mut self, _held: &mut Self::Held, _shard: usize) {}

    /// Nothing more is taken over.
    fn has_moved(&mut self) {}
}

/// Keeps an accumulator and no records.
pub struct Aggregated<A>(pub A);

impl<K: 'static, T: 'static, A: Aggregate<T>> Contents<K, T> for Aggregated<A> {
    type Held = A::Acc;
    type Out = A::Out;

    #[inline(always)]
    fn add(&mut self, acc: &mut A::Acc, record: &Record<T>) {
        self.0.accumulate(acc, record.at, &record.value);
    }

    fn result(&mut self, _key: &K, _span: Span, acc: &mut A::Acc) -> A::Out {
        self.0.finish(acc)
    }

    fn show(&self, key: &K, span: Span, acc: &A::Acc, each: &mut dyn FnMut(Shown<'_>))
    where
        K: Key,
    {
        each(Shown::in_slice("window", (span.start, span.end), key, &self.0.finish(acc)));
    }

    fn clear(&mut self, acc: &mut A::Acc) {
        *acc = A::Acc::default();
    }
}
