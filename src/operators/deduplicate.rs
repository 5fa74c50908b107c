//! The first record of a key goes on, those like it do not.

use std::marker::PhantomData;

use crate::dataflow::{Keyed, Stage, Stream};
use crate::operators::expiring::Expiring;
use crate::operators::process::{KeyContext, Process};
use crate::state::{Key, Stored};

impl<'p, K: Key, T: Clone + Stored> Keyed<'p, K, T> {
    /// Keeps the first record of each key, for ever: as many keys are remembered as there are, of
    /// which the plan warns. See [`Expiring::deduplicate`] for less.
    ///
    /// ```
    /// use millstream::{io::IterSource, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     p.source(IterSource::new((0..10).map(|n| Record::new(Timestamp(n), n))))
    ///         .key_by(|n| n % 3)
    ///         .deduplicate()
    ///         .for_each(|record| assert!(record.value < 3));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn deduplicate(self) -> Stream<'p, impl Stage<Out = T>> {
        let stream = self.process(First(PhantomData));
        stream.pipeline.warn("deduplicate: each key is kept for ever; give it a `ttl`");
        stream
    }
}

impl<'p, K: Key, T: Clone + Stored> Expiring<'p, K, T> {
    /// Keeps the first record of each key, and the next when the time to live since then is over.
    /// With [`on_read`](crate::state::Ttl::on_read) each record like it counts, and a key must
    /// fall silent for so long.
    ///
    /// ```
    /// use millstream::{io::IterSource, ns, state::Ttl, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     p.source(IterSource::new((0..100).map(|n| Record::new(Timestamp(n), n))))
    ///         .key_by(|_| ())
    ///         .ttl(Ttl::of(ns(10)))
    ///         .deduplicate()
    ///         .for_each(|record| assert_eq!(record.value % 10, 0));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn deduplicate(self) -> Stream<'p, impl Stage<Out = T>> {
        self.process(First(PhantomData))
    }
}

/// Remembers of a key that it was there.
struct First<K, T>(PhantomData<fn(K, T)>);

impl<K: Key, T: Clone + Stored> Process for First<K, T> {
    type Key = K;
    type In = T;
    type State = ();
    type Out = T;

    #[inline(always)]
    fn on_record(&mut self, record: T, ctx: &mut KeyContext<'_, Self>) {
        if ctx.get().is_none() {
            ctx.state();
            ctx.emit(record);
        }
    }
}
