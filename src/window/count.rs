//! Windows of so many records.

use std::rc::Rc;

use crate::dataflow::{Edge, KeyColumn, Keyed, Operator, Runnable, Stage, Stream};
use crate::error::ConfigError;
use crate::state::Key;
use crate::window::count::batches::Batches;
use crate::window::count::latest::Latest;
use crate::window::count::operator::{CountOperator, Counting, Settings};
use crate::window::{Aggregate, Windowed};

mod batches;
mod latest;
mod operator;

impl<'p, K: Key, T: 'static> Keyed<'p, K, T> {
    /// Groups each `records` records of a key, in their order of arrival; with
    /// [`every`](CountWindow::every) the groups overlap. An aggregate must follow.
    ///
    /// A window fires at its last record, with the timestamp of that record: nothing waits for the
    /// watermark and no record is late. Its span is from its first record to its last, by arrival,
    /// whichever of the two is the earlier. What is left over when the input ends is dropped unless
    /// [`emit_incomplete`](CountWindow::emit_incomplete) says otherwise.
    ///
    /// More keys with an open window than `Config::keys_max` on a shard are an error.
    ///
    /// ```
    /// use millstream::aggregates::sum;
    /// use millstream::{io::IterSource, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let trades = (0..100).map(|n| Record::new(Timestamp(n), n as u64));
    ///     p.source(IterSource::new(trades))
    ///         .key_by(|qty| qty % 2)
    ///         .count_window(5)
    ///         .aggregate(sum(|qty: &u64| *qty))
    ///         .for_each(|bar| {
    ///             let window = bar.value;
    ///             assert_eq!((window.span.end - window.span.start).as_nanos(), 9);
    ///             assert_eq!(window.value, 5 * (window.span.start.0 as u64 + 4));
    ///         });
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn count_window(self, records: u32) -> CountWindow<'p, K, T> {
        CountWindow { keyed: self, size: records, every: records, incomplete: false }
    }
}

/// A keyed stream grouped by count, which wants an aggregate.
#[must_use = "a window does nothing until an aggregate and a sink follow"]
pub struct CountWindow<'p, K, T> {
    keyed: Keyed<'p, K, T>,
    size: u32,
    every: u32,
    incomplete: bool,
}

impl<'p, K: Key, T: 'static> CountWindow<'p, K, T> {
    /// Fires at every so many records of a key, with the latest `size` of them: the first windows
    /// of a key hold fewer, down to `every`.
    ///
    /// The records (their accumulators) of all keys' latest windows are held; more of them than
    /// `Config::records_max` on a shard are an error. A firing costs the same whatever the size of
    /// the window. With `every` above the size, the records between two windows are left out.
    ///
    /// ```
    /// use millstream::aggregates::max;
    /// use millstream::{io::IterSource, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let numbers = [5, 9, 4, 3, 2, 1].map(|n| Record::new(Timestamp(0), n));
    ///     p.source(IterSource::new(numbers.into_iter()))
    ///         .key_by(|_| 0u8)
    ///         .count_window(4)
    ///         .every(2)
    ///         .aggregate(max(|n: &i32| *n))
    ///         .for_each(|most| assert!([9, 4].contains(&most.value.value)));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn every(self, records: u32) -> Self {
        Self { every: records, ..self }
    }

    /// When the input ends, fires for each key that has had records since it last fired, with the
    /// timestamp of the last of them. Since event time may have passed that, the result counts as
    /// late in windows that follow.
    pub fn emit_incomplete(self) -> Self {
        Self { incomplete: true, ..self }
    }

    /// Reduces each window to one value.
    pub fn aggregate<A: Aggregate<T>>(
        self,
        aggregate: A,
    ) -> Stream<'p, impl Stage<Out = Windowed<K, A::Out>> + use<'p, K, T, A>> {
        let Self { keyed: Keyed { upstream, keys, .. }, size, every, incomplete } = self;
        let stream = upstream.by_key();
        let pipeline = stream.pipeline;
        for (setting, value) in [("count_window", size), ("every", every)] {
            if value == 0 {
                let reason = "a window holds and moves on by at least one record";
                pipeline.reject(ConfigError::setting(setting, value, reason));
            }
        }
        let settings = Settings::new(&pipeline.config(), incomplete);
        let label = match every {
            _ if every == size => format!("count_window ({size})"),
            _ => format!("count_window ({size} every {every})"),
        };
        stream.then(label, move |stage| CountStage {
            stage,
            settings,
            size,
            every,
            aggregate,
            keys,
        })
    }
}

struct CountStage<K, T, A> {
    stage: Edge<T>,
    settings: Settings,
    size: u32,
    every: u32,
    aggregate: A,
    keys: Rc<dyn KeyColumn<K, T>>,
}

impl<K: Key, T: 'static, A: Aggregate<T>> Stage for CountStage<K, T, A> {
    type Out = Windowed<K, A::Out>;

    fn close<N: Operator<Self::Out>>(self, next: N) -> Box<dyn Runnable> {
        if self.size == self.every {
            let counting = Batches::new(self.size);
            return self.close_counting(counting, next);
        }
        let counting = Latest::new(self.size, self.every);
        self.close_counting(counting, next)
    }
}

impl<K: Key, T: 'static, A: Aggregate<T>> CountStage<K, T, A> {
    fn close_counting<C: Counting<T, A>, N: Operator<Windowed<K, A::Out>>>(
        self,
        counting: C,
        next: N,
    ) -> Box<dyn Runnable> {
        let Self { stage, settings, aggregate, keys, .. } = self;
        stage.close(CountOperator::new(settings, counting, aggregate, keys, next))
    }
}
