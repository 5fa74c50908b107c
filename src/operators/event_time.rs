//! When a record happened, and how far event time has come.

use crate::dataflow::{Context, GHOST, Operator, Record, Runnable, Saved, Stage, Stream, pass_on};
use crate::metrics::Counter;
use crate::operators::source::latest;
use crate::state::EachBulk;
use crate::time::{Jumps, Merged, Timestamp, Watermark, WatermarkStrategy, Watermarks, nanos};

impl<'p, S: Stage> Stream<'p, S> {
    /// Gives each record the time at which it happened, and makes watermarks from these times.
    ///
    /// The timestamps and watermarks from further up are replaced; only the end of the input is
    /// taken over. Right behind a source, each of its partitions has a watermark of its own and the
    /// least of them counts.
    ///
    /// ```
    /// use millstream::{io::IterSource, ms, Record, Simulation, Timestamp, Watermarks};
    /// # fn main() -> millstream::Result<()> {
    /// Simulation::new(1, 0).run(|p| {
    ///     let readings = [3, 1, 2].map(|ms| Record::new(Timestamp(0), ms));
    ///     p.source(IterSource::new(readings.into_iter()))
    ///         .event_time(|r| Timestamp::from_millis(*r), Watermarks::bounded_disorder(ms(2)))
    ///         .for_each(|record| assert_eq!(record.at.as_nanos(), record.value * 1_000_000));
    ///     Ok(())
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn event_time<W: WatermarkStrategy<S::Out>>(
        self,
        timestamp: impl Fn(&S::Out) -> Timestamp + 'static,
        watermarks: Watermarks<W>,
    ) -> Stream<'p, impl Stage<Out = S::Out>> {
        let partitions = self.partitions.max(1);
        self.then("event_time", |stage| EventTimeStage { stage, timestamp, watermarks, partitions })
    }
}

struct EventTimeStage<S, F, W> {
    stage: S,
    timestamp: F,
    watermarks: Watermarks<W>,
    partitions: usize,
}

impl<S, F, W> Stage for EventTimeStage<S, F, W>
where
    S: Stage,
    F: Fn(&S::Out) -> Timestamp + 'static,
    W: WatermarkStrategy<S::Out>,
{
    type Out = S::Out;

    fn close<N: Operator<S::Out>>(self, next: N) -> Box<dyn Runnable> {
        let Watermarks { strategy, idle_after, jump_at_most } = self.watermarks;
        let jumps = Jumps::at_most(jump_at_most);
        let lane = Lane { strategy, furthest: Timestamp::MIN, jumps };
        self.stage.close(EventTime {
            timestamp: self.timestamp,
            lanes: vec![lane; self.partitions],
            merged: Merged::new(self.partitions),
            idle_after_ns: idle_after.map_or(u64::MAX, |silence| nanos(silence) as u64),
            next,
        })
    }
}

/// The shards and partitions that one goes on from.
type Lanes = Vec<(usize, usize)>;

/// One source partition.
#[derive(Clone)]
struct Lane<W> {
    strategy: W,
    furthest: Timestamp,
    jumps: Jumps,
}

impl<W> Lane<W> {
    /// Event time comes as far as this record says.
    #[inline(always)]
    fn observe<T>(&mut self, at: Timestamp, value: &T, cx: &mut Context)
    where
        W: WatermarkStrategy<T>,
    {
        let Some(reached) = self.strategy.observe(at, value).map(latest) else { return };
        if reached > self.furthest {
            match self.jumps.allow(self.furthest, reached) {
                true => self.furthest = reached,
                false => cx.count(Counter::Ahead, 1),
            }
        }
    }
}

struct EventTime<F, W, N> {
    timestamp: F,
    lanes: Vec<Lane<W>>,
    merged: Merged,
    idle_after_ns: u64,
    next: N,
}

impl<F, W, N> EventTime<F, W, N> {
    /// Goes on from where the same partitions were.
    fn go_on_from(&mut self, known: Vec<(Timestamp, Jumps)>) {
        for (lane, (furthest, jumps)) in self.lanes.iter_mut().zip(known) {
            (lane.furthest, lane.jumps) = (furthest, jumps);
        }
    }

    /// Goes on from where the partitions of all shards were, each from the least of its own.
    fn go_on_from_lanes(&mut self, known: &[Vec<(Timestamp, Jumps)>], lanes: &[Lanes]) {
        for (lane, places) in self.lanes.iter_mut().zip(lanes) {
            let places = places.iter().filter_map(|(shard, lane)| known.get(*shard)?.get(*lane));
            if let Some((furthest, jumps)) = places.min_by_key(|(furthest, _)| *furthest) {
                (lane.furthest, lane.jumps) = (*furthest, jumps.clone());
            }
        }
    }

    /// A record that moves event time and is otherwise not there.
    #[cold]
    fn on_ghost<T>(&mut self, at: Timestamp, value: &T, cx: &mut Context)
    where
        W: WatermarkStrategy<T>,
    {
        if let Some(lane) = self.lanes.get_mut(cx.partition & !GHOST) {
            lane.observe(at, value, cx);
        }
    }

    #[inline]
    fn tell<T>(&mut self, path: usize, watermark: Watermark, cx: &mut Context)
    where
        N: Operator<T>,
    {
        if let Some(merged) = self.merged.update(path, watermark) {
            self.next.on_watermark(merged, cx);
        }
    }
}

impl<T, F, W, N> Operator<T> for EventTime<F, W, N>
where
    F: Fn(&T) -> Timestamp + 'static,
    W: WatermarkStrategy<T>,
    N: Operator<T>,
{
    /// The watermark goes on at the end of a batch, and in front of a record that is behind it.
    /// Anywhere else it would tell nobody anything.
    #[inline(always)]
    fn on_record(&mut self, record: Record<T>, cx: &mut Context) {
        let at = (self.timestamp)(&record.value);
        let Some(lane) = self.lanes.get_mut(cx.partition) else {
            return self.on_ghost(at, &record.value, cx);
        };
        let before = lane.furthest;
        lane.observe(at, &record.value, cx);
        if at < before {
            self.tell(cx.partition, Watermark::at(before), cx);
        }
        self.next.on_record(Record::new(at, record.value), cx);
    }

    #[inline]
    fn on_watermark(&mut self, watermark: Watermark, cx: &mut Context) {
        if watermark.is_end() {
            for path in 0..self.lanes.len() {
                self.tell(path, watermark, cx);
            }
        }
    }

    #[inline]
    fn on_batch_end(&mut self, cx: &mut Context) {
        if cx.holds_watermarks {
            cx.reads_event_time = true;
            return self.next.on_batch_end(cx);
        }
        let at = match cx.partition_ended {
            true => Timestamp::MAX,
            false => self.lanes[cx.partition].furthest,
        };
        let idle = cx.silent_ns >= self.idle_after_ns && at < Timestamp::MAX;
        self.tell(cx.partition, Watermark { at, idle }, cx);
        self.next.on_batch_end(cx);
    }

    fn save(&self, out: &mut Saved) {
        let known = self.lanes.iter().map(|lane| (lane.furthest, lane.jumps.clone()));
        out.put("event_time", &known.collect::<Vec<_>>());
        out.put("event_time", &self.merged);
        self.next.save(out);
    }

    fn load(&mut self, from: &mut Saved) {
        let known: Vec<Vec<(Timestamp, Jumps)>> = from.take_all("event_time");
        match from.is_rescaled() {
            false => known.into_iter().for_each(|known| self.go_on_from(known)),
            true => self.go_on_from_lanes(&known, from.lanes()),
        }
        let lanes = self.lanes.len();
        from.rescale_merged("event_time", &mut self.merged, lanes);
        self.next.load(from);
    }

    fn bulk(&mut self, each: &mut EachBulk<'_>) {
        self.next.bulk(each);
    }

    pass_on!(next: room, checkpoint, inspect);
}
