//! Changes held back, so that only what they come to goes on.

use std::marker::PhantomData;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::dataflow::{Change, Saved, Stage};
use crate::error::ConfigError;
use crate::operators::{AtEnd, KeyContext, Moved, Process, Timer};
use crate::state::{Key, State};
use crate::table::Changes;
use crate::time::Timestamp;

/// How long the changes of a row are held back, and how many rows' at most.
///
/// ```
/// use millstream::{ms, table::{Suppress, WhenFull}};
/// let calm = Suppress::after(ms(100)).processing_time().at_most(10_000, WhenFull::EmitEarly);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suppress {
    span: Duration,
    by_processing_time: bool,
    rows_max: Option<(usize, WhenFull)>,
}

/// What becomes of a change of one more row than may be held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// It is not held back: it goes on at once.
    EmitEarly,
    /// It stops the pipeline.
    Fail,
}

impl Suppress {
    /// So long after the first change that is held back of a row, in event time: until the
    /// watermark, or a later change of the row, comes to the timestamp of that change and the span.
    pub const fn after(span: Duration) -> Self {
        Self { span, by_processing_time: false, rows_max: None }
    }

    /// By the `now` of the step. What is held back at the end of the input goes on then.
    pub const fn processing_time(self) -> Self {
        Self { by_processing_time: true, ..self }
    }

    /// Holds back the changes of at most so many rows on one shard. As many as
    /// [`keys_max`](crate::Config::keys_max) unless set, and one more is an error.
    pub const fn at_most(self, rows: usize, when_full: WhenFull) -> Self {
        Self { rows_max: Some((rows, when_full)), ..self }
    }

    fn check(self) -> Result<(), ConfigError> {
        if self.span.is_zero() {
            return Err(ConfigError::setting("suppress", "0 ns", "nothing would be held back"));
        }
        match self.rows_max {
            Some((0, _)) => Err(ConfigError::setting("at_most", 0, "nothing could be held back")),
            _ => Ok(()),
        }
    }
}

impl<'p, K: Key, V, S> Changes<'p, K, V, S>
where
    V: State + PartialEq,
    S: Stage<Out = (K, Change<V>)>,
{
    /// Holds back the changes of each row and then lets one go on that does what all of them did;
    /// none if that is nothing: a row that came and went is never seen, nor one that is again what
    /// it was.
    ///
    /// Rows stay on their shard. So behind [`top_n`](crate::table::Grouped::top_n), whose rows are
    /// where their group is, what is held back cannot move to another number of shards.
    ///
    /// Rows go on in the order in which their time is over, ties in the order in which the first
    /// change of each came. By event time the change has the timestamp at which its time was over,
    /// and so is never late.
    ///
    /// ```
    /// use millstream::table::Suppress;
    /// use millstream::{io::IterSource, ms, Change, Record, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let prices = [(0, 10), (3, 12), (5, 11), (20, 15)];
    ///     let prices = prices.map(|(at, price)| Record::new(Timestamp::from_millis(at), price));
    ///     let want = [(10, Change::Insert(11)), (30, Change::Update { old: 11, new: 15 })];
    ///     let mut want = want.map(|(at, price)| (Timestamp::from_millis(at), price)).into_iter();
    ///     p.source(IterSource::new(prices.into_iter()))
    ///         .key_by(|_| ())
    ///         .table(|price| Some(*price))
    ///         .suppress(Suppress::after(ms(10)))
    ///         .to_changes()
    ///         .for_each(move |change| assert_eq!(Some((change.at, change.value.1)), want.next()));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn suppress(
        self,
        suppress: Suppress,
    ) -> Changes<'p, K, V, impl Stage<Out = (K, Change<V>)>> {
        if let Err(error) = suppress.check() {
            self.stream.pipeline.reject(error);
        }
        let holding = Holding { suppress, held: 0, types: PhantomData };
        let (by_hash, keyed) = (self.by_hash, self.keyed_here());
        Changes::new(keyed.process(holding), by_hash)
    }
}

struct Holding<K, V> {
    suppress: Suppress,
    /// Rows of which something is held back.
    held: usize,
    types: PhantomData<fn(K, V)>,
}

/// What is held back of a row.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Held<V> {
    /// What those downstream know.
    known: Option<V>,
    row: Option<V>,
    due: Timestamp,
}

impl<V> Default for Held<V> {
    fn default() -> Self {
        Self { known: None, row: None, due: Timestamp::MAX }
    }
}

impl<V: State + PartialEq> Held<V> {
    /// What all the changes did together, if it was anything.
    fn change(&self) -> Option<Change<V>> {
        Change::between(self.known, self.row).filter(Change::is_visible)
    }
}

impl<K: Key, V: State + PartialEq> Holding<K, V> {
    fn timer(&self, due: Timestamp) -> Timer {
        match self.suppress.by_processing_time {
            true => Timer::processing(due),
            false => Timer::at(due),
        }
    }

    /// Lets what is held go on; nothing is held then.
    fn let_go(&mut self, at: Timestamp, ctx: &mut KeyContext<'_, Self>) {
        let Some(held) = ctx.get().copied() else { return };
        ctx.clear();
        self.held -= 1;
        if let Some(change) = held.change() {
            ctx.emit_at(at, (ctx.key(), change));
        }
    }

    /// Whether the changes of one more row may be held back.
    fn has_room(&self, ctx: &mut KeyContext<'_, Self>) -> bool {
        let Some((most, when_full)) = self.suppress.rows_max else { return true };
        if self.held >= most && when_full == WhenFull::Fail {
            ctx.exceed("rows", most, "at_most");
        }
        self.held < most
    }
}

impl<K: Key, V: State + PartialEq> Process for Holding<K, V> {
    type Key = K;
    type In = (K, Change<V>);
    type State = Held<V>;
    type Out = (K, Change<V>);

    const NAME: &'static str = "suppress";
    const AT_END: AtEnd = AtEnd::Fire;

    fn on_record(&mut self, changed: (K, Change<V>), ctx: &mut KeyContext<'_, Self>) {
        let change = changed.1;
        let now = if self.suppress.by_processing_time { ctx.now() } else { ctx.at() };
        // What comes at or behind its end finds it over, wherever the watermark is.
        if let Some(due) = ctx.get().map(|held| held.due).filter(|due| *due <= now) {
            ctx.cancel_timer(self.timer(due));
            let at = if self.suppress.by_processing_time { ctx.at() } else { due };
            self.let_go(at, ctx);
        }
        if let Some(held) = ctx.get().copied() {
            *ctx.state() = Held { row: change.after().copied(), ..held };
        } else if self.has_room(ctx) {
            let (known, row) = (change.before().copied(), change.after().copied());
            let due = now + self.suppress.span;
            *ctx.state() = Held { known, row, due };
            self.held += 1;
            ctx.set_timer(self.timer(due));
        } else {
            ctx.emit(changed);
        }
    }

    fn on_timer(&mut self, _: Timer, ctx: &mut KeyContext<'_, Self>) {
        self.let_go(ctx.at(), ctx);
    }

    fn save(&self, out: &mut Saved) {
        out.put(Self::NAME, &self.held);
    }

    fn load(&mut self, from: &mut Saved) {
        from.take_unless_shared(Self::NAME, &mut self.held);
    }

    fn on_moved(&mut self, rows: &mut Moved<'_, Self>) {
        rows.each(|_, _, _| self.held += 1);
    }
}
