//! One turn of a shard: the hot path on one screen.

use std::rc::Rc;
use std::sync::Arc;

use crate::dataflow::{Built, Context, Plan, Runnable, Shown, Work};
use crate::error::Error;
use crate::metrics::{Counter, Latency, ShardCounters};
use crate::time::{Clock, ManualClock, Timestamp};

/// One core's whole share of a pipeline: its sources, its operators, its state, its ends of the
/// rings.
///
/// It has no thread, no clock and no socket of its own: whoever owns it calls
/// [`step`](Shard::step).
pub struct Shard {
    stages: Vec<Stage>,
    plan: Plan,
    cx: Context,
    /// The clock that latency is measured by, if it shows the times given to `step`.
    step_clock: Option<ManualClock>,
}

/// A stage, and whether it has to be asked even when nothing else on the shard has moved.
struct Stage {
    runnable: Box<dyn Runnable>,
    is_source: bool,
}

/// Latencies of one shard, or of several merged.
#[derive(Clone, Default)]
pub struct Latencies {
    /// From ingress to the sinks.
    pub to_sink: Latency,
    /// From ingress to the update of keyed state.
    pub to_state: Latency,
}

impl Latencies {
    /// Adds another shard's.
    pub fn merge(&mut self, other: &Self) {
        self.to_sink.merge(&other.to_sink);
        self.to_state.merge(&other.to_state);
    }
}

impl Shard {
    /// A shard that runs a built pipeline; `clock` measures latency at the ends of batches.
    pub fn new(built: Built, clock: Rc<dyn Clock>) -> Self {
        Self::counting_into(built, clock, Arc::default())
    }

    /// Like [`new`](Self::new), with counters that somebody else reads.
    pub fn counting_into(built: Built, clock: Rc<dyn Clock>, counters: Arc<ShardCounters>) -> Self {
        let stage = |runnable: Box<dyn Runnable>| {
            let is_source = runnable.is_source();
            Stage { runnable, is_source }
        };
        let stages = built.stages.into_iter().map(stage).collect();
        let cx = Context::new(clock, counters);
        Self { stages, plan: built.plan, cx, step_clock: None }
    }

    /// A shard that measures latency by the times given to `step`.
    pub fn timed_by_steps(built: Built) -> Self {
        let clock = ManualClock::default();
        Self { step_clock: Some(clock.clone()), ..Self::new(built, Rc::new(clock)) }
    }

    /// One turn: bounded, never blocks, does not allocate once warm. Returns what it did.
    ///
    /// `now` is the only clock reading that operators see. First every stage takes in what other
    /// shards sent and goes on with what it cut short, the most downstream stage first, so that
    /// room is made before it is filled. Then sources are asked and records pass from stage to
    /// stage, upstream first, so that a record crosses the shard in one turn.
    pub fn step(&mut self, now: Timestamp) -> Work {
        if self.cx.failure().is_some() {
            return Work::NONE;
        }
        (self.cx.now, self.cx.ingress) = (now, now);
        if let Some(clock) = &self.step_clock {
            clock.set(now);
        }
        let mut work = Work::NONE;
        for stage in self.stages.iter_mut().rev() {
            work += stage.runnable.drain(&mut self.cx);
        }
        let left_over = std::mem::take(&mut self.cx.left_over);
        for stage in &mut self.stages {
            if stage.is_source || left_over || self.cx.left_over || !work.is_none() {
                work += stage.runnable.poll(&mut self.cx);
            }
        }
        self.cx.count(Counter::Steps, 1);
        if !work.is_none() {
            self.cx.count(Counter::BusySteps, 1);
        }
        work
    }

    /// Whether every input has ended and everything it led to has left this shard.
    pub fn is_done(&self) -> bool {
        self.stages.iter().all(|stage| stage.runnable.is_done())
    }

    /// What stopped this shard; it does nothing more then.
    pub fn failure(&self) -> Option<&Error> {
        self.cx.failure()
    }

    /// Takes the error out that stopped this shard.
    pub fn take_failure(&mut self) -> Option<Error> {
        self.cx.take_failure()
    }

    /// Shows what its operators hold by key, upstream first; within an operator in the order of
    /// its table. For tests and consoles: it takes as long as there is state.
    pub fn inspect(&self, each: &mut dyn FnMut(Shown<'_>)) {
        self.stages.iter().for_each(|stage| stage.runnable.inspect(each));
    }

    /// The drawing of its pipeline.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Its counters, which other cores may read.
    pub fn counters(&self) -> Arc<ShardCounters> {
        self.cx.counters.clone()
    }

    /// Its latencies so far.
    pub fn latencies(&self) -> Latencies {
        Latencies { to_sink: self.cx.to_sink.clone(), to_state: self.cx.to_state.clone() }
    }

    /// Forgets the latencies so far, which were of the warm-up.
    pub fn forget_latencies(&mut self, now: Timestamp) {
        self.cx.to_sink.clear(now);
        self.cx.to_state.clear(now);
    }
}
