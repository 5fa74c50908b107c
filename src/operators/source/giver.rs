//! A source asked for one record at a time, and records that it leaves out.

use crate::dataflow::{Ask, Context, GHOST, Gave, Given, Giver, Operator, Pressure, Record, Work};
use crate::io::{Polled, Source};
use crate::operators::source::{Lanes, SourceStage, latest};
use crate::time::Timestamp;

impl Lanes {
    /// How many records the partition whose turn it is may be asked for: up to the next one that is
    /// left out.
    #[cold]
    pub(super) fn budget(&self, most: usize) -> usize {
        let count = self.counts[self.turn];
        let of_turn = |(partition, _): &&(usize, u64)| *partition == self.turn;
        let left_out = self.passes_over.iter().filter(of_turn).map(|(_, number)| *number);
        let next = left_out.filter(|number| *number >= count).min().unwrap_or(u64::MAX);
        (next - count).min(most as u64) as usize
    }

    /// So many records have been left out; the list is the shorter for it.
    fn passed_over(&mut self, passed: u64) {
        let (path, count) = (self.turn, &mut self.counts[self.turn]);
        *count += passed;
        let count = *count;
        self.passes_over.retain(|(partition, number)| *partition != path || *number >= count);
    }

    /// Whether the next record of the partition whose turn it is is left out.
    fn leaves_next_out(&self) -> bool {
        self.passes_over.contains(&(self.turn, self.counts[self.turn]))
    }

    fn pass_over(&mut self, partition: usize, number: u64) {
        if self.counts.get(partition).is_some_and(|count| *count <= number)
            && !self.passes_over.contains(&(partition, number))
        {
            self.passes_over.push((partition, number));
        }
    }
}

impl<S: Source, N: Operator<S::Out>> SourceStage<S, N> {
    /// Takes the next record and hands nothing on; it is not told how far event time has come with
    /// it either, as if it had never been there.
    #[cold]
    pub(super) fn pass_over_next(&mut self, cx: &mut Context) -> Work {
        let (path, mut passed) = (self.lanes.turn, 0u64);
        match self.source.poll(path, cx.now, 1, &mut |_| passed += 1) {
            Ok(polled) => {
                self.lanes.passed_over(passed);
                let mut work = self.conclude(polled, 0, cx);
                work += Work(passed);
                work
            }
            Err(error) => {
                cx.fail(error);
                Work::NONE
            }
        }
    }

    /// Passes the turn on to a partition that has something up to this position. Returns whether
    /// there is one.
    fn pass_turn_until(&mut self, until: Option<u64>) -> bool {
        let Some(until) = until else { return true };
        for _ in 0..self.lanes.partitions.len() {
            let path = self.lanes.turn;
            if self.source.position(path).unwrap_or(self.lanes.counts[path]) <= until {
                return true;
            }
            self.lanes.pass_turn();
        }
        false
    }

    /// Takes a record, and lets it move event time.
    fn hand_on_ghost(&mut self, record: Record<S::Out>, cx: &mut Context) {
        let furthest = &mut self.lanes.partitions[self.lanes.turn].furthest;
        *furthest = latest(record.at).max(*furthest);
        self.lanes.counts[self.lanes.turn] += 1;
        self.lanes.settled = false;
        (cx.holds_watermarks, cx.reads_event_time) = (true, false);
        self.next.on_batch_end(cx);
        if cx.reads_event_time {
            cx.partition |= GHOST;
            self.next.on_record(record, cx);
            cx.partition = self.lanes.turn;
            self.next.on_batch_end(cx);
        }
        cx.holds_watermarks = false;
    }

    /// Hands on one record by itself.
    fn hand_on(&mut self, record: Record<S::Out>, position: Option<u64>, cx: &mut Context) {
        let (partition, at) = (self.lanes.turn, record.at);
        let number = self.lanes.counts[partition];
        self.lanes.counts[partition] += 1;
        let (position, mut bytes) = (position.unwrap_or(number), Vec::new());
        self.source.write_down(&record.value, &mut bytes);
        self.given = Some(Given { partition, number, position, at, bytes });
        let furthest = &mut self.lanes.partitions[partition].furthest;
        *furthest = latest(at).max(*furthest);
        self.lanes.settled = false;
        cx.holds_watermarks = true;
        self.next.on_record(record, cx);
        self.next.on_batch_end(cx);
        cx.holds_watermarks = false;
    }
}

impl<S: Source, N: Operator<S::Out>> Giver for SourceStage<S, N> {
    fn counts(&self) -> &[u64] {
        &self.lanes.counts
    }

    fn has_ended(&self) -> bool {
        self.lanes.ended
    }

    fn pass_over(&mut self, partition: usize, number: u64) {
        self.lanes.pass_over(partition, number);
    }

    fn begin(&mut self, cx: &mut Context) {
        if self.lanes.ended {
            return;
        }
        if self.lanes.partitions.is_empty() {
            self.end_without_partitions(cx);
            return;
        }
        let turn = self.lanes.turn;
        for path in 0..self.lanes.partitions.len() {
            if !self.lanes.partitions[path].ended {
                self.lanes.turn = path;
                (cx.partition, cx.partition_ended, cx.ingress) = (path, false, cx.now);
                self.tell_of(Polled::open(), 0, cx);
            }
        }
        self.lanes.turn = turn;
    }

    fn give(&mut self, ask: Ask, cx: &mut Context) -> Gave {
        (self.given, self.polled) = (None, None);
        if self.lanes.ended || !self.pass_turn_until(ask.until) {
            return Gave::NoMore;
        }
        if self.next.pressure() == Pressure::Full {
            return Gave::Nothing;
        }
        let path = self.lanes.turn;
        let position = self.source.position(path);
        (cx.partition, cx.partition_ended, cx.silent_ns) = (path, false, 0);
        cx.ingress = cx.now;
        let mut held = None;
        let polled = match self.source.poll(path, cx.now, 1, &mut |record| held = Some(record)) {
            Ok(polled) => polled,
            Err(error) => {
                cx.fail(error);
                return Gave::Nothing;
            }
        };
        let is_left_out = self.lanes.leaves_next_out();
        let emitted = u64::from(held.is_some() && !is_left_out);
        self.polled = Some((polled, emitted));
        let gave = held.is_some() || polled.rejected > 0 || polled.ended;
        match held {
            Some(_) if is_left_out => self.lanes.passed_over(1),
            Some(record) if ask.leaves_out => self.hand_on_ghost(record, cx),
            Some(record) => {
                if ask.at_its_time {
                    cx.now = cx.now.max(latest(record.at));
                    cx.ingress = cx.now;
                }
                self.hand_on(record, position, cx);
            }
            None => {}
        }
        if gave { Gave::Something } else { Gave::Nothing }
    }

    fn tell(&mut self, cx: &mut Context) {
        if let Some((polled, emitted)) = self.polled.take() {
            (cx.partition, cx.partition_ended) = (self.lanes.turn, false);
            cx.ingress = cx.now;
            self.conclude(polled, emitted, cx);
        }
    }

    fn put_to_rest(&mut self, now: Timestamp) -> bool {
        self.source.drive(now).is_err() || self.source.is_at_rest()
    }

    fn given(&self) -> Option<&Given> {
        self.given.as_ref()
    }
}
