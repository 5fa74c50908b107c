//! Aggregating on each shard before records cross to the owner of their key.

use std::marker::PhantomData;
use std::rc::Rc;
use std::time::Duration;

use crate::dataflow::{Keyed, Stage, Stream};
use crate::state::Key;
use crate::time::Timestamp;
use crate::window::cuts::EachSlice;
use crate::window::operator::Late;
use crate::window::windowed::{Cut, windowed};
use crate::window::{Aggregate, Cuts, Slices, Windowed, WindowedStream};

/// A window whose records are aggregated on each shard before they cross to the key's owner.
#[must_use = "a window does nothing until an aggregate and a sink follow"]
pub struct PrecombinedStream<'p, K, T>(pub(super) WindowedStream<'p, K, T>);

impl<'p, K: Key, T: 'static> PrecombinedStream<'p, K, T> {
    /// Reduces each window of each key to one value: slice by slice on every shard, then over all
    /// shards.
    ///
    /// It is made of the parts it looks like: a tumbling window over each slice that does not
    /// finish its accumulators, an exchange by key, and a window that aggregates accumulators. A
    /// record that comes behind its shard's slice crosses as a part of its own, so that only the
    /// owner decides what is late. A record in a gap between windows crosses nowhere.
    pub fn aggregate<A: Aggregate<T>>(
        self,
        aggregate: A,
    ) -> Stream<'p, impl Stage<Out = Windowed<K, A::Out>> + use<'p, K, T, A>> {
        let WindowedStream { keyed: Keyed { upstream, keys, .. }, cut } = self.0;
        let cuts = cut.cuts.as_ref().map_or(Rc::new(Slices::SECOND) as Rc<dyn Cuts>, Rc::clone);
        let by_slice = Cut { cuts: Ok(Rc::new(EachSlice(cuts))), lateness: Duration::ZERO };
        let aggregate = Rc::new(aggregate);
        let unfinished = Unfinished(aggregate.clone(), PhantomData);
        let parts = windowed(upstream.local(), keys, unfinished, by_slice, Late::Alone);
        let parts = parts.map(|part| (part.key, part.value));
        let Keyed { upstream, keys, .. } = parts.key_by(|part| part.0);
        let combining = Combining(aggregate, PhantomData);
        windowed(upstream.by_key(), keys, combining, cut, Late::Dropped)
    }
}

/// Aggregates but does not finish: yields the accumulator.
struct Unfinished<A, T>(Rc<A>, PhantomData<fn(T)>);

impl<A: Aggregate<T>, T: 'static> Aggregate<T> for Unfinished<A, T> {
    type Acc = A::Acc;
    type Out = A::Acc;

    #[inline(always)]
    fn accumulate(&self, acc: &mut A::Acc, at: Timestamp, value: &T) {
        self.0.accumulate(acc, at, value);
    }

    fn combine(&self, acc: &mut A::Acc, other: &A::Acc) {
        self.0.combine(acc, other);
    }

    fn finish(&self, acc: &A::Acc) -> A::Acc {
        *acc
    }
}

/// Aggregates accumulators instead of records.
struct Combining<A, T>(Rc<A>, PhantomData<fn(T)>);

impl<K: 'static, A: Aggregate<T>, T: 'static> Aggregate<(K, A::Acc)> for Combining<A, T> {
    type Acc = A::Acc;
    type Out = A::Out;

    #[inline(always)]
    fn accumulate(&self, acc: &mut A::Acc, _at: Timestamp, part: &(K, A::Acc)) {
        self.0.combine(acc, &part.1);
    }

    fn combine(&self, acc: &mut A::Acc, other: &A::Acc) {
        self.0.combine(acc, other);
    }

    fn finish(&self, acc: &A::Acc) -> A::Out {
        self.0.finish(acc)
    }
}
