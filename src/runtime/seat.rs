//! One shard's place on its core: what its thread is given, and what it leaves behind.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use glommio::{ExecutorJoinHandle, LocalExecutorBuilder, Placement};

use crate::config::Config;
use crate::dataflow::{Epoch, Fabric, Pipeline, build};
use crate::error::{Error, IoError, Result};
use crate::metrics::ShardCounters;
use crate::runtime::coordinator::Desk;
use crate::runtime::drive::{Driver, caught};
use crate::runtime::monitor::Monitor;
use crate::shard::{Latencies, Place, Shard, Snapshot, StageWork, WorstStep};
use crate::time::{Clock, SystemClock};

/// The executor's own buffers: it does no I/O of ours, and its default of 10 MiB exhausts the
/// locked-memory limit.
const IO_MEMORY_BYTES: usize = 64 << 10;

/// What builds the pipeline of a shard.
pub type Build = Arc<dyn Fn(Pipeline<'_>) -> Result<()> + Send + Sync>;

/// A thread with an executor.
pub type Thread<T> = ExecutorJoinHandle<T>;

/// What a shard leaves behind.
pub struct Finished {
    pub latencies: Latencies,
    pub worst_step: Option<WorstStep>,
    pub stage_work: Vec<StageWork>,
    pub elapsed: Duration,
    /// How many records the partitions of each stage's source have given.
    pub counts: Vec<Vec<u64>>,
}

/// The checkpoint that all shards go on from.
pub struct Beginning {
    pub epoch: Epoch,
    /// What each shard had, of as many as there were.
    pub snapshots: Vec<Snapshot>,
}

/// Everything that one shard's thread is given.
pub struct Seat {
    pub index: usize,
    pub cpu: usize,
    pub config: Arc<Config>,
    pub fabric: Arc<Fabric>,
    pub monitor: Monitor,
    pub clock: SystemClock,
    pub warm_up: Duration,
    pub build: Build,
    pub desk: Option<Desk>,
    /// The checkpoint to go on from.
    pub from: Option<Arc<Beginning>>,
    /// Records that go nowhere, on whatever shard.
    pub passes_over: Arc<[Place]>,
}

/// Starts a thread with an executor on this CPU, whose one task is `work`.
pub fn spawn<T: Send + 'static>(
    cpu: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<Thread<T>> {
    LocalExecutorBuilder::new(Placement::Fixed(cpu))
        .name("shard")
        .io_memory(IO_MEMORY_BYTES)
        .spawn(move || async move { work() })
        .map_err(|error| executor_error("start", &error))
}

/// How long a shard that has stopped waits for its sources to make durable what they have given.
const REST_MAX: Duration = Duration::from_millis(250);

/// Lets the sources of a shard that has stopped make durable what they took from the world, so that
/// it comes again when the pipeline begins again.
fn put_to_rest(shard: &mut Shard, clock: &SystemClock) {
    let until = clock.now() + REST_MAX;
    while !shard.put_to_rest(clock.now()) && clock.now() < until {
        std::thread::sleep(Duration::from_micros(50));
    }
}

/// An executor failed.
pub fn executor_error(action: &'static str, error: &dyn std::error::Error) -> Error {
    IoError::new(action, "the executor of a shard", std::io::Error::other(error.to_string())).into()
}

impl Seat {
    /// Runs the shard, and says so when that has come to its end, however it does.
    pub fn run(mut self) -> Option<Finished> {
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
        let _ = caught(self.index, || {
            put_to_rest(&mut driver.shard, &self.clock);
            Ok(())
        });
        let counts = driver.shard.counts();
        let shard = &driver.shard;
        let worst = shard.worst_step();
        Some(Finished {
            latencies: shard.latencies(),
            worst_step: worst.map(|step| WorstStep { cpu: Some(self.cpu), ..step }),
            stage_work: shard.stage_work(),
            elapsed: started.elapsed(),
            counts,
        })
    }

    /// The shard as the pipeline builds it, or as the checkpoint has it. The commits of that one
    /// may not have been made before the crash, so sinks make them now.
    pub fn shard(&self, counters: Arc<ShardCounters>) -> Result<Shard> {
        let (built, ()) = build(self.index, &self.config, &self.fabric, &*self.build)?;
        let mut shard = Shard::counting_into(built, Rc::new(self.clock.clone()), counters);
        if let Some(from) = &self.from {
            shard.go_on_from(&from.snapshots, self.index, &self.config)?;
            shard.complete_checkpoint(from.epoch);
        }
        shard.pass_over(self.index, &self.passes_over);
        Ok(shard)
    }
}
