//! Gives records a key, so that state can be kept by it.

use std::marker::PhantomData;
use std::rc::Rc;

use crate::dataflow::{Edge, KeyColumn, Keyed, Placement, Record, Stage, Stream, Upstream};
use crate::exchange::{self, ByKey};
use crate::state::Key;

impl<'p, S: Stage> Stream<'p, S> {
    /// Gives each record a key. What follows keeps state by key, each key on the shard that owns
    /// it.
    ///
    /// Records of one source and one key stay in order.
    ///
    /// ```
    /// use millstream::{io::IterSource, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(2, 0).run(|p| {
    ///     let numbers = if p.shard() == 0 { 0..100u64 } else { 0..0 };
    ///     p.source(IterSource::new(numbers.map(|n| Record::new(Timestamp(n as i64), n))))
    ///         .key_by(|n| n % 7)
    ///         .reduce(|sum, n| *sum += n)
    ///         .for_each(|record| assert!(record.value.1 <= 750));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn key_by<K: Key>(self, key: impl Fn(&S::Out) -> K + 'static) -> Keyed<'p, K, S::Out>
    where
        S::Out: Send,
    {
        let key = Rc::new(key);
        let keys = Rc::new(Column(key.clone()));
        let upstream = Box::new(ByKeyOf { stream: self, key, types: PhantomData });
        Keyed { upstream, keys, types: PhantomData }
    }

    /// Gives each record a key and leaves it where it is: for sources that are partitioned by key
    /// already, so that all records of a key come to the same shard. Nothing crosses between
    /// shards. If the promise does not hold, each shard has its own state for the key.
    ///
    /// ```
    /// use millstream::{io::IterSource, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(2, 0).run(|p| {
    ///     let shard = p.shard() as u64;
    ///     let mine = (0..100u64).map(move |n| Record::new(Timestamp(n as i64), 2 * n + shard));
    ///     p.source(IterSource::new(mine))
    ///         .partitioned_by(|n| n % 14)
    ///         .reduce(|sum, n| *sum += n)
    ///         .for_each(move |record| assert_eq!(record.value.0 % 2, shard));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn partitioned_by<K: Key>(
        self,
        key: impl Fn(&S::Out) -> K + 'static,
    ) -> Keyed<'p, K, S::Out> {
        self.placed_by(Placement::Chosen, key)
    }

    /// The same, where it is known what has placed the records.
    pub(crate) fn placed_by<K: Key>(
        self,
        placement: Placement,
        key: impl Fn(&S::Out) -> K + 'static,
    ) -> Keyed<'p, K, S::Out> {
        let keys = Rc::new(Column(Rc::new(key)));
        let upstream = Box::new(Partitioned { stream: self, placement });
        Keyed { upstream, keys, types: PhantomData }
    }
}

impl<'p, T: 'static> Stream<'p, Edge<T>> {
    /// Gives each record a key where an edge is already, behind which records are where they
    /// belong: without another edge.
    pub(crate) fn keyed_here<K: Key>(self, key: impl Fn(&T) -> K + 'static) -> Keyed<'p, K, T> {
        let keys = Rc::new(Column(Rc::new(key)));
        Keyed { upstream: Box::new(AtEdge(self)), keys, types: PhantomData }
    }
}

/// An edge behind which records are where they belong.
struct AtEdge<'p, T>(Stream<'p, Edge<T>>);

impl<'p, T: 'static> Upstream<'p, T> for AtEdge<'p, T> {
    fn by_key(self: Box<Self>) -> Stream<'p, Edge<T>> {
        self.0
    }

    fn local(self: Box<Self>) -> Stream<'p, Edge<T>> {
        self.0
    }
}

/// The stage whose records are where they belong.
struct Partitioned<'p, S> {
    stream: Stream<'p, S>,
    placement: Placement,
}

impl<'p, S: Stage> Upstream<'p, S::Out> for Partitioned<'p, S> {
    fn by_key(self: Box<Self>) -> Stream<'p, Edge<S::Out>> {
        exchange::local_of(self.stream, "partitioned_by", self.placement)
    }

    fn local(self: Box<Self>) -> Stream<'p, Edge<S::Out>> {
        self.by_key()
    }

    fn goes_by_hash(&self) -> bool {
        self.placement == Placement::ByKey
    }
}

/// The stage that was keyed, and by what.
struct ByKeyOf<'p, K, S, F> {
    stream: Stream<'p, S>,
    key: Rc<F>,
    types: PhantomData<fn() -> K>,
}

impl<'p, K, S, F> Upstream<'p, S::Out> for ByKeyOf<'p, K, S, F>
where
    K: Key,
    S: Stage<Out: Send>,
    F: Fn(&S::Out) -> K + 'static,
{
    fn by_key(self: Box<Self>) -> Stream<'p, Edge<S::Out>> {
        let pipeline = self.stream.pipeline;
        let route = ByKey::new(self.key, pipeline.config().hash_seed, pipeline.shards());
        exchange::exchange(self.stream, "key_by", route)
    }

    fn local(self: Box<Self>) -> Stream<'p, Edge<S::Out>> {
        exchange::local_of(self.stream, "key_by (here)", Placement::Anywhere)
    }
}

/// The keys of a batch, by the function that keyed them.
pub(super) struct Column<F>(pub Rc<F>);

impl<K, T, F: Fn(&T) -> K> KeyColumn<K, T> for Column<F> {
    #[inline]
    fn key(&self, value: &T) -> K {
        (self.0)(value)
    }

    #[inline]
    fn extract(&self, records: &[Record<T>], keys: &mut Vec<K>) {
        keys.clear();
        keys.extend(records.iter().map(|record| (self.0)(&record.value)));
    }
}
