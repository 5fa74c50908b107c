//! Joining with the version of a row that was valid at a record's time.

use std::time::Duration;

use crate::dataflow::{Edge, Keyed, Stage, Stream};
use crate::join::AsofJoin;
use crate::state::{Key, Stored};

impl<'p, K: Key, L: Copy + Stored> Keyed<'p, K, L> {
    /// Gives each record the row of its key as it was at its time: each version says how a row is
    /// from its time on; one for which `is_deletion` says so, that there is none.
    ///
    /// It is an [as-of join](Keyed::asof_join) that knows of deletions: exact by event time
    /// whatever the disorder of both, since records wait until the watermark of the versions has
    /// passed them. The current version of each key is kept for ever, earlier ones as long as a
    /// record may want them.
    ///
    /// ```
    /// use millstream::{io::IterSource, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     // A currency, and its rate from then on; 0 if it is not traded any more.
    ///     let rates = [(0, (7, 110)), (10, (7, 120)), (20, (7, 0))];
    ///     let rates = rates.map(|(at, rate)| Record::new(Timestamp(at), rate));
    ///     let orders = [5, 10, 25].map(|at| Record::new(Timestamp(at), 7));
    ///     let rates = p.source(IterSource::new(rates.into_iter())).key_by(|rate| rate.0);
    ///     let orders = p.source(IterSource::new(orders.into_iter())).key_by(|order| *order);
    ///     let mut want = [Some(110), Some(120), None].into_iter();
    ///     orders
    ///         .temporal_join(rates, |rate| rate.1 == 0)
    ///         .select_left(|_order, rate| rate.map(|rate| rate.1))
    ///         .for_each(move |rate| assert_eq!(Some(rate.value), want.next()));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn temporal_join<V: Copy + Stored, D: Fn(&V) -> bool + 'static>(
        self,
        versions: Keyed<'p, K, V>,
        is_deletion: D,
    ) -> TemporalJoin<'p, K, L, V, D> {
        TemporalJoin { join: self.asof_join(versions), is_deletion }
    }
}

/// A keyed stream and the versions of a table; wants a selection.
#[must_use = "a join does nothing until a selection and a sink follow"]
pub struct TemporalJoin<'p, K, L, V, D> {
    join: AsofJoin<'p, K, L, V>,
    is_deletion: D,
}

impl<'p, K, L, V, D> TemporalJoin<'p, K, L, V, D>
where
    K: Key,
    L: Copy + Stored,
    V: Copy + Stored,
    D: Fn(&V) -> bool + 'static,
{
    /// How far behind the watermark of its stream a record or a version may come and still count.
    /// Every answer waits longer by that. Zero unless set.
    pub fn allowed_lateness(self, lateness: Duration) -> Self {
        Self { join: self.join.allowed_lateness(lateness), ..self }
    }

    /// Sends late records and late versions to streams of their own.
    pub fn with_late(self) -> (Self, Stream<'p, Edge<L>>, Stream<'p, Edge<V>>) {
        let (join, late, late_versions) = self.join.with_late();
        (Self { join, ..self }, late, late_versions)
    }

    /// Inner join: the records whose row there was.
    pub fn select<Out: 'static>(
        self,
        mut f: impl FnMut(&L, &V) -> Out + 'static,
    ) -> Stream<'p, impl Stage<Out = Out>> {
        let Self { join, is_deletion } = self;
        join.join("inner", move |left, version| {
            Some(f(left, version.filter(|version| !is_deletion(version))?))
        })
    }

    /// Left join: every record, with its row, if there was one.
    pub fn select_left<Out: 'static>(
        self,
        mut f: impl FnMut(&L, Option<&V>) -> Out + 'static,
    ) -> Stream<'p, impl Stage<Out = Out>> {
        let Self { join, is_deletion } = self;
        join.join("left", move |left, version| {
            Some(f(left, version.filter(|version| !is_deletion(version))))
        })
    }
}
