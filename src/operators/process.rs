//! The process function: code of the user's own, with state and timers by key.

mod context;
mod early;
mod moved;
mod operator;
mod side;
#[cfg(test)]
mod tests;
mod timers;
mod turns;

use std::collections::VecDeque;
use std::rc::Rc;

use crate::dataflow::{Edge, KeyColumn, Keyed, Operator, Runnable, Saved, Stage, Stream};
use crate::metrics::{Counter, Share};
use crate::operators::expiring::{Expiring, term_of};
use crate::state::{Key, State, Stored, Sweep, Table, Ttl};
use crate::time::Watermark;
use context::{Held, Shared};
use early::Early;
use operator::{ProcessOperator, Settings};
use side::Outlet;
use timers::Timers;

pub use context::KeyContext;
pub use moved::Moved;
pub use side::{Outputs, SideOutput};
pub use timers::{Timer, TimerClock};

/// A function that is called with each record and each timer of a key, and may keep state for it.
///
/// # State
///
/// What is kept for a key is one value of [`State`](Self::State): `Copy + Default`, a struct of the
/// user's own as a rule. What other engines have separate kinds of state for is a matter of its
/// fields:
///
/// | state | here |
/// |---|---|
/// | value | a field |
/// | reducing | a field that is added to, or the `Acc` of an [`Aggregate`](crate::Aggregate) |
/// | list | an array and a length: `[Price; 16]` and `u8` |
/// | map | an array of pairs, searched; or the map's key as a part of the stream's key |
///
/// A key takes no place before [`state`](KeyContext::state) is called for it the first time or a
/// timer is set, and none after [`clear`](KeyContext::clear) when its last timer is gone. With
/// [`ttl`](crate::Keyed::ttl) it is forgotten by itself.
///
/// # Timers
///
/// Of a key, by event time or processing time; see [`Timer`]. Those by event time fire when the
/// watermark reaches their time: in the order of their times, ties in the order in which they were
/// set, and before any record that comes after that watermark. Their results go out under the
/// watermark before it, which goes on only when all have fired. Timers that are set meanwhile and
/// due as well fire in the same round. So many fire in a step, and no more:
/// [`Config::fire_max`](crate::Config::fire_max); records wait for the rest of the round.
///
/// Those by processing time fire in the first step whose `now` has reached their time, between
/// everything else. They do not see that step's records.
///
/// At the end of the input all timers by event time fire, also those that are set meanwhile: one
/// that sets itself anew should ask [`is_ended`](KeyContext::is_ended). What becomes of those by
/// processing time [`AT_END`](Self::AT_END) says.
///
/// # Order
///
/// Records of one source and one key come in the order in which that source gave them. Whether a
/// timer fires before or after a record that is ahead of the watermark depends on where the
/// watermark was, and so on how records were batched. A function whose results must not depend on
/// that asks for [`Order::Time`].
///
/// ```
/// use std::time::Duration;
/// use millstream::io::{IterSource, MemorySink};
/// use millstream::operators::Order;
/// use millstream::{ms, KeyContext, Process, Record, Simulation, Timer, Timestamp, Watermarks};
///
/// #[derive(Clone, Copy, serde::Serialize, serde::Deserialize)]
/// struct Trade { symbol: u32, at: Timestamp }
///
/// /// Tells of symbols that do not trade for a while.
/// struct Watchdog { quiet: Duration }
///
/// impl Process for Watchdog {
///     type Key = u32;
///     type In = Trade;
///     /// When it traded last.
///     type State = Timestamp;
///     type Out = (u32, Timestamp);
///
///     const ORDER: Order = Order::Time;
///
///     fn on_record(&mut self, trade: Trade, ctx: &mut KeyContext<'_, Self>) {
///         if let Some(last) = ctx.get().copied() {
///             ctx.cancel_timer(last + self.quiet);
///         }
///         ctx.set_timer(trade.at + self.quiet);
///         *ctx.state() = trade.at;
///     }
///
///     fn on_timer(&mut self, _: Timer, ctx: &mut KeyContext<'_, Self>) {
///         let since = *ctx.state();
///         ctx.emit((ctx.key(), since));
///         ctx.clear();
///     }
/// }
///
/// # fn main() -> millstream::Result<()> {
/// let silences = MemorySink::new();
/// let sink = silences.clone();
/// Simulation::new(2, 0).run(move |p| {
///     let trades = [(7, 0), (8, 1), (7, 4), (7, 20)];
///     let here = if p.shard() == 0 { trades.to_vec() } else { vec![] };
///     let trade = |(symbol, n)| Trade { symbol, at: Timestamp::from_millis(n) };
///     let here = here.into_iter().map(trade);
///     p.source(IterSource::new(here.map(|trade| Record::new(trade.at, trade))))
///         .event_time(|trade| trade.at, Watermarks::monotonic())
///         .key_by(|trade| trade.symbol)
///         .process(Watchdog { quiet: ms(10) })
///         .ordered(|silence| *silence)
///         .sink(sink.clone());
///     Ok(())
/// })?;
/// let found = silences.take().into_iter().map(|r| (r.at.as_nanos() / 1_000_000, r.value.0));
/// assert_eq!(found.collect::<Vec<_>>(), [(11, 8), (14, 7), (30, 7)]);
/// # Ok(())
/// # }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a process function",
    label = "this does not implement `Process`",
    note = "a process function is a type of your own with an `impl Process`: its key, records, \
            state and results; what keeps nothing is a `map` or a `flat_map`"
)]
pub trait Process: Sized + 'static {
    /// What the stream is keyed by.
    type Key: Key;
    /// What comes in. A record that waits for its time must be copied into a snapshot.
    type In: Clone + Stored;
    /// What is kept for a key.
    type State: State;
    /// What goes out.
    type Out: 'static;

    /// What it is called in the plan, in errors, in snapshots and where its state is shown.
    const NAME: &'static str = "process";

    /// What becomes, at the end of the input, of timers by processing time that are not due.
    const AT_END: AtEnd = AtEnd::Drop;

    /// In which order the records of a key come.
    const ORDER: Order = Order::Arrival;

    /// A record of a key.
    fn on_record(&mut self, record: Self::In, ctx: &mut KeyContext<'_, Self>);

    /// A timer of a key that is due; it is no longer set. Ignored unless overridden.
    fn on_timer(&mut self, timer: Timer, ctx: &mut KeyContext<'_, Self>) {
        let _ = (timer, ctx);
    }

    /// Copies into a snapshot what the function keeps of its own, in its fields. The state and the
    /// timers of the keys are not its concern, and settings come with whatever is built anew: most
    /// functions have nothing to save.
    ///
    /// ```
    /// # use millstream::{KeyContext, Process};
    /// use millstream::dataflow::Saved;
    ///
    /// /// Numbers the records of all keys.
    /// struct Numbered { count: u64 }
    ///
    /// impl Process for Numbered {
    ///     type Key = u32;
    ///     type In = u32;
    ///     type State = ();
    ///     type Out = u64;
    ///
    ///     fn on_record(&mut self, _: u32, ctx: &mut KeyContext<'_, Self>) {
    ///         self.count += 1;
    ///         ctx.emit(self.count);
    ///     }
    ///
    ///     fn save(&self, out: &mut Saved) {
    ///         out.put("numbered", &self.count);
    ///     }
    ///
    ///     fn load(&mut self, from: &mut Saved) {
    ///         from.take("numbered", &mut self.count);
    ///     }
    /// }
    /// ```
    fn save(&self, out: &mut Saved) {
        out.unseen::<Self>(Self::NAME);
    }

    /// Takes what [`save`](Self::save) put in.
    ///
    /// From another number of shards this is to be what belongs to this one then: what is not by
    /// key says so by [`Saved::rescale_by`], what is beside the state of keys by
    /// [`Saved::take_pool`] and [`on_moved`](Self::on_moved). Of [`Saved::take`] such a restore is
    /// refused.
    fn load(&mut self, _from: &mut Saved) {}

    /// After a [`load`](Self::load) from another number of shards, of which each now has a share of
    /// the keys: shows the state of those that are here now, before they are. For functions that
    /// keep something of each key in their own fields, where its state says where.
    ///
    /// ```
    /// # use millstream::dataflow::{Others, Saved};
    /// # use millstream::operators::Moved;
    /// # use millstream::{KeyContext, Process};
    /// /// Keeps names, each in a place of its own.
    /// #[derive(Default)]
    /// struct Named { names: Vec<String>, others: Others<Vec<String>> }
    ///
    /// impl Process for Named {
    ///     type Key = u32;
    ///     type In = (u32, String);
    ///     /// The place of the name.
    ///     type State = usize;
    ///     type Out = ();
    /// #
    /// #   fn on_record(&mut self, (_, name): (u32, String), ctx: &mut KeyContext<'_, Self>) {
    /// #       *ctx.state() = self.names.len();
    /// #       self.names.push(name);
    /// #   }
    ///
    ///     fn save(&self, out: &mut Saved) {
    ///         out.put("named", &self.names);
    ///     }
    ///
    ///     fn load(&mut self, from: &mut Saved) {
    ///         self.others = from.take_pool("named", &mut self.names);
    ///     }
    ///
    ///     fn on_moved(&mut self, keys: &mut Moved<'_, Self>) {
    ///         let others = std::mem::take(&mut self.others);
    ///         keys.each(|shard, _key, place| {
    ///             let name = others.of(shard).map(|names| names[*place].clone());
    ///             *place = self.names.len();
    ///             self.names.extend(name);
    ///         });
    ///     }
    /// }
    /// ```
    fn on_moved(&mut self, _keys: &mut Moved<'_, Self>) {}
}

/// In which order the records of a key come to a [`Process`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As they arrive, at once.
    Arrival,
    /// By time, once the watermark has passed them; those of one time as they arrived. A timer of
    /// that time comes before them. A record behind the watermark is late, and comes at once.
    ///
    /// This costs the wait for the watermark and the memory of the records that wait (there may be
    /// as many as [`timers_max`](crate::Config::timers_max)). It makes what comes out a matter of
    /// the records and their times only, however they were batched and on any number of shards.
    Time,
}

/// What becomes, at the end of the input, of timers by processing time that are not due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtEnd {
    /// They never fire: their time has not come.
    Drop,
    /// They fire ahead of their time, in order, when all by event time have: whoever waits for
    /// them to hand something on loses nothing.
    Fire,
}

impl<'p, K: Key, T: 'static> Keyed<'p, K, T> {
    /// Calls a function of the user's own with each record and each timer of a key. See
    /// [`Process`], where there is an example.
    pub fn process<P: Process<Key = K, In = T>>(
        self,
        process: P,
    ) -> Stream<'p, impl Stage<Out = P::Out>> {
        processed(self, None, |_| (process, ())).0
    }

    /// Like [`process`](Self::process), for a function with side outputs: as many as it likes, each
    /// of its own type. `make` asks for them and makes the function; it returns the streams along
    /// with it.
    ///
    /// ```
    /// use millstream::{io::IterSource, KeyContext, Process, Record, SideOutput, Simulation};
    /// use millstream::Timestamp;
    ///
    /// struct Checked { negative: SideOutput<i64>, double: SideOutput<&'static str> }
    ///
    /// impl Process for Checked {
    ///     type Key = i64;
    ///     type In = i64;
    ///     type State = bool;
    ///     type Out = i64;
    ///
    ///     fn on_record(&mut self, n: i64, ctx: &mut KeyContext<'_, Self>) {
    ///         if std::mem::replace(ctx.state(), true) {
    ///             ctx.emit_to(&self.double, "seen before");
    ///         } else if n < 0 {
    ///             ctx.emit_to(&self.negative, n);
    ///         } else {
    ///             ctx.emit(n);
    ///         }
    ///     }
    /// }
    ///
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let numbers = [3, -1, 3].map(|n| Record::new(Timestamp(0), n)).into_iter();
    ///     let keyed = p.source(IterSource::new(numbers)).key_by(|n| *n);
    ///     let (positive, (below, twice)) = keyed.process_with(|outputs| {
    ///         let (negative, below) = outputs.side("negative");
    ///         let (double, twice) = outputs.side("double");
    ///         (Checked { negative, double }, (below, twice))
    ///     });
    ///     positive.for_each(|record| assert_eq!(record.value, 3));
    ///     below.for_each(|record| assert_eq!(record.value, -1));
    ///     twice.for_each(|record| assert_eq!(record.value, "seen before"));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn process_with<P: Process<Key = K, In = T>, H>(
        self,
        make: impl FnOnce(&mut Outputs<'p>) -> (P, H),
    ) -> (Stream<'p, impl Stage<Out = P::Out>>, H) {
        processed(self, None, make)
    }
}

impl<'p, K: Key, T: 'static> Expiring<'p, K, T> {
    /// Like [`Keyed::process`], with state that expires. Timers do not: one that fires after the
    /// state of its key has expired finds none.
    pub fn process<P: Process<Key = K, In = T>>(
        self,
        process: P,
    ) -> Stream<'p, impl Stage<Out = P::Out>> {
        processed(self.keyed, Some(self.ttl), |_| (process, ())).0
    }

    /// Like [`Keyed::process_with`], with state that expires.
    pub fn process_with<P: Process<Key = K, In = T>, H>(
        self,
        make: impl FnOnce(&mut Outputs<'p>) -> (P, H),
    ) -> (Stream<'p, impl Stage<Out = P::Out>>, H) {
        processed(self.keyed, Some(self.ttl), make)
    }
}

/// The key of streams that have none.
#[diagnostic::on_unimplemented(
    message = "a process function with keys of type `{Self}` needs a keyed stream",
    label = "call `.key_by(..)` before `.process(..)`",
    note = "one with `type Key = ()` needs no key and has one state on each shard"
)]
pub trait NoKey: Key {
    /// The only one there is.
    const ONE: Self;
}

impl NoKey for () {
    const ONE: Self = ();
}

impl<'p, S: Stage> Stream<'p, S> {
    /// Calls a function of the user's own with each record, on the shard where it is. There is one
    /// key, `()`: the function has one state on each shard, and timers.
    ///
    /// ```
    /// use millstream::{io::IterSource, KeyContext, Process, Record, Simulation, Timer, Timestamp};
    ///
    /// /// Counts its records and tells at the end.
    /// struct Count;
    ///
    /// impl Process for Count {
    ///     type Key = ();
    ///     type In = u8;
    ///     type State = u64;
    ///     type Out = u64;
    ///
    ///     fn on_record(&mut self, _: u8, ctx: &mut KeyContext<'_, Self>) {
    ///         *ctx.state() += 1;
    ///         ctx.set_timer(Timestamp::MAX);
    ///     }
    ///
    ///     fn on_timer(&mut self, _: Timer, ctx: &mut KeyContext<'_, Self>) {
    ///         let count = *ctx.state();
    ///         ctx.emit(count);
    ///     }
    /// }
    ///
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     p.source(IterSource::new((0..9).map(|n| Record::new(Timestamp(n), n as u8))))
    ///         .process(Count)
    ///         .for_each(|record| assert_eq!(record.value, 9));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn process<P>(self, process: P) -> Stream<'p, impl Stage<Out = P::Out>>
    where
        P: Process<In = S::Out, Key: NoKey>,
    {
        processed(self.partitioned_by(|_| P::Key::ONE), None, |_| (process, ())).0
    }
}

/// Puts a process function behind an edge.
fn processed<'p, P: Process, H>(
    keyed: Keyed<'p, P::Key, P::In>,
    ttl: Option<Ttl>,
    make: impl FnOnce(&mut Outputs<'p>) -> (P, H),
) -> (Stream<'p, ProcessStage<P>>, H) {
    let Keyed { upstream, keys, .. } = keyed;
    let Stream { pipeline, stage, node, head, partitions } = upstream.by_key();
    let node = pipeline.node(P::NAME, &[node]);
    let mut outputs = Outputs::new(pipeline, node);
    let (process, handed_out) = make(&mut outputs);
    let config = pipeline.config();
    let settings = Settings {
        fire_max: config.fire_max,
        keys_max: config.keys_max,
        batch_max: config.batch_max,
        passing_max: match P::ORDER {
            Order::Arrival => 0,
            Order::Time => 2 * config.batch_max,
        },
        expires: ttl.map(|ttl| match ttl.is_by_processing_time() {
            true => TimerClock::ProcessingTime,
            false => TimerClock::EventTime,
        }),
    };
    pipeline.reserve_bytes(Early::<P::Key, P::In>::bytes(settings.passing_max));
    let shared = Shared {
        timers: Timers::new(config.timers_max, config.hash_seed),
        out: VecDeque::with_capacity(config.batch_max),
        term: term_of(ttl, pipeline),
        watermark: Watermark::START,
        told: Watermark::START,
        shard: pipeline.shard(),
        timers_max: config.timers_max,
        emits_max: config.emits_max,
        emitted: 0,
        late: 0,
        broken: None,
    };
    let table = Table::new(config.hash_seed);
    let outlets = outputs.into_outlets();
    let stage = ProcessStage { stage, process, keys, table, shared, outlets, settings };
    (Stream { pipeline, stage, node, head, partitions }, handed_out)
}

struct ProcessStage<P: Process> {
    stage: Edge<P::In>,
    process: P,
    keys: Rc<dyn KeyColumn<P::Key, P::In>>,
    table: Table<P::Key, context::Slot<P::State>>,
    shared: Shared<P>,
    outlets: Vec<Rc<dyn Outlet>>,
    settings: Settings,
}

impl<P: Process> Stage for ProcessStage<P> {
    type Out = P::Out;

    fn close<N: Operator<P::Out>>(self, next: N) -> Box<dyn Runnable> {
        let Self { stage, process, keys, table, shared, outlets, settings } = self;
        let timers_max = shared.timers_max;
        stage.close(ProcessOperator {
            process,
            keys,
            column: Vec::with_capacity(settings.batch_max),
            table,
            shared,
            outlets,
            settings,
            sweep: Sweep::default(),
            held: Held::new(settings.batch_max),
            early: Early::new(settings.passing_max, timers_max),
            credit: 0,
            unpublished: 0,
            budget: settings.fire_max,
            taken: 0,
            held_keys: Share::of(Counter::Keys),
            next,
        })
    }
}
