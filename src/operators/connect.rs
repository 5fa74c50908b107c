//! Two streams of different types become one.

use std::marker::PhantomData;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::dataflow::{Edge, KeyColumn, Keyed, Placement, Record, Stage, Stream, Upstream};
use crate::state::{Key, Stored};

/// A value of one of two types: what came from the left stream, or from the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Either<L, R> {
    /// From the left stream.
    Left(L),
    /// From the right stream.
    Right(R),
}

impl<L, R> Either<L, R> {
    /// What came from the left stream, if it did.
    pub fn left(&self) -> Option<&L> {
        match self {
            Self::Left(left) => Some(left),
            Self::Right(_) => None,
        }
    }

    /// What came from the right stream, if it did.
    pub fn right(&self) -> Option<&R> {
        match self {
            Self::Left(_) => None,
            Self::Right(right) => Some(right),
        }
    }
}

impl<'p, S: Stage> Stream<'p, S> {
    /// Merges a stream of another type into this one: [`union`](Self::union) of both, as
    /// [`Either`].
    ///
    /// ```
    /// use millstream::operators::Either;
    /// use millstream::{io::IterSource, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let numbers = (0..9).map(|n| Record::new(Timestamp(n), n));
    ///     let words = ["one", "two"].map(|word| Record::new(Timestamp(5), word));
    ///     p.source(IterSource::new(numbers))
    ///         .connect(p.source(IterSource::new(words.into_iter())))
    ///         .for_each(|record| match record.value {
    ///             Either::Left(number) => assert_eq!(number, record.at.0),
    ///             Either::Right(word) => assert_eq!(word.len(), 3),
    ///         });
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect<R: Stage>(
        self,
        other: Stream<'p, R>,
    ) -> Stream<'p, Edge<Either<S::Out, R::Out>>> {
        self.connect_of(other, Placement::Chosen)
    }

    /// The same, where it is known what has placed the records of both.
    pub(crate) fn connect_of<R: Stage>(
        self,
        other: Stream<'p, R>,
        placement: Placement,
    ) -> Stream<'p, Edge<Either<S::Out, R::Out>>> {
        self.map(Either::Left).union_of(other.map(Either::Right), placement)
    }
}

impl<'p, K: Key, L: Clone + Stored> Keyed<'p, K, L> {
    /// Records of two streams of one key, for whatever takes a keyed stream: a
    /// [`Process`](crate::Process) whose `In` is [`Either`] is a function of two inputs with state,
    /// timers and side outputs, an aggregate over [`Either`] in a window is a co-group of both.
    ///
    /// Records of each stream and key stay in order; between the two they come as they arrive, but
    /// to a process function with [`Order::Time`](crate::operators::Order), which has them in one
    /// order of time. Connected streams can be connected again, for more than two inputs.
    ///
    /// A function of two inputs:
    ///
    /// ```
    /// use millstream::operators::{Either, Order};
    /// use millstream::{io::IterSource, KeyContext, Process, Record, Simulation, Timestamp};
    ///
    /// /// Lets those readings pass that are above the limit of their meter at their time.
    /// struct Alarm;
    /// impl Process for Alarm {
    ///     type Key = u32;
    ///     type In = Either<(u32, i64), (u32, i64)>;
    ///     type State = Option<i64>;
    ///     type Out = i64;
    ///     const ORDER: Order = Order::Time;
    ///
    ///     fn on_record(&mut self, record: Self::In, ctx: &mut KeyContext<'_, Self>) {
    ///         match record {
    ///             Either::Right((_, limit)) => *ctx.state() = Some(limit),
    ///             Either::Left((_, value)) => {
    ///                 if ctx.state().is_some_and(|limit| value > limit) {
    ///                     ctx.emit(value);
    ///                 }
    ///             }
    ///         }
    ///     }
    /// }
    ///
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let at = |at, value| Record::new(Timestamp(at), (7, value));
    ///     let readings = [at(1, 90), at(4, 60), at(8, 70)].into_iter();
    ///     let limits = [at(2, 50), at(6, 80)].into_iter();
    ///     let readings = p.source(IterSource::new(readings)).key_by(|reading| reading.0);
    ///     let limits = p.source(IterSource::new(limits)).key_by(|limit| limit.0);
    ///     readings.connect(limits).process(Alarm).for_each(|alarm| assert_eq!(alarm.value, 60));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// A co-group of three: all that each of them has of a key in a window, whether or not the
    /// others have anything.
    ///
    /// ```
    /// use millstream::operators::Either;
    /// use millstream::window::triggers;
    /// use millstream::{io::IterSource, ms, Record, Simulation, Timestamp, Tumbling};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let source = |values: [(i64, u32); 2]| {
    ///         let records = values.map(|(at, n)| Record::new(Timestamp::from_millis(at), n));
    ///         p.source(IterSource::new(records.into_iter())).key_by(|_| 'k')
    ///     };
    ///     let (orders, fills) = (source([(1, 100), (12, 200)]), source([(2, 60), (3, 40)]));
    ///     let cancels = source([(13, 200), (14, 7)]);
    ///     let mut want = [[1, 2, 0], [1, 0, 2]].into_iter();
    ///     orders
    ///         .connect(fills)
    ///         .connect(cancels)
    ///         .window(Tumbling::of(ms(10)))
    ///         .trigger(triggers::event_time())
    ///         .apply(|_key, _span, records| {
    ///             let mut counts = [0; 3];
    ///             for record in records {
    ///                 match record.value {
    ///                     Either::Left(Either::Left(_order)) => counts[0] += 1,
    ///                     Either::Left(Either::Right(_fill)) => counts[1] += 1,
    ///                     Either::Right(_cancel) => counts[2] += 1,
    ///                 }
    ///             }
    ///             counts
    ///         })
    ///         .for_each(move |group| assert_eq!(Some(group.value.value), want.next()));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect<R: Clone + Stored>(self, right: Keyed<'p, K, R>) -> Keyed<'p, K, Either<L, R>> {
        let by_hash = self.upstream.goes_by_hash() && right.upstream.goes_by_hash();
        self.connect_of(right, if by_hash { Placement::ByKey } else { Placement::Chosen })
    }

    /// The same, where it is known what has placed the records of both.
    pub(crate) fn connect_of<R: Clone + Stored>(
        self,
        right: Keyed<'p, K, R>,
        placement: Placement,
    ) -> Keyed<'p, K, Either<L, R>> {
        let keys = Rc::new(EitherKeys { left: self.keys, right: right.keys });
        let (left, right) = (self.upstream, right.upstream);
        let upstream = Box::new(Connected { left, right, placement });
        Keyed { upstream, keys, types: PhantomData }
    }
}

/// Two stages before one [`Keyed`].
struct Connected<'p, L, R> {
    left: Box<dyn Upstream<'p, L> + 'p>,
    right: Box<dyn Upstream<'p, R> + 'p>,
    placement: Placement,
}

impl<'p, L: 'static, R: 'static> Upstream<'p, Either<L, R>> for Connected<'p, L, R> {
    fn by_key(self: Box<Self>) -> Stream<'p, Edge<Either<L, R>>> {
        self.left.by_key().connect_of(self.right.by_key(), self.placement)
    }

    fn local(self: Box<Self>) -> Stream<'p, Edge<Either<L, R>>> {
        self.left.local().connect_of(self.right.local(), Placement::Anywhere)
    }

    fn goes_by_hash(&self) -> bool {
        self.placement == Placement::ByKey
    }
}

/// The keys of records of two types.
struct EitherKeys<K, L, R> {
    left: Rc<dyn KeyColumn<K, L>>,
    right: Rc<dyn KeyColumn<K, R>>,
}

impl<K: Key, L, R> KeyColumn<K, Either<L, R>> for EitherKeys<K, L, R> {
    fn key(&self, value: &Either<L, R>) -> K {
        match value {
            Either::Left(left) => self.left.key(left),
            Either::Right(right) => self.right.key(right),
        }
    }

    fn extract(&self, records: &[Record<Either<L, R>>], keys: &mut Vec<K>) {
        keys.clear();
        keys.extend(records.iter().map(|record| self.key(&record.value)));
    }
}
