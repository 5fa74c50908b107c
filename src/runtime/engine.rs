//! Pinned shards: built, started, watched and stopped together.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use glommio::{ExecutorJoinHandle, LocalExecutorBuilder, Placement};

use crate::config::Config;
use crate::dataflow::{Fabric, Pipeline, Plan, build};
use crate::error::{Error, IoError, Result};
use crate::metrics::Counters;
use crate::runtime::drive::{Driver, caught};
use crate::runtime::monitor::Monitor;
use crate::runtime::placement::place;
use crate::shard::{Latencies, Shard, StageWork, WorstStep};
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
        Ok(Self { config: Arc::new(config), cpus, monitor, warm_up: Duration::ZERO })
    }

    /// Leaves latencies out of the summary that were measured within this time of the start.
    pub fn warm_up(self, warm_up: Duration) -> Self {
        Self { warm_up, ..self }
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
        let plan = self.plan(&build_pipeline)?;
        let build_pipeline: Arc<dyn Fn(Pipeline<'_>) -> Result<()> + Send + Sync> =
            Arc::new(build_pipeline);
        let fabric = Arc::new(Fabric::new(self.cpus.len()));
        let clock = SystemClock::new();
        let mut threads = Vec::new();
        for index in 0..self.cpus.len() {
            let seat = Seat {
                index,
                cpu: self.cpus[index],
                config: self.config.clone(),
                fabric: fabric.clone(),
                monitor: self.monitor.clone(),
                clock: clock.clone(),
                warm_up: self.warm_up,
                build: build_pipeline.clone(),
            };
            match spawn(seat) {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    self.monitor.fail(error);
                    break;
                }
            }
        }
        self.finish(threads, plan)
    }

    fn finish(self, threads: Vec<Thread>, plan: Plan) -> Result<Summary> {
        let mut latencies = Latencies::default();
        let (mut worst_step, mut stage_work) = (None, Vec::new());
        let mut elapsed = Duration::ZERO;
        for thread in threads {
            match thread.join() {
                Ok(Some(result)) => {
                    latencies.merge(&result.latencies);
                    worst_step = WorstStep::longer(worst_step, result.worst_step);
                    StageWork::merge(&mut stage_work, result.stage_work);
                    elapsed = elapsed.max(result.elapsed);
                }
                Ok(None) => {}
                Err(error) => self.monitor.fail(executor_error("join", &error)),
            }
        }
        match self.monitor.take_failure() {
            Some(error) => Err(error),
            None => {
                let counters = self.monitor.counters();
                Ok(Summary { counters, latencies, worst_step, stage_work, elapsed, plan })
            }
        }
    }
}

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
    build: Arc<dyn Fn(Pipeline<'_>) -> Result<()> + Send + Sync>,
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
    async fn run(self) -> Option<Finished> {
        let counters = self.monitor.shard(self.index);
        let building = || build(self.index, &self.config, &self.fabric, &*self.build);
        let shard = match caught(self.index, building) {
            Ok((built, ())) => {
                let clock = Rc::new(self.clock.clone());
                Some(Shard::counting_into(built, clock, counters.clone()))
            }
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
}
