//! Of the results of a window only the last one.

use std::marker::PhantomData;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::dataflow::{Stage, Stream};
use crate::operators::{KeyContext, Process, Timer};
use crate::state::{Key, State};
use crate::time::Timestamp;
use crate::window::Windowed;

impl<'p, K, R, S> Stream<'p, S>
where
    K: Key,
    R: State,
    S: Stage<Out = Windowed<K, R>>,
{
    /// Holds back what windows yield until they are closed, and then lets the last result of each
    /// window and key go on: none of those that were early, nor any that a late record has
    /// replaced. `lateness` is the allowed lateness of the windows; they are closed when the
    /// watermark comes to their end and that much more.
    ///
    /// Results go on in the order of the ends of their windows, those of one end in the order in
    /// which the first result of each came. They keep their timestamps, the last instant of their
    /// window; with a lateness other than zero that is behind the watermark.
    ///
    /// A window is known by its key and span. Sessions grow, and one that has shown itself early
    /// under a shorter span has then shown two.
    ///
    /// ```
    /// use millstream::{aggregates::count, io::IterSource, ms, Record, Simulation, Timestamp};
    /// use millstream::{Timing, Tumbling, Watermarks};
    /// use millstream::window::triggers::{self, event_time};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let times = [1, 2, 3, 14].map(|at| Record::new(Timestamp::from_millis(at), at));
    ///     p.source(IterSource::new(times.into_iter()))
    ///         .event_time(|at| Timestamp::from_millis(*at), Watermarks::monotonic())
    ///         .key_by(|_| ())
    ///         .window(Tumbling::of(ms(10)))
    ///         .trigger(event_time().early(triggers::count(1)))
    ///         .aggregate(count())
    ///         .until_closed(ms(0))
    ///         .for_each(|window| assert_eq!(window.value.timing, Timing::OnTime));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn until_closed(self, lateness: Duration) -> Stream<'p, impl Stage<Out = Windowed<K, R>>> {
        let window = |result: &Windowed<K, R>| (result.key, result.span.start, result.span.end);
        self.partitioned_by(window).process(UntilClosed { lateness, types: PhantomData })
    }
}

struct UntilClosed<K, R> {
    lateness: Duration,
    types: PhantomData<fn(K, R)>,
}

/// The last result so far.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Last<K, R> {
    result: Option<Windowed<K, R>>,
    at: Timestamp,
}

impl<K, R> Default for Last<K, R> {
    fn default() -> Self {
        Self { result: None, at: Timestamp::MIN }
    }
}

impl<K: Key, R: State> Process for UntilClosed<K, R> {
    type Key = (K, Timestamp, Timestamp);
    type In = Windowed<K, R>;
    type State = Last<K, R>;
    type Out = Windowed<K, R>;

    const NAME: &'static str = "until_closed";

    fn on_record(&mut self, result: Windowed<K, R>, ctx: &mut KeyContext<'_, Self>) {
        if ctx.get().is_none() {
            ctx.set_timer(result.span.end + self.lateness);
        }
        let at = ctx.at();
        *ctx.state() = Last { result: Some(result), at };
    }

    fn on_timer(&mut self, _: Timer, ctx: &mut KeyContext<'_, Self>) {
        let last = ctx.get().copied().unwrap_or_default();
        ctx.clear();
        if let Some(result) = last.result {
            ctx.emit_at(last.at, result);
        }
    }
}
