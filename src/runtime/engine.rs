//! Pinned shards: built, started, watched and stopped together.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::checkpoint::Notice;
use crate::config::Config;
use crate::dataflow::{Epoch, Fabric, Pipeline, Plan, build};
use crate::error::{Error, ErrorKind, Result};
use crate::metrics::{Counter, Counters};
use crate::runtime::careful::WithCare;
use crate::runtime::coordinator::{Checkpoints, Coordinator, Desk};
use crate::runtime::monitor::Monitor;
use crate::runtime::placement::place;
use crate::runtime::poison::Poison;
use crate::runtime::restart::Restart;
use crate::runtime::seat::{Beginning, Build, Finished, Seat, Thread, executor_error, spawn};
use crate::runtime::watchdog::Watchdog;
use crate::shard::{
    Counts, Ended, Latencies, Place, Search, StageWork, Trial, Verdict, WorstStep, beyond,
};
use crate::time::SystemClock;

/// What a run came to.
pub struct Summary {
    /// Counters summed over the shards.
    pub counters: Counters,
    /// Latencies of all shards, after the warm-up.
    pub latencies: Latencies,
    /// The longest step of any shard after the warm-up.
    pub worst_step: Option<WorstStep>,
    /// The most that each stage did in one call after the warm-up, on whatever shard that was.
    pub stage_work: Vec<StageWork>,
    /// From the moment when all shards had been built until the last one was done.
    pub elapsed: Duration,
    /// The drawing of the pipeline.
    pub plan: Plan,
    /// How often the pipeline failed and began again.
    pub restarts: u32,
    /// What was no error and nobody may miss of the checkpoints.
    pub notices: Vec<Notice>,
}

/// A pipeline's host: shards pinned to cores, one glommio executor for each.
///
/// ```no_run
/// use millstream::{aggregates::ohlc, io::Generator, secs, Config, Engine, Tumbling};
/// # fn main() -> millstream::Result<()> {
/// let summary = Engine::new(Config::low_latency())?.run(|p| {
///     let trades = Generator::at_rate(1e6, |n, _due| (n % 100, n as f64))?;
///     p.source(trades.share(p.shard(), p.shards()).duration(secs(10)))
///         .key_by(|trade| trade.0)
///         .window(Tumbling::of(secs(1)))
///         .aggregate(ohlc(|trade: &(u64, f64)| trade.1))
///         .for_each(|bar| println!("{:?}", bar.value));
///     Ok(())
/// })?;
/// println!("{:?}", summary.latencies.to_sink.percentiles());
/// # Ok(())
/// # }
/// ```
pub struct Engine {
    config: Arc<Config>,
    cpus: Vec<usize>,
    monitor: Monitor,
    warm_up: Duration,
    checkpoints: Option<Checkpoints>,
    restart: Restart,
    poison: Option<Poison>,
    /// How long a step may take before its shard counts as stuck.
    patience: Option<Duration>,
}

/// What a run knows from one start of the shards to the next.
struct Course {
    build: Build,
    plan: Plan,
    poison: Option<Poison>,
    /// Records that go nowhere.
    passes_over: Vec<Place>,
    search: Search,
}

/// What stopped the shards, and how far their sources were.
struct Failed {
    error: Error,
    counts: Counts,
}

impl<E: Into<Error>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self { error: error.into(), counts: Vec::new() }
    }
}

impl Engine {
    /// An engine with this config, checked against this host.
    ///
    /// # Errors
    /// An impossible setting, a CPU that does not exist, or more spinning shards than CPUs.
    pub fn new(config: Config) -> Result<Self> {
        config.check()?;
        let cpus = place(&config)?;
        let monitor = Monitor::new(cpus.len());
        let (config, warm_up, restart) = (Arc::new(config), Duration::ZERO, Restart::none());
        let (checkpoints, poison, patience) = (None, None, None);
        Ok(Self { config, cpus, monitor, warm_up, checkpoints, restart, poison, patience })
    }

    /// Takes checkpoints while it runs, and one more when every input has ended. The run begins
    /// with the newest one that is kept, if there is one.
    ///
    /// Sources must have positions to go back to, and every step must be such that there can be
    /// snapshots of it.
    ///
    /// ```no_run
    /// use millstream::runtime::{Checkpoints, InMemory, Restart};
    /// use millstream::{ms, secs, Config, Engine};
    /// # fn main() -> millstream::Result<()> {
    /// let engine = Engine::new(Config::default())?
    ///     .checkpoints(Checkpoints::every(secs(1), InMemory::default()))
    ///     .restart(Restart::exponential(ms(10), secs(30)).jitter(0.2));
    /// # let _ = engine;
    /// # Ok(())
    /// # }
    /// ```
    pub fn checkpoints(self, checkpoints: Checkpoints) -> Self {
        Self { checkpoints: Some(checkpoints), ..self }
    }

    /// Begins again after a failure that may not come again: an I/O error, a panic. Without
    /// checkpoints it begins from the beginning.
    pub fn restart(self, restart: Restart) -> Self {
        Self { restart, ..self }
    }

    /// Finds out which record it is that makes the pipeline fail, and does with it what the policy
    /// says. Unless this is set, a failure that comes again with a record is like any other.
    pub fn poison(self, poison: Poison) -> Self {
        Self { poison: Some(poison), ..self }
    }

    /// Leaves latencies out of the summary that were measured within this time of the start.
    pub fn warm_up(self, warm_up: Duration) -> Self {
        Self { warm_up, ..self }
    }

    /// Ends the run with [`Error::Stuck`] when a shard has been in one step for so long: an endless
    /// loop in a function of the user's own, a sink that blocks for ever. Nobody can stop that
    /// shard's thread, so the others end, it is left behind, and the pipeline does not begin again:
    /// that is for whoever starts the process anew. Nothing is watched unless this is set; seconds
    /// are right, since a host takes its milliseconds.
    pub fn watchdog(self, patience: Duration) -> Self {
        Self { patience: Some(patience), ..self }
    }

    /// A window into the engine for other threads, from before it runs until after it has stopped.
    pub fn monitor(&self) -> Monitor {
        self.monitor.clone()
    }

    /// The CPU of each shard.
    pub fn cpus(&self) -> &[usize] {
        &self.cpus
    }

    /// Builds the pipeline once, on the calling thread, checks it, and returns its drawing. Nothing
    /// runs.
    ///
    /// # Errors
    /// What the closure returned, or what is wrong with the pipeline.
    pub fn plan(&self, build_pipeline: impl Fn(Pipeline<'_>) -> Result<()>) -> Result<Plan> {
        let fabric = Arc::new(Fabric::new(self.cpus.len()));
        let (built, ()) = build(0, &self.config, &fabric, &build_pipeline)?;
        Ok(built.plan)
    }

    /// Runs the pipeline until every input has ended, the engine is stopped, or a shard fails.
    ///
    /// The closure is called once on the calling thread, to check the pipeline before any thread
    /// starts, and then once on every shard.
    ///
    /// # Errors
    /// What is wrong with the pipeline, or what stopped a shard: an I/O error, a limit, a panic.
    /// All shards have stopped when this returns.
    pub fn run(
        mut self,
        build_pipeline: impl Fn(Pipeline<'_>) -> Result<()> + Send + Sync + 'static,
    ) -> Result<Summary> {
        self.restart.check()?;
        let plan = self.plan(&build_pipeline)?;
        let (build, poison) = (Arc::new(build_pipeline), self.poison.take());
        let (passes_over, search) = Default::default();
        let mut course = Course { build, plan, poison, passes_over, search };
        let mut restarts = self.restart.begin(self.config.hash_seed);
        let (begun, mut count) = (Instant::now(), 0); // tidy: once a run
        loop {
            let failed = match self.attempt(&course) {
                Ok(results) => return Ok(self.summary(results, course.plan, count)),
                Err(failed) => failed,
            };
            if let Err(error) = self.search(failed, &mut course) {
                if error.kind() != ErrorKind::Restartable {
                    return Err(error);
                }
                match restarts.after_failure(begun.elapsed()) {
                    Some(delay) if self.wait(delay) => {}
                    _ => return Err(error),
                }
            }
            count += 1;
            self.monitor.begin_again();
        }
    }

    /// Looks for the records that made the pipeline fail and sets them aside. The error is what is
    /// left: nobody looks, or no record was to blame for it.
    fn search(&self, failed: Failed, course: &mut Course) -> Result<()> {
        let Failed { error, counts } = failed;
        if course.poison.is_none() || !error.may_be_of_a_record() {
            return Err(error);
        }
        let goal = beyond(counts, self.config.batch_max);
        let (mut search, mut found) = (std::mem::take(&mut course.search), false);
        search.begin();
        let result = loop {
            let failure = match self.with_care(course, &course.passes_over, &goal, None)? {
                Ended::Past(_) if found && !self.monitor.was_asked_to_stop() => break Ok(()),
                Ended::Past(_) => break Err(error),
                Ended::Failed(failure) => failure,
            };
            let run =
                |without: &[Place], trial| self.with_care(course, without, &goal, Some(trial));
            let verdict = search.judge(&failure, &course.passes_over, run)?;
            if self.monitor.was_asked_to_stop() {
                // Then no run was as long as it should have been.
                break Err(failure.error);
            }
            match verdict {
                Verdict::Guilty(records) => {
                    self.set_aside(records, &failure.error, course)?;
                    found = true;
                }
                Verdict::Unsure => {}
                Verdict::Nobody => break Err(failure.error),
            }
        };
        course.search = search;
        result
    }

    fn set_aside(&self, records: Vec<Place>, failure: &Error, course: &mut Course) -> Result<()> {
        for place in records {
            if let Some(poison) = &mut course.poison {
                poison.set_aside(&place, failure)?;
            }
            // No shard runs, so nobody else counts.
            self.monitor.shard(place.shard).add(Counter::DeadLettered, 1);
            course.passes_over.push(place);
        }
        Ok(())
    }

    /// Runs all shards from the newest checkpoint on, one record at a time, until their sources
    /// have given as many records as the goal says, or as long as a trial lasts.
    fn with_care(
        &self,
        course: &Course,
        passes_over: &[Place],
        goal: &Counts,
        trial: Option<Trial>,
    ) -> Result<Ended> {
        self.monitor.begin_again();
        let (epoch, from) = self.newest(&course.plan)?;
        let desks = self.cpus.iter().map(|_| None).collect();
        let run = WithCare {
            seats: self.seats(course, passes_over, desks, from),
            checkpoints: self.checkpoints.clone().map(|checkpoints| (epoch, checkpoints)),
            hash_seed: self.config.hash_seed,
            monitor: self.monitor.clone(),
            clock: SystemClock::new(),
            taken: None,
        };
        let goal = goal.clone();
        let thread = spawn(self.cpus[0], move || run.run(&goal, trial.as_ref()))?;
        if let Some((shard, patience)) = self.watch() {
            return Err(Error::Stuck { shard, patience });
        }
        thread.join().map_err(|error| executor_error("join", &error))
    }

    /// Waits, unless somebody asks the engine to stop. Returns whether nobody did.
    fn wait(&self, delay: Duration) -> bool {
        let begun = Instant::now(); // tidy: between two runs of the shards
        while begun.elapsed() < delay && !self.monitor.was_asked_to_stop() {
            std::thread::sleep((delay - begun.elapsed().min(delay)).min(Duration::from_millis(1)));
        }
        !self.monitor.was_asked_to_stop()
    }

    /// The newest checkpoint, and what each shard begins with.
    fn newest(&self, plan: &Plan) -> Result<(Option<Epoch>, Option<Arc<Beginning>>)> {
        let newest = match &self.checkpoints {
            Some(checkpoints) => {
                let newest = checkpoints.newest(&self.config, plan);
                self.monitor.tell(checkpoints.notices());
                newest?
            }
            None => None,
        };
        let Some((epoch, snapshots)) = newest else { return Ok((None, None)) };
        Ok((Some(epoch), Some(Arc::new(Beginning { epoch, snapshots }))))
    }

    /// Builds and runs all shards, from the newest checkpoint on, until they are done or one has
    /// failed.
    fn attempt(&self, course: &Course) -> Result<Vec<Finished>, Failed> {
        let (epoch, from) = self.newest(&course.plan)?;
        let coordinator = self.checkpoints.clone().map(|checkpoints| {
            Coordinator::new(checkpoints, self.monitor.clone(), epoch, self.config.hash_seed)
        });
        let (coordinator, desks) = match coordinator {
            Some((coordinator, desks)) => {
                (Some(coordinator), desks.into_iter().map(Some).collect::<Vec<_>>())
            }
            None => (None, self.cpus.iter().map(|_| None).collect()),
        };
        let threads = self.start(self.seats(course, &course.passes_over, desks, from));
        let control = coordinator.map(|it| std::thread::spawn(move || it.run()));
        let results = self.join(threads);
        if let Some(control) = control {
            // It is over when the shards are: it has seen that they are done, or that they stopped.
            self.monitor.over();
            let _ = control.join();
        }
        results
    }

    fn seats(
        &self,
        course: &Course,
        passes_over: &[Place],
        desks: Vec<Option<Desk>>,
        from: Option<Arc<Beginning>>,
    ) -> Vec<Seat> {
        let fabric = Arc::new(Fabric::new(self.cpus.len()));
        let (clock, passes_over) = (SystemClock::new(), Arc::from(passes_over));
        let all = desks.into_iter().enumerate();
        let seat = |(index, desk)| Seat {
            index,
            cpu: self.cpus[index],
            config: self.config.clone(),
            fabric: fabric.clone(),
            monitor: self.monitor.clone(),
            clock: clock.clone(),
            warm_up: self.warm_up,
            build: course.build.clone(),
            desk,
            from: from.clone(),
            passes_over: Arc::clone(&passes_over),
        };
        all.map(seat).collect()
    }

    fn start(&self, seats: Vec<Seat>) -> Vec<Thread<Option<Finished>>> {
        let mut threads = Vec::new();
        for seat in seats {
            match spawn(seat.cpu, move || seat.run()) {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    self.monitor.fail(error);
                    break;
                }
            }
        }
        threads
    }

    /// Waits until all shards have ended, or one is stuck: which, and for how long it was waited.
    fn watch(&self) -> Option<(usize, Duration)> {
        let stuck = Watchdog::new(self.monitor.clone(), self.patience).wait();
        stuck.zip(self.patience)
    }

    /// Waits for all shards. What stopped one of them is an error.
    fn join(&self, threads: Vec<Thread<Option<Finished>>>) -> Result<Vec<Finished>, Failed> {
        let mut results = Vec::new();
        let stuck = match threads.len() == self.cpus.len() {
            true => self.watch(),
            // Those that there are have been told to stop before they began.
            false => None,
        };
        if let Some((shard, patience)) = stuck {
            self.monitor.fail(Error::Stuck { shard, patience });
        }
        for (index, thread) in threads.into_iter().enumerate() {
            if stuck.is_some_and(|(shard, _)| shard == index) {
                // Its end may never come.
                drop(thread);
                continue;
            }
            match thread.join() {
                Ok(result) => results.push(result),
                Err(error) => self.monitor.fail(executor_error("join", &error)),
            }
        }
        let Some(error) = self.monitor.take_failure() else {
            return Ok(results.into_iter().flatten().collect());
        };
        let counts = |result: Option<Finished>| result.map_or(Vec::new(), |it| it.counts);
        Err(Failed { error, counts: results.into_iter().map(counts).collect() })
    }

    fn summary(&self, results: Vec<Finished>, plan: Plan, restarts: u32) -> Summary {
        let mut latencies = Latencies::default();
        let (mut worst_step, mut stage_work) = (None, Vec::new());
        let mut elapsed = Duration::ZERO;
        for result in results {
            latencies.merge(&result.latencies);
            worst_step = WorstStep::longer(worst_step, result.worst_step);
            StageWork::merge(&mut stage_work, result.stage_work);
            elapsed = elapsed.max(result.elapsed);
        }
        let counters = self.monitor.counters();
        let notices = self.monitor.notices();
        Summary { counters, latencies, worst_step, stage_work, elapsed, plan, restarts, notices }
    }
}
