//! Upserts and tombstones become the rows of a table.

use std::marker::PhantomData;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::dataflow::{Change, Keyed, Saved, Stage};
use crate::error::ConfigError;
use crate::operators::{KeyContext, Process, Timer};
use crate::state::{Key, State, Stored};
use crate::table::Changes;
use crate::time::Timestamp;

/// Which of two versions of a row is the newer one, and for how long the last one stays.
///
/// ```
/// use millstream::{secs, Versions};
/// let quotes = Versions::by_event_time().expiring(secs(60));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    by_event_time: bool,
    keeping_equal: bool,
    life: Option<Duration>,
}

impl Versions {
    /// The one that arrived last, whatever its timestamp.
    pub const fn by_arrival() -> Self {
        Self { by_event_time: false, keeping_equal: false, life: None }
    }

    /// The one with the later timestamp, and of equal ones the one that arrived last. An older one
    /// is dropped and counted as [late](crate::metrics::Counter::Late).
    ///
    /// The time of a tombstone is remembered until the watermark reaches it. So that no row comes
    /// back that was deleted before, a record behind the watermark is taken only for a row that is
    /// there; where there is none it is dropped and counted too.
    pub const fn by_event_time() -> Self {
        Self { by_event_time: true, ..Self::by_arrival() }
    }

    /// An update to an equal row is a change as well. It is none as a rule.
    pub const fn keeping_equal(self) -> Self {
        Self { keeping_equal: true, ..self }
    }

    /// A row that is not written for so long, in event time, is deleted: when the watermark, or a
    /// record of its key, comes to the timestamp of the last write plus the span. A write with an
    /// earlier timestamp does not shorten that.
    pub const fn expiring(self, span: Duration) -> Self {
        Self { life: Some(span), ..self }
    }

    fn check(self) -> Result<Self, ConfigError> {
        match self.life {
            Some(Duration::ZERO) => {
                Err(ConfigError::setting("expiring", "0 ns", "no row would live to be seen"))
            }
            _ => Ok(self),
        }
    }
}

impl<'p, K: Key, T: Clone + Stored> Keyed<'p, K, T> {
    /// Folds the records into a table: each is the new row of its key, or a tombstone that deletes
    /// the row if `row` makes `None` of it. The last to arrive counts, and a row stays until it is
    /// deleted; see [`table_of`](Self::table_of) for other [`Versions`].
    ///
    /// At most [`keys_max`](crate::Config::keys_max) rows on one shard.
    ///
    /// ```
    /// use millstream::{io::IterSource, Change, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let quotes = [Some(10), Some(10), Some(11), None];
    ///     let quotes = quotes.map(|quote| Record::new(Timestamp(0), (7, quote)));
    ///     let update = Change::Update { old: 10, new: 11 };
    ///     let mut want = [Change::Insert(10), update, Change::Delete(11)].into_iter();
    ///     p.source(IterSource::new(quotes.into_iter()))
    ///         .key_by(|quote| quote.0)
    ///         .table(|quote| quote.1)
    ///         .to_changes()
    ///         .for_each(move |record| assert_eq!(Some(record.value.1), want.next()));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn table<V: State + PartialEq>(
        self,
        row: impl Fn(&T) -> Option<V> + 'static,
    ) -> Changes<'p, K, V, impl Stage<Out = (K, Change<V>)>> {
        self.table_of(Versions::by_arrival(), row)
    }

    /// Like [`table`](Self::table), of these [`Versions`].
    ///
    /// ```
    /// use millstream::{io::IterSource, Record, Simulation, Timestamp, Versions};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let times = [5, 3, 6].map(|at| Record::new(Timestamp(at), at));
    ///     p.source(IterSource::new(times.into_iter()))
    ///         .key_by(|_| ())
    ///         .table_of(Versions::by_event_time(), |at| Some(*at))
    ///         .to_stream()
    ///         .for_each(|record| assert_ne!(record.value.1, Some(3), "older than what is there"));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn table_of<V: State + PartialEq>(
        self,
        versions: Versions,
        row: impl Fn(&T) -> Option<V> + 'static,
    ) -> Changes<'p, K, V, impl Stage<Out = (K, Change<V>)>> {
        let by_hash = self.upstream.goes_by_hash();
        let stream = self.process(Fold { versions, row, types: PhantomData });
        if let Err(error) = versions.check() {
            stream.pipeline.reject(error);
        }
        Changes::new(stream, by_hash)
    }
}

struct Fold<K, T, V, F> {
    versions: Versions,
    row: F,
    types: PhantomData<fn(K, T) -> V>,
}

/// The last version of a row.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Version<V> {
    /// None if it is a tombstone.
    value: Option<V>,
    at: Timestamp,
    /// When it is forgotten.
    timer: Option<Timestamp>,
}

impl<V> Default for Version<V> {
    fn default() -> Self {
        Self { value: None, at: Timestamp::MIN, timer: None }
    }
}

impl<K: Key, T, V: State + PartialEq, F> Fold<K, T, V, F>
where
    T: Clone + Stored,
    F: Fn(&T) -> Option<V> + 'static,
{
    /// Whether a record of the time `at` is older than what is there.
    #[inline(always)]
    fn is_old(&self, at: Timestamp, version: Version<V>, watermark: Timestamp) -> bool {
        let is_behind = version.value.is_none() && at < watermark;
        self.versions.by_event_time && (at < version.at || is_behind)
    }

    /// When the version is to be forgotten that follows `before`.
    #[inline(always)]
    fn end_of(&self, at: Timestamp, is_row: bool, before: Version<V>) -> Option<Timestamp> {
        match is_row {
            true => {
                let until = before.timer.filter(|_| before.value.is_some());
                self.versions.life.map(|life| (at + life).max(until.unwrap_or(Timestamp::MIN)))
            }
            false => self.versions.by_event_time.then_some(at),
        }
    }
}

impl<K: Key, T, V: State + PartialEq, F> Process for Fold<K, T, V, F>
where
    T: Clone + Stored,
    F: Fn(&T) -> Option<V> + 'static,
{
    type Key = K;
    type In = T;
    type State = Version<V>;
    type Out = (K, Change<V>);

    const NAME: &'static str = "table";

    #[inline(always)]
    fn on_record(&mut self, record: T, ctx: &mut KeyContext<'_, Self>) {
        let (at, mut before) = (ctx.at(), ctx.get().copied().unwrap_or_default());
        if let (Some(row), Some(until)) = (before.value, before.timer)
            && until <= at
        {
            ctx.emit_at(until, (ctx.key(), Change::Delete(row)));
            before.value = None;
        }
        if self.is_old(at, before, ctx.watermark()) {
            return ctx.count_late();
        }
        let value = (self.row)(&record);
        let timer = self.end_of(at, value.is_some(), before);
        if timer != before.timer {
            before.timer.into_iter().for_each(|at| _ = ctx.cancel_timer(at));
            timer.into_iter().for_each(|at| _ = ctx.set_timer(at));
        }
        match value.is_some() || timer.is_some() {
            true => *ctx.state() = Version { value, at, timer },
            false => ctx.clear(),
        }
        let change = Change::between(before.value, value);
        if let Some(change) = change.filter(|c| self.versions.keeping_equal || c.is_visible()) {
            ctx.emit((ctx.key(), change));
        }
    }

    fn on_timer(&mut self, _: Timer, ctx: &mut KeyContext<'_, Self>) {
        let row = ctx.get().and_then(|version| version.value);
        ctx.clear();
        if let Some(row) = row {
            ctx.emit((ctx.key(), Change::Delete(row)));
        }
    }

    fn save(&self, out: &mut Saved) {
        out.unseen::<F>("table");
    }
}
