//! One shard under a virtual clock, driven by a test.

use std::time::Duration;

use crate::config::Config;
use crate::dataflow::{Held, Pipeline, Plan, Shown};
use crate::error::{ConfigError, Error, Result};
use crate::metrics::{Counter, Counters};
use crate::shard::{Shard, Snapshot};
use crate::state::Key;
use crate::time::Timestamp;
use crate::window::Span;

/// A pipeline on one shard, in the test's own thread, under a clock that only the test moves.
///
/// Records, watermarks and silence go in by [`test_input`](Pipeline::test_input), results come out
/// by [`test_output`](crate::Stream::test_output), and between two steps everything that operators
/// hold can be read. Nothing happens by itself: [`settle`](Self::settle) steps until there is
/// nothing left to do, and processing time stands still until [`advance`](Self::advance).
///
/// ```
/// use millstream::aggregates::sum;
/// use millstream::metrics::Counter;
/// use millstream::testing::TestDriver;
/// use millstream::{ms, Timestamp, Tumbling};
/// # fn main() -> millstream::Result<()> {
/// let (mut driver, (trades, bars, late)) = TestDriver::new(|p| {
///     let (trades, stream) = p.test_input::<(u32, u64)>();
///     let (bars, late) = stream
///         .key_by(|trade| trade.0)
///         .window(Tumbling::of(ms(10)))
///         .aggregate_with_late(sum(|trade: &(u32, u64)| trade.1));
///     Ok((trades, bars.test_output(), late.test_output()))
/// })?;
///
/// trades.push(Timestamp::from_millis(1), (7, 100));
/// trades.push(Timestamp::from_millis(2), (7, 50));
/// driver.settle()?;
/// assert!(bars.take().is_empty(), "the window is open");
/// let (span, key, so_far) = driver.panes::<u32, u64>("window")?[0];
/// assert_eq!((span.end, key, so_far), (Timestamp::from_millis(10), 7, 150));
///
/// trades.watermark(Timestamp::from_millis(10));
/// trades.push(Timestamp::from_millis(3), (7, 1));
/// driver.settle()?;
/// assert_eq!(bars.take_values()[0].value, 150);
/// assert_eq!(late.take_values(), [(7, 1)]);
/// assert_eq!(driver.counter(Counter::Late), 1);
/// # Ok(())
/// # }
/// ```
pub struct TestDriver {
    shard: Shard,
    now: Timestamp,
    steps_max: u64,
}

/// After so many steps in a row that found something to do, a pipeline does not come to rest.
const STEPS_MAX: u64 = 1_000_000;

impl TestDriver {
    /// Builds a pipeline and returns the driver, with whatever the closure returned: the inputs and
    /// outputs. Processing time is zero.
    ///
    /// # Errors
    /// What the closure returned, or what is wrong with the pipeline.
    pub fn new<H>(build: impl for<'p> FnOnce(Pipeline<'p>) -> Result<H>) -> Result<(Self, H)> {
        Self::with_config(Config::embedded(), build)
    }

    /// Like [`new`](Self::new), with a config: small batches and slices, few keys.
    ///
    /// # Errors
    /// An impossible setting too; more than one shard is one.
    pub fn with_config<H>(
        config: Config,
        build: impl for<'p> FnOnce(Pipeline<'p>) -> Result<H>,
    ) -> Result<(Self, H)> {
        let (shard, handles) = Shard::embed_simulated(config, build)?;
        Ok((Self { shard, now: Timestamp(0), steps_max: STEPS_MAX }, handles))
    }

    /// Sets after how many steps [`settle`](Self::settle) gives up; a million unless set.
    pub fn steps_max(mut self, steps: u64) -> Self {
        self.steps_max = steps;
        self
    }

    /// Steps until there is nothing left to do. Processing time stands still.
    ///
    /// # Errors
    /// What stopped the pipeline, or that it does not come to rest.
    pub fn settle(&mut self) -> Result<()> {
        for _ in 0..self.steps_max {
            if !self.step()? {
                return Ok(());
            }
        }
        let steps = self.steps_max;
        let what = format!("it still finds something to do after {steps} steps in a row");
        Err(ConfigError::Pipeline(what).into())
    }

    /// One step, for what is cut into slices; returns whether it found something to do.
    ///
    /// # Errors
    /// What stopped the pipeline.
    pub fn step(&mut self) -> Result<bool> {
        let work = self.shard.step(self.now);
        match self.shard.take_failure() {
            Some(error) => Err(error),
            None => Ok(!work.is_none()),
        }
    }

    /// Lets processing time pass, all at once: steps until there is nothing left to do, before it
    /// and after it.
    ///
    /// # Errors
    /// As [`settle`](Self::settle).
    pub fn advance(&mut self, by: Duration) -> Result<()> {
        self.settle()?;
        self.now = self.now + by;
        self.settle()
    }

    /// Copies all that the pipeline holds, with the clock and with how far each input has come, to
    /// try from there what may happen next, as often as it takes.
    ///
    /// ```
    /// use millstream::aggregates::sum;
    /// use millstream::testing::TestDriver;
    /// use millstream::{ms, Timestamp, Tumbling};
    /// # fn main() -> millstream::Result<()> {
    /// let build = || {
    ///     TestDriver::new(|p| {
    ///         let (trades, stream) = p.test_input::<u64>();
    ///         let windows = stream.key_by(|_| ()).window(Tumbling::of(ms(10)));
    ///         Ok((trades, windows.aggregate(sum(|qty: &u64| *qty)).test_output()))
    ///     })
    /// };
    /// let (mut driver, (trades, _)) = build()?;
    /// trades.push(Timestamp::from_millis(1), 100);
    /// driver.settle()?;
    /// let half_way = driver.snapshot()?;
    ///
    /// for more in [1, 2] {
    ///     let (mut driver, (trades, bars)) = build()?;
    ///     driver.restore(&half_way)?;
    ///     trades.push(Timestamp::from_millis(2), more);
    ///     trades.watermark(Timestamp::from_millis(10));
    ///     driver.settle()?;
    ///     assert_eq!(bars.take_values()[0].value, 100 + more);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Not in it: counters, which begin anew, and what came out and was not taken.
    ///
    /// # Errors
    /// That the pipeline is not at rest, and where: [`settle`](Self::settle) first. That there can
    /// be no snapshot of one of its steps, as of a source that has no position.
    pub fn snapshot(&self) -> Result<Snapshot> {
        self.shard.snapshot()
    }

    /// Goes on from a snapshot, of this pipeline or of another that the same closure has built. To
    /// be called on a driver that was just built.
    ///
    /// # Errors
    /// That the snapshot is of another pipeline, and what tells. This driver is of no use then.
    pub fn restore(&mut self, snapshot: &Snapshot) -> Result<()> {
        self.shard.restore(snapshot)?;
        self.now = self.now.max(snapshot.now());
        Ok(())
    }

    /// Processing time.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Whether every input has been closed and everything it led to has come out.
    pub fn is_done(&self) -> bool {
        self.shard.is_done()
    }

    /// One counter: how many records were late, dropped, ...
    pub fn counter(&self, counter: Counter) -> u64 {
        self.counters().get(counter)
    }

    /// All counters.
    pub fn counters(&self) -> Counters {
        self.shard.counters().snapshot()
    }

    /// The drawing of the pipeline.
    pub fn plan(&self) -> &Plan {
        self.shard.plan()
    }

    /// What every operator of this name holds for its keys, in the order of the keys: of `reduce`
    /// the running values.
    ///
    /// # Errors
    /// That no operator of this name holds anything of the kind is no error but an empty list; keys
    /// or values of other types are one, which names them.
    pub fn state<K: Key, V: Clone + 'static>(&self, operator: &str) -> Result<Vec<(K, V)>> {
        self.held(operator, |held| match held {
            Held::Value { value, type_name, slice: None } => {
                Some(typed::<V>(value.downcast_ref(), type_name))
            }
            _ => None,
        })
    }

    /// What every operator of this name holds by slices of event time, in the order of the slices
    /// and keys: of `window` what a window of that slice alone would yield now.
    ///
    /// # Errors
    /// As [`state`](Self::state).
    pub fn panes<K: Key, V: Clone + 'static>(&self, operator: &str) -> Result<Vec<(Span, K, V)>> {
        let held = self.held(operator, |held| match held {
            Held::Value { value, type_name, slice: Some((start, end)) } => {
                let value = typed::<V>(value.downcast_ref(), type_name);
                Some(value.map(|value| (Span { start, end }, value)))
            }
            _ => None,
        });
        let mut panes: Vec<_> =
            held?.into_iter().map(|(key, (span, value))| (span, key, value)).collect();
        panes.sort_by_key(|(span, ..)| (span.start, span.end));
        Ok(panes)
    }

    /// The timers that every operator of this name keeps, in the order in which they are due.
    ///
    /// # Errors
    /// As [`state`](Self::state).
    pub fn timers<K: Key>(&self, operator: &str) -> Result<Vec<(Timestamp, K)>> {
        let held = self.held(operator, |held| match held {
            Held::Timer(due) => Some(Ok(due)),
            Held::Value { .. } => None,
        });
        let mut timers: Vec<_> = held?.into_iter().map(|(key, due)| (due, key)).collect();
        timers.sort_by_key(|(due, _)| *due);
        Ok(timers)
    }

    /// Everything that every operator holds, a line each: the operator, the key, the slice, and the
    /// type of the value. For a look when a test fails.
    pub fn holds(&self) -> Vec<String> {
        let mut lines = Vec::new();
        self.shard.inspect(&mut |shown| {
            let Shown { operator, key, held, .. } = shown;
            lines.push(match held {
                Held::Value { type_name, slice: None, .. } => {
                    format!("{operator} {key:?}: {type_name}")
                }
                Held::Value { type_name, slice: Some((start, end)), .. } => {
                    format!("{operator} {key:?} [{start:?}, {end:?}): {type_name}")
                }
                Held::Timer(due) => format!("{operator} {key:?}: timer due {due:?}"),
            });
        });
        lines.sort();
        lines
    }

    /// What `pick` takes of what an operator holds, by key.
    fn held<K: Key, P>(
        &self,
        operator: &str,
        pick: impl Fn(Held<'_>) -> Option<Result<P, String>>,
    ) -> Result<Vec<(K, P)>> {
        let (mut found, mut wrong) = (Vec::new(), None);
        self.shard.inspect(&mut |shown| {
            if shown.operator != operator {
                return;
            }
            let Some(picked) = pick(shown.held) else { return };
            match (shown.typed_key.downcast_ref::<K>(), picked) {
                (Some(key), Ok(picked)) => found.push((*key, picked)),
                (None, _) => {
                    let (key, asked) = (shown.key, std::any::type_name::<K>());
                    wrong = Some(format!("the key {key:?} of `{operator}` is no {asked}"));
                }
                (_, Err(why)) => wrong = Some(format!("`{operator}` holds {why}")),
            }
        });
        if let Some(what) = wrong {
            return Err(Error::Config(ConfigError::Pipeline(what)));
        }
        found.sort_by_key(|(key, _)| *key);
        Ok(found)
    }
}

/// A value of the type that was asked for, or what it is instead.
fn typed<V: Clone + 'static>(value: Option<&V>, type_name: &str) -> Result<V, String> {
    let asked = std::any::type_name::<V>();
    value.cloned().ok_or_else(|| format!("{type_name}, not {asked}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataflow::{Context, Operator, Record, Runnable, Stage, pass_on};

    /// Sets a timer for each record, at its time, and never fires it.
    struct AlarmStage<S>(S);

    struct Alarm<N> {
        set: Vec<(Timestamp, u32)>,
        next: N,
    }

    impl<S: Stage<Out = u32>> Stage for AlarmStage<S> {
        type Out = u32;
        fn close<N: Operator<u32>>(self, next: N) -> Box<dyn Runnable> {
            self.0.close(Alarm { set: Vec::new(), next })
        }
    }

    impl<N: Operator<u32>> Operator<u32> for Alarm<N> {
        fn on_record(&mut self, record: Record<u32>, cx: &mut Context) {
            self.set.push((record.at, record.value));
            self.next.on_record(record, cx);
        }

        fn inspect(&self, each: &mut dyn FnMut(Shown<'_>)) {
            for (due, key) in &self.set {
                each(Shown::timer("alarm", key, *due));
            }
            self.next.inspect(each);
        }

        pass_on!(next: watermark, batch_end, room, checkpoint);
    }

    #[test]
    fn timers_are_read_in_the_order_in_which_they_are_due() {
        let built = TestDriver::new(|p| {
            let (input, stream) = p.test_input::<u32>();
            let alarms = stream.then("alarm", AlarmStage).map(|n| n);
            Ok((input, alarms.key_by(|n| *n).reduce(|_, _| ()).test_output()))
        });
        let (mut driver, (input, _out)) = built.unwrap();
        for (at, key) in [(5, 1), (3, 2), (4, 1)] {
            input.push(Timestamp(at), key);
        }
        driver.settle().unwrap();
        let timers = driver.timers::<u32>("alarm").unwrap();
        assert_eq!(timers, [(Timestamp(3), 2), (Timestamp(4), 1), (Timestamp(5), 1)]);
        assert_eq!(driver.state::<u32, u32>("alarm").unwrap(), []);
        assert_eq!(driver.state::<u32, u32>("reduce").unwrap(), [(1, 1), (2, 2)]);
        assert!(driver.holds().contains(&"alarm 2: timer due 3ns".to_owned()));
    }

    #[test]
    fn a_step_that_does_not_say_what_it_keeps_is_named() {
        let built = TestDriver::new(|p| {
            let (input, stream) = p.test_input::<u32>();
            Ok((input, stream.then("alarm", AlarmStage).map(|n| n).test_output()))
        });
        let (driver, _handles) = built.unwrap();
        let error = driver.snapshot().unwrap_err().to_string();
        assert!(error.contains("tests::Alarm`: it does not say what it keeps"), "{error}");
    }

    #[test]
    fn a_driver_has_one_shard() {
        let error = TestDriver::with_config(Config::simulation(2), |_| Ok(())).err().unwrap();
        assert!(error.to_string().starts_with("shards = 2"), "{error}");
    }
}
