//! Reducing windows without an aggregate: by one closure.

use crate::dataflow::{Edge, Stage, Stream};
use crate::error::ConfigError;
use crate::state::{Key, State};
use crate::time::Timestamp;
use crate::window::aggregates::{self, Reduce};
use crate::window::windowed::Cut;
use crate::window::{Aggregate, PrecombinedStream, Windowed, WindowedStream};

const CANNOT_FOLD: &str =
    "its windows share slices, and nobody said how to combine what was folded; use `aggregate`";

impl<'p, K: Key, T: State> WindowedStream<'p, K, T> {
    /// Makes one record of all records of each window and key; `merge` puts one into what was made
    /// of those before it and must be associative. It is
    /// [`aggregate`](Self::aggregate)`(`[`reduce`](aggregates::reduce)`(merge))`.
    ///
    /// ```
    /// use millstream::{io::IterSource, ms, Record, Simulation, Sliding, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let bids = [(1, 10), (2, 30), (3, 20)].map(|(at, price)| {
    ///         Record::new(Timestamp::from_millis(at), price)
    ///     });
    ///     p.source(IterSource::new(bids.into_iter()))
    ///         .key_by(|_| 0u8)
    ///         .window(Sliding::of(ms(20)).every(ms(10)))
    ///         .reduce(|best: &mut i64, bid| *best = *bid.max(best))
    ///         .for_each(|window| assert_eq!(window.value.value, 30));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn reduce(
        self,
        merge: impl Fn(&mut T, &T) + 'static,
    ) -> Stream<'p, impl Stage<Out = Windowed<K, T>>> {
        self.aggregate(aggregates::reduce(merge))
    }
}

impl<'p, K: Key, T: State> PrecombinedStream<'p, K, T> {
    /// Like [`WindowedStream::reduce`], on each shard first.
    pub fn reduce<F: Fn(&mut T, &T) + 'static>(
        self,
        merge: F,
    ) -> Stream<'p, impl Stage<Out = Windowed<K, T>> + use<'p, K, T, F>> {
        self.aggregate::<Reduce<F>>(aggregates::reduce(merge))
    }
}

impl<'p, K: Key, T: 'static> WindowedStream<'p, K, T> {
    /// Folds the records of each window and key, in their order of arrival, into a value that
    /// begins as `init`.
    ///
    /// Nobody can say how two such values would be combined, so this goes only with windows that
    /// share no slices: tumbling and calendar windows, trading sessions, windows with gaps. The
    /// pipeline is refused where windows overlap or grow; write an [`Aggregate`] there.
    ///
    /// ```
    /// use millstream::{io::IterSource, ms, Record, Simulation, Timestamp, Tumbling};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let words = ["in", "this", "order"].map(|word| Record::new(Timestamp(0), word));
    ///     p.source(IterSource::new(words.into_iter()))
    ///         .key_by(|_| 0u8)
    ///         .window(Tumbling::of(ms(10)))
    ///         .fold(0, |hash: &mut u64, word| *hash = *hash * 31 + word.len() as u64)
    ///         .for_each(|window| assert_eq!(window.value.value, (2 * 31 + 4) * 31 + 5));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn fold<V: State, F: Fn(&mut V, &T) + 'static>(
        self,
        init: V,
        fold: F,
    ) -> Stream<'p, impl Stage<Out = Windowed<K, V>> + use<'p, K, T, V, F>> {
        self.without_overlap().aggregate(Fold { init, fold })
    }

    /// Like [`fold`](Self::fold), and late records go to a stream of their own.
    ///
    /// ```
    /// use millstream::{io::IterSource, ms, Record, Simulation, Timestamp, Tumbling};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let readings = [5, 25, 7].map(|n| Record::new(Timestamp::from_millis(n), n));
    ///     let (sums, late) = p
    ///         .source(IterSource::new(readings.into_iter()))
    ///         .key_by(|_| 0u8)
    ///         .window(Tumbling::of(ms(10)))
    ///         .fold_with_late(100, |sum, reading| *sum += reading);
    ///     sums.for_each(|window| assert!([105, 125].contains(&window.value.value)));
    ///     late.for_each(|record| assert_eq!(record.value, 7));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn fold_with_late<V: State, F: Fn(&mut V, &T) + 'static>(
        self,
        init: V,
        fold: F,
    ) -> (Stream<'p, impl Stage<Out = Windowed<K, V>> + use<'p, K, T, V, F>>, Stream<'p, Edge<T>>)
    {
        self.without_overlap().aggregate_with_late(Fold { init, fold })
    }

    /// The same windows, refused if they share slices.
    fn without_overlap(self) -> Self {
        let Self { keyed, cut } = self;
        let cuts = cut.cuts.and_then(|cuts| match cuts.is_disjoint() {
            true => Ok(cuts),
            false => Err(ConfigError::setting("window", cuts, CANNOT_FOLD)),
        });
        Self { keyed, cut: Cut { cuts, ..cut } }
    }
}

/// A fold as an aggregate of windows of which each has one slice.
struct Fold<V, F> {
    init: V,
    fold: F,
}

impl<T, V: State, F: Fn(&mut V, &T) + 'static> Aggregate<T> for Fold<V, F> {
    type Acc = Option<V>;
    type Out = V;

    #[inline]
    fn accumulate(&self, acc: &mut Option<V>, _at: Timestamp, value: &T) {
        (self.fold)(acc.get_or_insert(self.init), value);
    }

    /// With one slice a window, one of the two is always empty.
    fn combine(&self, acc: &mut Option<V>, other: &Option<V>) {
        *acc = acc.or(*other);
    }

    fn finish(&self, acc: &Option<V>) -> V {
        acc.unwrap_or(self.init)
    }
}
