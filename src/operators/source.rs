//! Where a stage begins: a source, asked while there is room.
//!
//! ```
//! use millstream::{io::MemorySource, Record, Simulation, Timestamp};
//! # fn main() -> millstream::Result<()> {
//! Simulation::new(1, 7).run(|p| {
//!     p.source(MemorySource::new(vec![Record::new(Timestamp(1), 21)]))
//!         .map(|n| n * 2)
//!         .for_each(|record| assert_eq!(record.value, 42));
//!     Ok(())
//! })?;
//! # Ok(())
//! # }
//! ```

mod giver;
mod moved;

use std::hint::cold_path;

use serde::{Deserialize, Serialize};

use crate::dataflow::{
    Checkpoint, Context, Epoch, Given, Giver, Operator, Pipeline, Pressure, Runnable, SOURCE,
    Saved, Shown, Stage, Stream, Work,
};
use crate::io::{Polled, Source};
use crate::metrics::Counter;
use crate::operators::source::moved::check_numbers;
use crate::state::EachBulk;
use crate::time::{Merged, Timestamp, Watermark};

impl<'p> Pipeline<'p> {
    /// Begins a stream at a source.
    ///
    /// Without [`event_time`](Stream::event_time) the timestamps are the source's, and are taken to
    /// be in order within a partition: a record behind the latest one is behind the watermark.
    pub fn source<S: Source>(self, source: S) -> Stream<'p, SourceHead<S>> {
        let partitions = source.partitions();
        let node = self.node(format!("{SOURCE}{partitions} here)"), &[]);
        let batch_max = self.config().batch_max;
        let stream = Stream::begin(self, SourceHead { source, batch_max }, node);
        Stream { partitions, ..stream }
    }
}

/// A stage that begins at a source.
pub struct SourceHead<S> {
    source: S,
    batch_max: usize,
}

impl<S: Source> Stage for SourceHead<S> {
    type Out = S::Out;

    fn close<N: Operator<S::Out>>(self, next: N) -> Box<dyn Runnable> {
        let partitions = self.source.partitions();
        Box::new(SourceStage {
            source: self.source,
            batch_max: self.batch_max,
            lanes: Lanes::new(partitions),
            polled: None,
            given: None,
            next,
        })
    }
}

/// What is known of one partition.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Partition {
    /// The latest timestamp so far.
    furthest: Timestamp,
    /// When it was last asked, unless it was not asked because there was no room.
    asked_at: Option<Timestamp>,
    silent_ns: u64,
    /// The silence that those downstream know of; nothing before they know of this partition.
    told_silent_ns: Option<u64>,
    ended: bool,
}

impl Default for Partition {
    fn default() -> Self {
        let (asked_at, told_silent_ns) = (None, None);
        Self { furthest: Timestamp::MIN, asked_at, silent_ns: 0, told_silent_ns, ended: false }
    }
}

impl Partition {
    /// Counts the time since the last poll as silence. A stall of the shard is not the source's
    /// silence, so no gap counts for more than a millisecond.
    fn listen(&mut self, now: Timestamp, emitted: u64) {
        const GAP_NS_MAX: u64 = 1_000_000;
        if emitted > 0 {
            self.silent_ns = 0;
        } else if let Some(before) = self.asked_at {
            self.silent_ns += now.since(before).min(GAP_NS_MAX);
        }
        self.asked_at = Some(now);
    }

    /// Whether those downstream need to hear of a poll: not while nothing comes, except that they
    /// hear now and then how long nothing has come.
    #[inline]
    fn is_worth_telling(&mut self, polled: &Polled, emitted: u64) -> bool {
        const SILENCE_STEP_NS: u64 = 100_000;
        let promises = polled.watermark.is_some_and(|at| latest(at) > self.furthest);
        let heard = self.told_silent_ns.is_some_and(|told| self.silent_ns < told + SILENCE_STEP_NS);
        let worth = emitted > 0 || promises || polled.ended || polled.rejected > 0 || !heard;
        if worth {
            self.told_silent_ns = Some(self.silent_ns);
        }
        worth
    }
}

/// A source and what it feeds, as the shard runs them.
struct SourceStage<S, N> {
    source: S,
    batch_max: usize,
    lanes: Lanes,
    /// What was learnt with a record given by itself, and is still to be told; and of how many.
    polled: Option<(Polled, u64)>,
    /// The record given by itself.
    given: Option<Given>,
    next: N,
}

/// What is known of the partitions of a source, whatever that gives and feeds: there are as many
/// types of stages as pipelines, and this is compiled once.
struct Lanes {
    partitions: Vec<Partition>,
    /// How many records each partition has given.
    counts: Vec<u64>,
    /// Records that go nowhere: the partition, and the number in it.
    passes_over: Vec<(usize, u64)>,
    /// The partition whose turn it is.
    turn: usize,
    merged: Merged,
    ended: bool,
    /// What follows has nothing left to do and nothing left to send, so it need not be asked.
    settled: bool,
}

impl Lanes {
    /// Nothing is known of so many partitions.
    fn new(partitions: usize) -> Self {
        Self {
            partitions: vec![Partition::default(); partitions],
            counts: vec![0; partitions],
            passes_over: Vec::new(),
            turn: 0,
            merged: Merged::new(partitions),
            ended: false,
            settled: false,
        }
    }

    fn pass_turn(&mut self) {
        let count = self.partitions.len();
        let others = (1..=count).map(|step| (self.turn + step) % count);
        match others.into_iter().find(|&other| !self.partitions[other].ended) {
            Some(other) => self.turn = other,
            None => self.ended = true,
        }
    }

    /// Nobody asks for now.
    fn rest(&mut self) {
        self.partitions.iter_mut().for_each(|partition| partition.asked_at = None);
    }

    /// Hears of a poll that gave so many records; whether that is worth telling.
    #[inline]
    fn listen(&mut self, polled: &Polled, emitted: u64, cx: &mut Context) -> bool {
        let partition = &mut self.partitions[self.turn];
        partition.listen(cx.now, emitted);
        if !partition.is_worth_telling(polled, emitted) {
            return false;
        }
        self.settled = false;
        cx.receive(polled.ingress.unwrap_or(cx.now));
        (cx.silent_ns, cx.partition_ended) = (partition.silent_ns, polled.ended);
        true
    }

    /// How far event time has come after a poll, if that is news.
    #[inline]
    fn advance(&mut self, polled: &Polled) -> Option<Watermark> {
        let partition = &mut self.partitions[self.turn];
        if let Some(promise) = polled.watermark {
            partition.furthest = partition.furthest.max(latest(promise));
        }
        partition.ended = polled.ended;
        let watermark =
            if polled.ended { Watermark::END } else { Watermark::at(partition.furthest) };
        self.merged.update(self.turn, watermark)
    }

    fn save(&self, out: &mut Saved) {
        out.put("source", &self.partitions);
        out.put("source", &self.counts);
        out.put("source", &self.passes_over);
        out.put("source", &self.turn);
        out.put("source", &self.merged);
        out.put("source", &self.ended);
        out.put("source", &self.settled);
    }

    /// Takes what was put in; these are the numbers of the partitions, those that have any.
    fn load(&mut self, numbers: &[Option<u32>], from: &mut Saved) {
        let before = from.take_all("source");
        match from.is_rescaled() {
            true => from.set_lanes(numbers, &before),
            false => check_numbers(numbers, &before, from),
        }
        let partitions = from.take_all("source");
        let (counts, left_out) = (from.take_all("source"), from.take_all("source"));
        match from.is_rescaled() {
            true => self.go_on_from_lanes(&partitions, &counts, &left_out, from),
            false => self.go_on_from(partitions, counts, left_out),
        }
        from.take_unless_rescaled("source", &mut self.turn);
        from.rescale_merged("source", &mut self.merged, self.partitions.len());
        // It is asked again, and tells those that have not heard of it of its end.
        from.take_unless_rescaled("source", &mut self.ended);
        from.take_unless_rescaled("source", &mut self.settled);
    }
}

impl<S: Source, N: Operator<S::Out>> SourceStage<S, N> {
    /// Asks the partition whose turn it is; returns how many records it gave.
    #[inline]
    fn ask(&mut self, cx: &mut Context) -> Option<(Polled, u64)> {
        let Self { source, batch_max, lanes, next, .. } = self;
        let budget =
            if lanes.passes_over.is_empty() { *batch_max } else { lanes.budget(*batch_max) };
        let Lanes { partitions, turn, merged, .. } = lanes;
        let (now, path) = (cx.now, *turn);
        let (mut furthest, mut emitted) = (partitions[path].furthest, 0u64);
        let polled = source.poll(path, now, budget, &mut |record| {
            emitted += 1;
            if record.at >= furthest {
                furthest = record.at;
            } else {
                cold_path();
                if let Some(watermark) = merged.update(path, Watermark::at(latest(furthest))) {
                    next.on_watermark(watermark, cx);
                }
            }
            next.on_record(record, cx);
        });
        partitions[path].furthest = latest(furthest);
        lanes.counts[path] += emitted;
        match polled {
            Ok(polled) => Some((polled, emitted)),
            Err(error) => {
                cx.fail(error);
                None
            }
        }
    }

    /// Ends a turn: tells what came of a poll that gave so many records.
    #[inline]
    fn conclude(&mut self, polled: Polled, emitted: u64, cx: &mut Context) -> Work {
        self.tell_of(polled, emitted, cx);
        if self.lanes.partitions.len() > 1 || polled.ended {
            self.lanes.pass_turn();
        }
        Work(emitted + u64::from(polled.rejected) + u64::from(polled.ended))
    }

    #[inline]
    fn tell_of(&mut self, polled: Polled, emitted: u64, cx: &mut Context) {
        if self.lanes.listen(&polled, emitted, cx) {
            if let Some(merged) = self.lanes.advance(&polled) {
                self.next.on_watermark(merged, cx);
            }
            self.next.on_batch_end(cx);
            cx.count(Counter::RecordsIn, emitted);
            cx.count(Counter::DeadLettered, polled.rejected.into());
        }
    }

    fn end_without_partitions(&mut self, cx: &mut Context) -> Work {
        self.lanes.ended = true;
        cx.begin_edge();
        cx.ingress = cx.now;
        self.next.on_watermark(Watermark::END, cx);
        self.next.on_batch_end(cx);
        Work::ONE
    }
}

impl<S: Source, N: Operator<S::Out>> Runnable for SourceStage<S, N> {
    fn drain(&mut self, cx: &mut Context) -> Work {
        if let Err(error) = self.source.drive(cx.now) {
            cx.fail(error);
        }
        if self.lanes.settled {
            return Work::NONE;
        }
        let work = self.next.resume(cx);
        self.lanes.settled = self.next.pressure() == Pressure::Clear;
        work
    }

    fn poll(&mut self, cx: &mut Context) -> Work {
        if self.lanes.ended || self.next.pressure() == Pressure::Full {
            self.lanes.rest();
            return Work::NONE;
        }
        if self.lanes.partitions.is_empty() {
            return self.end_without_partitions(cx);
        }
        (cx.partition, cx.partition_ended) = (self.lanes.turn, false);
        cx.ingress = cx.now;
        if !self.lanes.passes_over.is_empty() && self.lanes.budget(self.batch_max) == 0 {
            return self.pass_over_next(cx);
        }
        let Some((polled, emitted)) = self.ask(cx) else { return Work::NONE };
        self.conclude(polled, emitted, cx)
    }

    fn is_source(&self) -> bool {
        true
    }

    fn giver(&mut self) -> Option<&mut dyn Giver> {
        Some(self)
    }

    fn is_done(&self) -> bool {
        self.lanes.ended && self.next.pressure() == Pressure::Clear
    }

    /// It is told of a barrier, nothing brings it one.
    fn is_at(&self, _barrier: Epoch) -> bool {
        self.next.is_at_rest() && self.source.is_at_rest()
    }

    fn on_checkpoint(&mut self, checkpoint: Checkpoint, cx: &mut Context) {
        self.lanes.settled = false;
        if let Checkpoint::Complete(epoch) = checkpoint {
            self.source.on_complete(epoch);
        }
        self.next.on_checkpoint(checkpoint, cx);
    }

    fn inspect(&self, each: &mut dyn FnMut(Shown<'_>)) {
        self.next.inspect(each);
    }

    fn save(&self, out: &mut Saved) {
        self.source.save(out);
        out.put("source", &self.numbers());
        self.lanes.save(out);
        self.next.save(out);
    }

    fn load(&mut self, from: &mut Saved) {
        self.source.load(from);
        self.lanes.load(&self.numbers(), from);
        self.next.load(from);
    }

    fn bulk(&mut self, each: &mut EachBulk<'_>) {
        self.next.bulk(each);
    }
}

/// A timestamp as a watermark: the very last instant is kept for the end of the input, so that one
/// record with a poisoned clock cannot end it.
#[inline(always)]
pub(super) const fn latest(at: Timestamp) -> Timestamp {
    if at.0 == i64::MAX { Timestamp(i64::MAX - 1) } else { at }
}
