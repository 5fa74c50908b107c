//! What a step carries along: the time, the batch in hand, the counters.

use std::ops::AddAssign;
use std::rc::Rc;
use std::sync::Arc;

use crate::error::Error;
use crate::metrics::{Breakdown, Counter, Latency, ShardCounters, Stamps};
use crate::time::{Clock, Timestamp};

/// How much a step did, in records, marks and slices of deferred work. Zero means that there was
/// nothing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Work(pub u64);

impl Work {
    /// There was nothing to do.
    pub const NONE: Self = Self(0);
    /// One unit.
    pub const ONE: Self = Self(1);

    /// Whether there was nothing to do.
    #[inline(always)]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl AddAssign for Work {
    #[inline(always)]
    fn add_assign(&mut self, other: Self) {
        self.0 += other.0;
    }
}

/// Added to the partition of a record that is a ghost: it moves event time and is otherwise not
/// there. No partition has such a number, so nobody has to look.
pub(crate) const GHOST: usize = 1 << (usize::BITS - 1);

/// What every operator of a shard can see while a step runs. There is one per shard.
pub struct Context {
    /// The only clock reading of this step: processing time.
    pub now: Timestamp,
    /// When the oldest record of the batch in hand arrived or was due. Latency counts from here.
    pub ingress: Timestamp,
    /// When that batch passed the places on its way, if it is the one that they are of.
    pub(crate) stamps: Stamps,
    /// The source partition that the batch in hand came from; only meaningful before the first
    /// edge.
    pub partition: usize,
    /// How long that partition has been silent, in nanoseconds of processing time.
    pub silent_ns: u64,
    /// That partition will give nothing more.
    pub partition_ended: bool,
    /// A stage could not take all that was handed over to it, and will have to look again.
    pub left_over: bool,
    /// What a source gives is handed on by itself, and how far event time has come with it is told
    /// later: see [`Giver`](crate::dataflow::Giver).
    pub(crate) holds_watermarks: bool,
    /// Somebody downstream, in the stage of the source, reads event time out of records.
    pub(crate) reads_event_time: bool,
    /// Sinks are told nothing: what is run is a trial, and not what comes of the input.
    pub(crate) is_muted: bool,
    /// The shard's counters, readable from other cores.
    pub counters: Arc<ShardCounters>,
    /// Latency from ingress to the sinks of this shard.
    pub to_sink: Latency,
    /// Latency from ingress to the update of keyed state on this shard.
    pub to_state: Latency,
    /// Where the time went, if somebody asked for it.
    pub breakdown: Option<Box<Breakdown>>,
    /// When the sink had all of a batch, if somebody asked where the time went.
    emitted: Timestamp,
    clock: Rc<dyn Clock>,
    failure: Option<Error>,
}

impl Context {
    /// A context whose latencies are measured by `clock`.
    pub fn new(clock: Rc<dyn Clock>, counters: Arc<ShardCounters>) -> Self {
        Self::measuring(clock, counters, Latency::new)
    }

    /// A context whose latencies are measured by `clock`, and kept in what `latency` makes.
    pub(crate) fn measuring(
        clock: Rc<dyn Clock>,
        counters: Arc<ShardCounters>,
        latency: fn() -> Latency,
    ) -> Self {
        Self {
            now: Timestamp::MIN,
            ingress: Timestamp::MIN,
            stamps: Stamps::default(),
            partition: 0,
            silent_ns: 0,
            partition_ended: false,
            left_over: true,
            holds_watermarks: false,
            reads_event_time: false,
            is_muted: false,
            counters,
            to_sink: latency(),
            to_state: latency(),
            breakdown: None,
            emitted: Timestamp::MIN,
            clock,
            failure: None,
        }
    }

    /// What follows comes over an edge, where the partitions of the source are merged into one.
    #[inline(always)]
    pub fn begin_edge(&mut self) {
        (self.partition, self.silent_ns, self.partition_ended) = (0, 0, false);
    }

    /// A batch comes from a source in this step.
    #[inline(always)]
    pub(crate) fn receive(&mut self, ingress: Timestamp) {
        self.ingress = ingress;
        self.stamps = Stamps::received(ingress, self.now);
    }

    /// A batch comes over an edge in this step, and had waited so long for its source.
    #[inline(always)]
    pub(crate) fn dequeue(&mut self, ingress: Timestamp, waited_ns: u32) {
        self.ingress = ingress;
        self.stamps = Stamps::dequeued(ingress, waited_ns, self.now);
    }

    /// Adds to a counter.
    #[inline(always)]
    pub fn count(&self, counter: Counter, n: u64) {
        self.counters.add(counter, n);
    }

    /// A sink has all records of a batch and is about to publish them. Looks at the clock only if
    /// somebody asked where the time goes.
    #[inline]
    pub(crate) fn reaches_sink(&mut self) {
        if self.breakdown.is_some() {
            self.emitted = self.clock.now();
        }
    }

    /// `n` records reached a sink: records their latency at the cost of one clock reading.
    #[inline]
    pub fn reached_sink(&mut self, n: u64) {
        let now = self.clock.now();
        self.to_sink.record(now, now.since(self.ingress), n);
        if let Some(breakdown) = &mut self.breakdown {
            breakdown.sent(&self.stamps, self.ingress, [self.emitted, now], n);
        }
        self.count(Counter::RecordsOut, n);
    }

    /// `n` records updated keyed state: records their latency at the cost of one clock reading.
    #[inline]
    pub fn reached_state(&mut self, n: u64) {
        let now = self.clock.now();
        self.to_state.record(now, now.since(self.ingress), n);
        if let Some(breakdown) = &mut self.breakdown {
            breakdown.updated(&self.stamps, self.ingress, now, n);
        }
    }

    /// Stops the pipeline with this error once the step is over. The first error wins.
    #[cold]
    pub fn fail(&mut self, error: impl Into<Error>) {
        self.failure.get_or_insert_with(|| error.into());
    }

    /// What stopped the pipeline, if something did.
    #[inline(always)]
    pub fn failure(&self) -> Option<&Error> {
        self.failure.as_ref()
    }

    /// Takes the error out.
    pub fn take_failure(&mut self) -> Option<Error> {
        self.failure.take()
    }
}
