//! Gives records a key that two shards share.

use std::marker::PhantomData;
use std::rc::Rc;

use crate::dataflow::{Edge, Keyed, Stage, Stream, Upstream};
use crate::exchange::{self, TwoChoices};
use crate::operators::key_by::Column;
use crate::state::Key;

impl<'p, S: Stage> Stream<'p, S> {
    /// Gives each record a key, of which two shards have a part each: a record goes to the one that
    /// this shard has sent less so far. For skewed keys, of which none need be known to be hot.
    ///
    /// What follows keeps *partial* state by key, on up to two shards, and whoever consumes its
    /// results must combine them. A window does that if [`precombine`] follows: then each of the
    /// two shards aggregates its part of a slice, and the owner of the key combines the parts. With
    /// one shard there is nothing to share.
    ///
    /// Who gets what depends on nothing but the order of the records of each sending shard. The
    /// records of a key that go from one shard to another stay in order.
    ///
    /// ```
    /// use millstream::aggregates::count;
    /// use millstream::{io::IterSource, ms, Record, Simulation, Timestamp, Tumbling};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(3, 0).run(|p| {
    ///     let clicks = if p.shard() == 0 { 0..100i64 } else { 0..0 };
    ///     p.source(IterSource::new(clicks.map(|n| Record::new(Timestamp::from_millis(n), n))))
    ///         .partial_key_by(|_| 7u32)
    ///         .window(Tumbling::of(ms(10)))
    ///         .precombine()
    ///         .aggregate(count())
    ///         .for_each(|window| assert_eq!(window.value.value, 10));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// [`precombine`]: crate::window::WindowedStream::precombine
    pub fn partial_key_by<K: Key>(
        self,
        key: impl Fn(&S::Out) -> K + 'static,
    ) -> Keyed<'p, K, S::Out>
    where
        S::Out: Send,
    {
        let key = Rc::new(key);
        let keys = Rc::new(Column(key.clone()));
        let upstream = Box::new(PartialKeyOf { stream: self, key, types: PhantomData });
        Keyed { upstream, keys, types: PhantomData }
    }
}

/// The stage that was keyed, and by what.
struct PartialKeyOf<'p, K, S, F> {
    stream: Stream<'p, S>,
    key: Rc<F>,
    types: PhantomData<fn() -> K>,
}

impl<'p, K, S, F> Upstream<'p, S::Out> for PartialKeyOf<'p, K, S, F>
where
    K: Key,
    S: Stage<Out: Send>,
    F: Fn(&S::Out) -> K + 'static,
{
    fn by_key(self: Box<Self>) -> Stream<'p, Edge<S::Out>> {
        let pipeline = self.stream.pipeline;
        let route = TwoChoices::new(self.key, pipeline.config().hash_seed, pipeline.shards());
        exchange::exchange(self.stream, "partial_key_by", route)
    }

    /// What is aggregated before it crosses to the key's owner is aggregated on one of the two.
    fn local(self: Box<Self>) -> Stream<'p, Edge<S::Out>> {
        self.by_key()
    }
}
