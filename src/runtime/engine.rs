//! Pinned shards: built, started, watched and stopped together.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use glommio::{ExecutorJoinHandle, LocalExecutorBuilder, Placement};

use crate::config::Config;
use crate::dataflow::{Epoch, Fabric, Pipeline, Plan, build};
use crate::error::{Error, ErrorKind, IoError, Result};
use crate::metrics::{Counters, ShardCounters};
use crate::runtime::coordinator::{Checkpoints, Coordinator, Desk};
use crate::runtime::drive::{Driver, caught};
use crate::runtime::monitor::Monitor;
use crate::runtime::placement::place;
use crate::runtime::restart::Restart;
use crate::runtime::watchdog::Watchdog;
use crate::shard::{Latencies, Shard, Snapshot, StageWork, WorstStep};
use crate::time::{Clock, SystemClock};

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
    /// How long a step may take before its shard counts as stuck.
    patience: Option<Duration>,
}

/// The executor's own buffers: it does no I/O of ours, and its default of 10 MiB exhausts the
/// locked-memory limit.
const IO_MEMORY_BYTES: usize = 64 << 10;

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
        Ok(Self { config, cpus, monitor, warm_up, checkpoints: None, restart, patience: None })
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
        self,
        build_pipeline: impl Fn(Pipeline<'_>) -> Result<()> + Send + Sync + 'static,
    ) -> Result<Summary> {
        self.restart.check()?;
        let plan = self.plan(&build_pipeline)?;
        let build_pipeline: Build = Arc::new(build_pipeline);
        let mut restarts = self.restart.begin(self.config.hash_seed);
        let (begun, mut count) = (Instant::now(), 0); // tidy: once a run
        loop {
            match self.attempt(&build_pipeline, &plan) {
                Ok(results) => return Ok(self.summary(results, plan, count)),
                Err(error) if error.kind() != ErrorKind::Restartable => return Err(error),
                Err(error) => match restarts.after_failure(begun.elapsed()) {
                    Some(delay) if self.wait(delay) => count += 1,
                    _ => return Err(error),
                },
            }
            self.monitor.begin_again();
        }
    }

    /// Waits, unless somebody asks the engine to stop. Returns whether nobody did.
    fn wait(&self, delay: Duration) -> bool {
        let begun = Instant::now(); // tidy: between two runs of the shards
        while begun.elapsed() < delay && !self.monitor.was_asked_to_stop() {
            std::thread::sleep((delay - begun.elapsed().min(delay)).min(Duration::from_millis(1)));
        }
        !self.monitor.was_asked_to_stop()
    }

    /// Builds and runs all shards, from the newest checkpoint on, until they are done or one has
    /// failed.
    fn attempt(&self, build_pipeline: &Build, plan: &Plan) -> Result<Vec<Finished>> {
        let from = match &self.checkpoints {
            Some(checkpoints) => checkpoints.newest(&self.config, plan)?,
            None => None,
        };
        let (epoch, snapshots) = match from {
            Some((epoch, shards)) => {
                (Some(epoch), shards.into_iter().map(|shard| Some((epoch, shard))).collect())
            }
            None => (None, vec![None; self.cpus.len()]),
        };
        let coordinator = self.checkpoints.clone().map(|checkpoints| {
            Coordinator::new(checkpoints, self.monitor.clone(), epoch, self.config.hash_seed)
        });
        let (coordinator, desks) = match coordinator {
            Some((coordinator, desks)) => {
                (Some(coordinator), desks.into_iter().map(Some).collect::<Vec<_>>())
            }
            None => (None, self.cpus.iter().map(|_| None).collect()),
        };
        let threads = self.start(build_pipeline, desks, snapshots);
        let control = coordinator.map(|it| std::thread::spawn(move || it.run()));
        let results = self.join(threads);
        if let Some(control) = control {
            // It is over when the shards are: it has seen that they are done, or that they stopped.
            self.monitor.over();
            let _ = control.join();
        }
        results
    }

    fn start(
        &self,
        build_pipeline: &Build,
        desks: Vec<Option<Desk>>,
        snapshots: Vec<Option<(Epoch, Snapshot)>>,
    ) -> Vec<Thread> {
        let fabric = Arc::new(Fabric::new(self.cpus.len()));
        let clock = SystemClock::new();
        let mut threads = Vec::new();
        for (index, (desk, from)) in desks.into_iter().zip(snapshots).enumerate() {
            let seat = Seat {
                index,
                cpu: self.cpus[index],
                config: self.config.clone(),
                fabric: fabric.clone(),
                monitor: self.monitor.clone(),
                clock: clock.clone(),
                warm_up: self.warm_up,
                build: build_pipeline.clone(),
                desk,
                from,
            };
            match spawn(seat) {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    self.monitor.fail(error);
                    break;
                }
            }
        }
        threads
    }

    /// Waits for all shards. What stopped one of them is an error.
    fn join(&self, threads: Vec<Thread>) -> Result<Vec<Finished>> {
        let mut results = Vec::new();
        let stuck = match threads.len() == self.cpus.len() {
            true => Watchdog::new(self.monitor.clone(), self.patience).wait(),
            // Those that there are have been told to stop before they began.
            false => None,
        };
        if let (Some(shard), Some(patience)) = (stuck, self.patience) {
            self.monitor.fail(Error::Stuck { shard, patience });
        }
        for (index, thread) in threads.into_iter().enumerate() {
            if stuck == Some(index) {
                // Its end may never come.
                drop(thread);
                continue;
            }
            match thread.join() {
                Ok(result) => results.extend(result),
                Err(error) => self.monitor.fail(executor_error("join", &error)),
            }
        }
        self.monitor.take_failure().map_or(Ok(results), Err)
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
        Summary { counters, latencies, worst_step, stage_work, elapsed, plan, restarts }
    }
}

type Build = Arc<dyn Fn(Pipeline<'_>) -> Result<()> + Send + Sync>;

type Thread = ExecutorJoinHandle<Option<Finished>>;

/// What a shard leaves behind.
struct Finished {
    latencies: Latencies,
    worst_step: Option<WorstStep>,
    stage_work: Vec<StageWork>,
    elapsed: Duration,
}

/// Everything that one shard's thread is given.
struct Seat {
    index: usize,
    cpu: usize,
    config: Arc<Config>,
    fabric: Arc<Fabric>,
    monitor: Monitor,
    clock: SystemClock,
    warm_up: Duration,
    build: Build,
    desk: Option<Desk>,
    /// The checkpoint to go on from.
    from: Option<(Epoch, Snapshot)>,
}

fn spawn(seat: Seat) -> Result<Thread> {
    LocalExecutorBuilder::new(Placement::Fixed(seat.cpu))
        .name("shard")
        .io_memory(IO_MEMORY_BYTES)
        .spawn(move || seat.run())
        .map_err(|error| executor_error("start", &error))
}

fn executor_error(action: &'static str, error: &dyn std::error::Error) -> Error {
    IoError::new(action, "the executor of a shard", std::io::Error::other(error.to_string())).into()
}

impl Seat {
    /// Runs the shard, and says so when that has come to its end, however it does.
    async fn run(mut self) -> Option<Finished> {
        struct Ends(Monitor, usize);
        impl Drop for Ends {
            fn drop(&mut self) {
                self.0.end(self.1);
            }
        }
        let _ends = Ends(self.monitor.clone(), self.index);
        let counters = self.monitor.shard(self.index);
        let shard = match caught(self.index, || self.shard(counters.clone())) {
            Ok(shard) => Some(shard),
            Err(error) => {
                self.monitor.fail(error);
                None
            }
        };
        self.monitor.meet();
        // Who is stopped may have met nobody: others that build later are no others that differ.
        if self.monitor.is_stopped() {
            return None;
        }
        if let Err(error) = self.fabric.check() {
            self.monitor.fail(error.into());
            return None;
        }
        let (started, bell) = (Instant::now(), self.fabric.bell(self.index)); // tidy: once a run
        let warm = !self.warm_up.is_zero();
        let mut driver = Driver {
            index: self.index,
            shard: shard?,
            clock: &self.clock,
            idle: self.config.idle,
            bell: &bell,
            monitor: &self.monitor,
            counters: &counters,
            desk: self.desk.take(),
            warm_at: warm.then(|| self.clock.now() + self.warm_up),
        };
        driver.run();
        let shard = &driver.shard;
        let worst = shard.worst_step();
        Some(Finished {
            latencies: shard.latencies(),
            worst_step: worst.map(|step| WorstStep { cpu: Some(self.cpu), ..step }),
            stage_work: shard.stage_work(),
            elapsed: started.elapsed(),
        })
    }

    /// The shard as the pipeline builds it, or as the checkpoint has it. The commits of that one
    /// may not have been made before the crash, so sinks make them now.
    fn shard(&self, counters: Arc<ShardCounters>) -> Result<Shard> {
        let (built, ()) = build(self.index, &self.config, &self.fabric, &*self.build)?;
        let mut shard = Shard::counting_into(built, Rc::new(self.clock.clone()), counters);
        if let Some((epoch, snapshot)) = &self.from {
            shard.restore(snapshot)?;
            shard.complete_checkpoint(*epoch);
        }
        Ok(shard)
    }
}
