//! Building sessions on a keyed stream.

use std::rc::Rc;
use std::time::Duration;

use crate::dataflow::{Edge, KeyColumn, Keyed, Operator, Runnable, Stage, Stream};
use crate::error::ConfigError;
use crate::exchange::Side;
use crate::exchange::with_late;
use crate::state::Key;
use crate::time::nanos;
use crate::window::session::gap::{Gap, Session};
use crate::window::session::operator::{SessionOperator, Settings};
use crate::window::{Aggregate, Windowed};

/// Sessions of one key at once, unless [`SessionStream::sessions_max`] says otherwise.
const SESSIONS_MAX: usize = 1024;

impl<'p, K: Key, T: 'static> Keyed<'p, K, T> {
    /// Groups the records of each key into sessions, which end when the key has been silent for a
    /// gap. An aggregate must follow.
    ///
    /// A session fires when the watermark has passed its end, and not before: a record at the end
    /// itself, a gap behind the last one, still belongs to it. Its result carries the time
    /// `span.end` less 1 ns. Records may come in any order: one that falls between two sessions and
    /// touches both makes them one.
    ///
    /// ```
    /// use millstream::aggregates::count;
    /// use millstream::{io::IterSource, ms, Record, Session, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let times = [0, 300, 800, 2_000].map(Timestamp::from_millis);
    ///     let clicks = times.map(|at| Record::new(at, "ann"));
    ///     let mut visits = [(0, 1_300, 3), (2_000, 2_500, 1)].into_iter();
    ///     p.source(IterSource::new(clicks.into_iter()))
    ///         .key_by(|who| who.len())
    ///         .session(Session::gap(ms(500)))
    ///         .aggregate(count())
    ///         .for_each(move |visit| {
    ///             let (start, end, clicks) = visits.next().unwrap();
    ///             assert_eq!(visit.value.span.start, Timestamp::from_millis(start));
    ///             assert_eq!(visit.value.span.end, Timestamp::from_millis(end));
    ///             assert_eq!(visit.value.value, clicks);
    ///         });
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn session<G: Gap<T>>(self, session: Session<G>) -> SessionStream<'p, K, T, G> {
        let Session { gap } = session;
        let (lateness, sessions_max) = (Duration::ZERO, SESSIONS_MAX);
        SessionStream { keyed: self, gap, lateness, sessions_max }
    }
}

/// A keyed stream grouped into sessions, which wants an aggregate.
#[must_use = "a session does nothing until an aggregate and a sink follow"]
pub struct SessionStream<'p, K, T, G> {
    keyed: Keyed<'p, K, T>,
    gap: G,
    lateness: Duration,
    sessions_max: usize,
}

impl<'p, K: Key, T: 'static, G: Gap<T>> SessionStream<'p, K, T, G> {
    /// How long after its end, in event time, a session still takes records. Zero unless set.
    ///
    /// A record that comes after a session has fired and touches it makes that session anew, longer
    /// perhaps and joined with others. If the watermark has passed the end of that as well, it
    /// fires at once ([`Timing::Late`](crate::window::Timing)); otherwise when the watermark does,
    /// as if for the first time. Sessions only ever grow, so **a result replaces all earlier ones
    /// of its key whose spans lie within its own**.
    ///
    /// ```
    /// use millstream::aggregates::count;
    /// use millstream::window::Timing;
    /// use millstream::{io::IterSource, ms, Record, Session, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let clicks = [0, 900, 5].map(|n| Record::new(Timestamp::from_millis(n), n));
    ///     let mut visits = [(1, Timing::OnTime), (2, Timing::Late(1)), (1, Timing::OnTime)];
    ///     let mut visits = visits.into_iter();
    ///     p.source(IterSource::new(clicks.into_iter()))
    ///         .key_by(|_| 0u8)
    ///         .session(Session::gap(ms(100)))
    ///         .allowed_lateness(ms(1_000))
    ///         .aggregate(count())
    ///         .for_each(move |visit| {
    ///             let visit = (visit.value.value, visit.value.timing);
    ///             assert_eq!(Some(visit), visits.next());
    ///         });
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn allowed_lateness(self, lateness: Duration) -> Self {
        Self { lateness, ..self }
    }

    /// Sessions that one key may have at once, at most: 1024 unless set; one more is an error.
    ///
    /// They are those that have not ended and, with allowed lateness, those that may still change.
    /// A record out of order looks through the sessions of its key and may join all of them, so
    /// this bounds what one record can cost: some nanoseconds a session.
    pub fn sessions_max(self, sessions_max: usize) -> Self {
        Self { sessions_max, ..self }
    }

    /// Reduces each session to one value.
    ///
    /// A record is late if it touches no session that is still held and its own would be over by
    /// more than the allowed lateness. Late records are counted and dropped; see
    /// [`aggregate_with_late`](Self::aggregate_with_late).
    pub fn aggregate<A: Aggregate<T>>(
        self,
        aggregate: A,
    ) -> Stream<'p, impl Stage<Out = Windowed<K, A::Out>> + use<'p, K, T, G, A>> {
        let Self { keyed: Keyed { upstream, keys, .. }, gap, lateness, sessions_max } = self;
        let bounds = Bounds { lateness, sessions_max };
        sessions(upstream.by_key(), keys, gap, aggregate, bounds, None)
    }

    /// Like [`aggregate`](Self::aggregate), and late records go to a stream of their own.
    ///
    /// ```
    /// use millstream::aggregates::count;
    /// use millstream::{io::IterSource, ms, Record, Session, Simulation, Timestamp};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let readings = [5, 250, 7].map(|n| Record::new(Timestamp::from_millis(n), n));
    ///     let (counts, late) = p
    ///         .source(IterSource::new(readings.into_iter()))
    ///         .key_by(|_| 0u8)
    ///         .session(Session::gap(ms(10)))
    ///         .aggregate_with_late(count());
    ///     counts.for_each(|session| assert_eq!(session.value.value, 1));
    ///     late.for_each(|record| assert_eq!(record.value, 7));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn aggregate_with_late<A: Aggregate<T>>(
        self,
        aggregate: A,
    ) -> (
        Stream<'p, impl Stage<Out = Windowed<K, A::Out>> + use<'p, K, T, G, A>>,
        Stream<'p, Edge<T>>,
    ) {
        let Self { keyed: Keyed { upstream, keys, .. }, gap, lateness, sessions_max } = self;
        let bounds = Bounds { lateness, sessions_max };
        with_late(upstream.by_key(), |stream, late| {
            sessions(stream, keys, gap, aggregate, bounds, Some(late))
        })
    }
}

/// What is asked of sessions beside their gap.
struct Bounds {
    lateness: Duration,
    sessions_max: usize,
}

/// Puts a session operator behind an edge.
fn sessions<'p, K, T, G, A>(
    stream: Stream<'p, Edge<T>>,
    keys: Rc<dyn KeyColumn<K, T>>,
    gap: G,
    aggregate: A,
    bounds: Bounds,
    late: Option<Side<T>>,
) -> Stream<'p, impl Stage<Out = Windowed<K, A::Out>> + use<'p, K, T, G, A>>
where
    K: Key,
    T: 'static,
    G: Gap<T>,
    A: Aggregate<T>,
{
    let pipeline = stream.pipeline;
    let sessions_max = u32::try_from(bounds.sessions_max).unwrap_or(u32::MAX);
    if let Err(error) = gap.check() {
        pipeline.reject(error);
    }
    if sessions_max == 0 {
        let reason = "a key needs a session to be in";
        pipeline.reject(ConfigError::setting("sessions_max", 0, reason));
    }
    let config = pipeline.config();
    let settings = Settings {
        lateness_ns: nanos(bounds.lateness),
        sessions_max,
        fire_max: config.fire_max,
        keys_max: config.keys_max,
        batch_max: config.batch_max,
        hash_seed: config.hash_seed,
    };
    stream.then(format!("session ({gap})"), |stage| SessionStage {
        stage,
        settings,
        gap,
        aggregate,
        keys,
        late,
    })
}

struct SessionStage<K, T, G, A> {
    stage: Edge<T>,
    settings: Settings,
    gap: G,
    aggregate: A,
    keys: Rc<dyn KeyColumn<K, T>>,
    late: Option<Side<T>>,
}

impl<K: Key, T: 'static, G: Gap<T>, A: Aggregate<T>> Stage for SessionStage<K, T, G, A> {
    type Out = Windowed<K, A::Out>;

    fn close<N: Operator<Self::Out>>(self, next: N) -> Box<dyn Runnable> {
        let Self { stage, settings, gap, aggregate, keys, late } = self;
        stage.close(SessionOperator::new(settings, gap, aggregate, keys, late, next))
    }
}
