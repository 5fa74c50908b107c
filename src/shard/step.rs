//! One turn of a shard: the hot path on one screen.

use std::rc::Rc;
use std::sync::Arc;

use crate::dataflow::{Built, Context, Epoch, Plan, Runnable, Shown, Work};
use crate::error::Error;
use crate::metrics::{Breakdown, Counter, Latency, ShardCounters};
use crate::shard::checkpoint::Taking;
use crate::shard::worst::{StageWork, WorstStep};
use crate::state::Spare;
use crate::time::{Clock, ManualClock, Timestamp};

/// One core's whole share of a pipeline: its sources, its operators, its state, its ends of the
/// rings.
///
/// It has no thread, no clock and no socket of its own: whoever owns it calls
/// [`step`](Shard::step).
pub struct Shard {
    pub(super) stages: Vec<Stage>,
    plan: Plan,
    pub(super) cx: Context,
    /// The checkpoint that is being taken.
    pub(super) taking: Option<Taking>,
    /// The last checkpoints that were complete.
    pub(super) completed: Vec<Epoch>,
    /// Memory of checkpoints before it.
    pub(super) spare: Spare,
    /// How many keys a step copies for it at most.
    pub(super) fire_max: usize,
    /// The clock that latency is measured by, if it shows the times given to `step`.
    step_clock: Option<ManualClock>,
    /// What the last step did.
    last: Did,
    /// The longest step that the driver has told of, and how long it took.
    worst: Did,
    worst_ns: u64,
}

/// A stage, and whether it has to be asked even when nothing else on the shard has moved.
pub(super) struct Stage {
    pub runnable: Box<dyn Runnable>,
    pub is_source: bool,
    pub index: usize,
    pub name: String,
    /// The most that it has done in one call.
    most: Work,
}

/// What a step did, and the stage that did most of it in one call.
#[derive(Clone, Copy, Default)]
struct Did {
    work: Work,
    most: Work,
    busiest: usize,
}

impl Did {
    /// A call of a stage did so much.
    #[inline(always)]
    fn note(&mut self, done: Work, stage: &mut Stage) {
        if done.is_none() {
            return;
        }
        self.work += done;
        stage.most = stage.most.max(done);
        if done > self.most {
            (self.most, self.busiest) = (done, stage.index);
        }
    }
}

/// Latencies of one shard, or of several merged.
#[derive(Clone, Default)]
pub struct Latencies {
    /// From ingress to the sinks.
    pub to_sink: Latency,
    /// From ingress to the update of keyed state.
    pub to_state: Latency,
    /// Where that time went, if the config asked for it.
    pub breakdown: Option<Box<Breakdown>>,
}

impl Latencies {
    /// None yet, of shards of a simulation.
    pub(crate) fn coarse() -> Self {
        Self { to_sink: Latency::coarse(), to_state: Latency::coarse(), breakdown: None }
    }

    /// Adds another shard's.
    pub fn merge(&mut self, other: &Self) {
        self.to_sink.merge(&other.to_sink);
        self.to_state.merge(&other.to_state);
        match (&mut self.breakdown, &other.breakdown) {
            (Some(mine), Some(theirs)) => mine.merge(theirs),
            (mine @ None, theirs) => mine.clone_from(theirs),
            (Some(_), None) => {}
        }
    }
}

impl Shard {
    /// A shard that runs a built pipeline; `clock` measures latency at the ends of batches.
    pub fn new(built: Built, clock: Rc<dyn Clock>) -> Self {
        Self::counting_into(built, clock, Arc::default())
    }

    /// Like [`new`](Self::new), with counters that somebody else reads.
    pub fn counting_into(built: Built, clock: Rc<dyn Clock>, counters: Arc<ShardCounters>) -> Self {
        Self::of(built, Context::new(clock, counters))
    }

    /// A shard of a simulation, which makes many: of its latencies it knows little.
    pub(crate) fn simulated(built: Built, clock: Rc<dyn Clock>) -> Self {
        Self::of(built, Context::measuring(clock, Arc::default(), Latency::coarse))
    }

    fn of(built: Built, mut cx: Context) -> Self {
        let stage = |(index, (name, runnable)): (usize, (String, Box<dyn Runnable>))| {
            let is_source = runnable.is_source();
            Stage { runnable, is_source, index, name, most: Work::NONE }
        };
        let stages = built.stages.into_iter().enumerate().map(stage).collect();
        cx.breakdown = built.breakdown.then(Box::default);
        let (last, worst) = Default::default();
        let Built { plan, fire_max, .. } = built;
        let (taking, completed, step_clock) = (None, Vec::new(), None);
        let (spare, worst_ns) = (Spare::default(), 0);
        Self {
            stages,
            plan,
            cx,
            taking,
            completed,
            spare,
            fire_max,
            step_clock,
            last,
            worst,
            worst_ns,
        }
    }

    /// A shard that measures latency by the times given to `step`.
    pub fn timed_by_steps(built: Built) -> Self {
        let clock = ManualClock::default();
        Self { step_clock: Some(clock.clone()), ..Self::new(built, Rc::new(clock)) }
    }

    /// A shard of a test, whose only clock is what `step` is given.
    pub(crate) fn simulated_by_steps(built: Built) -> Self {
        let clock = ManualClock::default();
        Self { step_clock: Some(clock.clone()), ..Self::simulated(built, Rc::new(clock)) }
    }

    /// One turn: bounded, never blocks, does not allocate once warm: when as much has been held at
    /// once as there is now. Returns what it did. A step in which a checkpoint begins, or goes on,
    /// takes memory for it.
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
        let mut did = Did::default();
        for stage in self.stages.iter_mut().rev() {
            let done = stage.runnable.drain(&mut self.cx);
            did.note(done, stage);
        }
        let left_over = std::mem::take(&mut self.cx.left_over);
        for stage in &mut self.stages {
            if let Some(taking) = &mut self.taking
                && taking.holds_back(stage, &mut self.cx)
            {
                continue;
            }
            if stage.is_source || left_over || self.cx.left_over || !did.work.is_none() {
                let done = stage.runnable.poll(&mut self.cx);
                did.note(done, stage);
            }
        }
        did.work += self.copy_slice();
        self.last = did;
        self.count_step(did.work);
        did.work
    }

    #[inline(always)]
    pub(super) fn count_step(&mut self, work: Work) {
        self.cx.count(Counter::Steps, 1);
        if !work.is_none() {
            self.cx.count(Counter::BusySteps, 1);
        }
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

    /// The time of the last step.
    pub(super) fn now(&self) -> Timestamp {
        self.cx.now
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
        let Context { to_sink, to_state, breakdown, .. } = &self.cx;
        Latencies {
            to_sink: to_sink.clone(),
            to_state: to_state.clone(),
            breakdown: breakdown.clone(),
        }
    }

    /// A driver that has a clock says how long the last step took; the longest is kept, unless it
    /// found nothing to do.
    #[inline(always)]
    pub fn took(&mut self, ns: u64) {
        if ns > self.worst_ns && !self.last.work.is_none() {
            (self.worst_ns, self.worst) = (ns, self.last);
        }
    }

    /// The longest step that the driver has told of by [`took`](Self::took).
    pub fn worst_step(&self) -> Option<WorstStep> {
        let Did { work, busiest, .. } = self.worst;
        let stage = self.stages.get(busiest).filter(|_| !work.is_none())?;
        Some(WorstStep { ns: self.worst_ns, work, stage: stage.name.clone(), cpu: None })
    }

    /// The most that each stage has done in one call, upstream first.
    pub fn stage_work(&self) -> Vec<StageWork> {
        let work = |stage: &Stage| StageWork { stage: stage.name.clone(), most: stage.most };
        self.stages.iter().map(work).collect()
    }

    /// Forgets the latencies and the worst steps so far, which were of the warm-up.
    pub fn forget_warm_up(&mut self, now: Timestamp) {
        self.cx.to_sink.clear(now);
        self.cx.to_state.clear(now);
        if let Some(breakdown) = &mut self.cx.breakdown {
            breakdown.clear(now);
        }
        self.stages.iter_mut().for_each(|stage| stage.most = Work::NONE);
        (self.worst, self.worst_ns) = (Did::default(), 0);
    }
}
