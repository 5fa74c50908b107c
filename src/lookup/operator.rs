//! The operator: records wait in line for their answers, and watermarks wait in line with them.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::dataflow::{Batch, Checkpoint, Context, Operator, Pressure, Record, Saved, Shown, Work};
use crate::lookup::cache::Memo;
use crate::lookup::calls::Calls;
use crate::lookup::line::{Line, NOWHERE};
use crate::lookup::service::{Answer, Lookup};
use crate::metrics::Counter;
use crate::state::{EachBulk, Rescale, Stored};
use crate::time::{Timestamp, Watermark};

/// In which order records come out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As they came in.
    Input,
    /// As their answers come, between two watermarks.
    Any,
}

/// What the operator is told.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Records in line at which no more are taken.
    pub capacity: usize,
    pub order: Order,
    pub batch_max: usize,
    /// Answers, time-outs and records of a slice of work.
    pub fire_max: usize,
}

impl Settings {
    /// Places of the line: the batch that reaches the capacity comes on top, and between any two
    /// records there may be a watermark.
    pub fn room(&self) -> usize {
        2 * self.capacity.saturating_add(self.batch_max)
    }
}

/// What waits in line.
pub enum Item<T, Q, A> {
    Record {
        record: Record<T>,
        ingress: Timestamp,
        /// How many watermarks stood in line before it, since the beginning.
        segment: u64,
        /// The next record that waits for the same call.
        then: u32,
        wait: Wait<Q, A>,
    },
    Watermark {
        watermark: Watermark,
        ingress: Timestamp,
    },
}

/// What a record waits for.
pub enum Wait<Q, A> {
    /// To be asked about.
    Turn(Q),
    /// For this call.
    Call(u32),
    /// To go out, with this.
    Known(Answer<A>),
}

/// What can go out in any order.
pub enum Ready {
    /// The record at this place.
    Record(u32),
    /// The records that wait for this call, as far as their segment's turn has come.
    Call(u32),
}

/// What a snapshot keeps of a line: it is asked about again.
#[derive(Clone, Serialize, Deserialize)]
enum Kept<T> {
    Record(Record<T>, Timestamp),
    Watermark(Watermark, Timestamp),
}

/// The records that wait on this shard once there is another number of them: all that one had in
/// line follow each other here. Watermarks are told anew, behind all of them.
fn those_that_follow<T>(all: Vec<Vec<Kept<T>>>, to: &Rescale) -> Vec<Kept<T>> {
    let lines = all.into_iter().enumerate().filter(|(shard, _)| to.follows(*shard));
    let kept = lines.flat_map(|(_, line)| line);
    kept.filter(|kept| matches!(kept, Kept::Record(..))).collect()
}

/// Asks about records, and emits each with its answer.
///
/// Records wait in line in the order in which they came, with the watermarks between them. In the
/// order of the input the first of the line goes when it can. In any order whatever can go out of
/// the first segment goes, and the watermark behind it when the segment is empty: no watermark
/// overtakes a record or is overtaken by one.
pub struct LookupOperator<T, F, L: Lookup, M, N> {
    pub request_of: F,
    pub calls: Calls<L, M>,
    pub line: Line<Item<T, L::Request, L::Reply>>,
    /// Records in line.
    pub records: usize,
    /// The first record in line that was not yet asked about.
    pub turn: u32,
    /// The segment of what comes next, and that of what goes out next.
    pub last_segment: u64,
    pub first_segment: u64,
    /// Up to where the first segment was searched for what can go out; `NOWHERE` when all was.
    pub search: u32,
    pub ready: VecDeque<Ready>,
    pub settings: Settings,
    /// The oldest ingress of what went out since the last end of a batch.
    pub oldest: Option<Timestamp>,
    pub next: N,
}

impl<T, F, L, M, N> LookupOperator<T, F, L, M, N>
where
    T: 'static,
    F: Fn(&T) -> L::Request,
    L: Lookup,
    M: Memo<L::Request, L::Reply>,
    N: Operator<(T, Answer<L::Reply>)>,
{
    /// Whether there is nothing in line that a record which can go at once would overtake.
    #[inline(always)]
    fn may_pass(&self) -> bool {
        let same_segment = self.first_segment == self.last_segment;
        self.line.is_empty() || self.settings.order == Order::Any && same_segment
    }

    /// Takes a record: it goes on at once if its answer is known and nothing is in its way.
    #[inline]
    fn take(&mut self, record: Record<T>, cx: &mut Context) {
        let request = (self.request_of)(&record.value);
        if self.may_pass()
            && self.next.pressure() != Pressure::Full
            && let Some(answer) = self.calls.known(&request, cx)
        {
            self.send(record, answer, cx.ingress, cx);
            return;
        }
        self.line_up(record, cx.ingress, request);
    }

    fn line_up(&mut self, record: Record<T>, ingress: Timestamp, request: L::Request) {
        let (segment, wait) = (self.last_segment, Wait::Turn(request));
        let place = self.line.push(Item::Record { record, ingress, segment, then: NOWHERE, wait });
        self.records += 1;
        if self.turn == NOWHERE {
            self.turn = place;
        }
    }

    fn line_up_watermark(&mut self, watermark: Watermark, ingress: Timestamp) {
        // Between two watermarks there is nobody to tell the first.
        if let Some(Item::Watermark { watermark: last, .. }) = self.line.get_mut(self.line.last()) {
            *last = watermark;
            return;
        }
        self.line.push(Item::Watermark { watermark, ingress });
        self.last_segment += 1;
    }

    #[inline(always)]
    fn send(
        &mut self,
        record: Record<T>,
        answer: Answer<L::Reply>,
        ingress: Timestamp,
        cx: &mut Context,
    ) {
        if answer.is_err() {
            cx.count(Counter::LookupFailed, 1);
        }
        cx.ingress = ingress;
        self.oldest = Some(self.oldest.map_or(ingress, |oldest| oldest.min(ingress)));
        self.next.on_record(record.map(|value| (value, answer)), cx);
    }

    /// Asks about records whose turn it is, while there may be more calls; at most a slice of them.
    fn ask(&mut self, cx: &mut Context) -> u64 {
        let mut done = 0;
        while self.turn != NOWHERE && done < self.settings.fire_max as u64 {
            let place = self.turn;
            if let Some(Item::Record { wait: Wait::Turn(request), .. }) = self.line.get(place) {
                let request = request.clone();
                let Some(wait) = self.find_out(place, &request, cx) else { break };
                self.set_wait(place, wait);
                done += 1;
            }
            self.turn = self.line.after(place);
        }
        let asked = self.calls.ask(cx);
        self.calls.publish();
        done + asked
    }

    /// What the record at `place` waits for from now on; `None` if there can be no more calls.
    fn find_out(
        &mut self,
        place: u32,
        request: &L::Request,
        cx: &Context,
    ) -> Option<Wait<L::Request, L::Reply>> {
        if let Some(answer) = self.calls.known(request, cx) {
            return Some(Wait::Known(answer));
        }
        let (call, behind) = self.calls.wait(request, place, cx)?;
        if let Some(Item::Record { then, .. }) = behind.and_then(|behind| self.line.get_mut(behind))
        {
            *then = place;
        }
        Some(Wait::Call(call))
    }

    fn set_wait(&mut self, place: u32, new: Wait<L::Request, L::Reply>) {
        let is_known = matches!(new, Wait::Known(_));
        if let Some(Item::Record { wait, segment, .. }) = self.line.get_mut(place) {
            *wait = new;
            // One that the search has not come to yet is found by it.
            if is_known && *segment == self.first_segment && self.search == NOWHERE {
                self.ready.push_back(Ready::Record(place));
            }
        }
    }

    /// Notes which calls were answered: what waits for them in the first segment can go out.
    fn note_answers(&mut self) {
        while let Some((call, first)) = self.calls.next_answered() {
            if self.settings.order == Order::Any && self.is_in_first(first) && self.calls.list(call)
            {
                self.ready.push_back(Ready::Call(call));
            }
        }
    }

    fn is_in_first(&self, place: u32) -> bool {
        match self.line.get(place) {
            Some(Item::Record { segment, .. }) => *segment == self.first_segment,
            _ => false,
        }
    }

    /// Emits what can go out, while there is room, up to a slice of it; returns how much that was.
    fn emit(&mut self, cx: &mut Context) -> u64 {
        let mut done = 0;
        while done < self.settings.fire_max as u64
            && self.next.pressure() != Pressure::Full
            && self.emit_next(cx)
        {
            done += 1;
        }
        done
    }

    /// Emits the next record or watermark, or looks for it; says whether there was something to do.
    fn emit_next(&mut self, cx: &mut Context) -> bool {
        let first = self.line.first();
        if let Some(Item::Watermark { watermark, ingress }) = self.line.get(first) {
            let (watermark, ingress) = (*watermark, *ingress);
            if self.turn == first {
                self.turn = self.line.after(first);
            }
            self.line.remove(first);
            self.first_segment += 1;
            self.search = match self.settings.order {
                Order::Any => self.line.first(),
                Order::Input => NOWHERE,
            };
            cx.ingress = ingress;
            self.oldest = Some(self.oldest.map_or(ingress, |oldest| oldest.min(ingress)));
            self.next.on_watermark(watermark, cx);
            return true;
        }
        match self.settings.order {
            Order::Input => self.emit_from(first, cx),
            Order::Any => match self.ready.pop_front() {
                Some(Ready::Record(place)) => self.emit_from(place, cx),
                Some(Ready::Call(call)) => self.emit_for(call, cx),
                None => self.search_on(),
            },
        }
    }

    /// Emits the first record that waits for an answered call, and keeps the others for later.
    fn emit_for(&mut self, call: u32, cx: &mut Context) -> bool {
        self.calls.unlist(call);
        let emitted = self.emit_from(self.calls.first_waiting(call), cx);
        if self.is_in_first(self.calls.first_waiting(call)) && self.calls.list(call) {
            self.ready.push_front(Ready::Call(call));
        }
        emitted
    }

    /// Looks at one more record of the first segment.
    fn search_on(&mut self) -> bool {
        let place = self.search;
        let Some(Item::Record { wait, .. }) = self.line.get(place) else {
            self.search = NOWHERE;
            return false;
        };
        self.search = self.line.after(place);
        match wait {
            Wait::Known(_) => self.ready.push_back(Ready::Record(place)),
            Wait::Call(call) => {
                if self.calls.first_waiting(*call) == place && self.calls.list(*call) {
                    self.ready.push_back(Ready::Call(*call));
                }
            }
            Wait::Turn(_) => self.search = NOWHERE,
        }
        true
    }

    /// Emits the record at `place`, if its answer is there.
    fn emit_from(&mut self, place: u32, cx: &mut Context) -> bool {
        let Some(Item::Record { wait, then, .. }) = self.line.get(place) else { return false };
        let answer = match wait {
            Wait::Turn(_) => return false,
            Wait::Known(_) => None,
            Wait::Call(call) => match self.calls.take_answer(*call, *then) {
                Some(answer) => Some(answer),
                None => return false,
            },
        };
        if place == self.search {
            self.search = self.line.after(place);
        }
        let Some(Item::Record { record, ingress, wait, .. }) = self.line.remove(place) else {
            return false;
        };
        self.records -= 1;
        if let Some(answer) = answer.or(match wait {
            Wait::Known(answer) => Some(answer),
            _ => None,
        }) {
            self.send(record, answer, ingress, cx);
        }
        true
    }

    /// Ends a batch downstream, if something went out.
    fn publish(&mut self, cx: &mut Context) {
        if let Some(oldest) = self.oldest.take() {
            cx.ingress = oldest;
            self.next.on_batch_end(cx);
        }
    }
}

impl<T, F, L, M, N> Operator<T> for LookupOperator<T, F, L, M, N>
where
    T: Clone + Stored,
    F: Fn(&T) -> L::Request + 'static,
    L: Lookup,
    M: Memo<L::Request, L::Reply>,
    N: Operator<(T, Answer<L::Reply>)>,
{
    fn on_record(&mut self, record: Record<T>, cx: &mut Context) {
        self.take(record, cx);
    }

    fn on_batch(&mut self, batch: Batch<'_, T>, cx: &mut Context) {
        for record in batch {
            self.take(record, cx);
        }
    }

    fn on_watermark(&mut self, watermark: Watermark, cx: &mut Context) {
        if self.line.is_empty() {
            self.next.on_watermark(watermark, cx);
        } else {
            self.line_up_watermark(watermark, cx.ingress);
        }
    }

    fn on_batch_end(&mut self, cx: &mut Context) {
        let ingress = cx.ingress;
        self.ask(cx);
        self.emit(cx);
        cx.ingress = self.oldest.take().unwrap_or(ingress);
        self.next.on_batch_end(cx);
    }

    fn resume(&mut self, cx: &mut Context) -> Work {
        let mut work = self.next.resume(cx);
        if self.line.is_empty() {
            return work;
        }
        let slice = self.settings.fire_max as u64;
        let mut done = self.calls.collect(slice, cx);
        // An answer that is there has come in time, even if its turn to be taken has not.
        if done < slice {
            done += self.calls.expire(slice, cx);
        }
        self.note_answers();
        done += self.emit(cx);
        if self.ask(cx) > 0 {
            done += 1 + self.emit(cx);
        }
        self.publish(cx);
        work += Work(done);
        work
    }

    fn pressure(&self) -> Pressure {
        let here = match self.records {
            records if records >= self.settings.capacity => Pressure::Full,
            _ if self.line.is_empty() => Pressure::Clear,
            _ => Pressure::Pending,
        };
        here.max(self.next.pressure())
    }

    fn inspect(&self, each: &mut dyn FnMut(Shown<'_>)) {
        self.calls.memo().inspect(each);
        self.next.inspect(each);
    }

    fn on_checkpoint(&mut self, checkpoint: Checkpoint, cx: &mut Context) {
        self.next.on_checkpoint(checkpoint, cx);
    }

    /// Records that wait are kept as records, whatever has become of their calls: after a restore
    /// they are asked about again.
    fn save(&self, out: &mut Saved) {
        out.at_rest("lookup", self.oldest.is_none(), "has something left to publish");
        out.unseen::<F>("lookup");
        let kept = self.line.iter().map(|item| match item {
            Item::Record { record, ingress, .. } => Kept::Record(record.clone(), *ingress),
            Item::Watermark { watermark, ingress } => Kept::Watermark(*watermark, *ingress),
        });
        out.put("lookup", &kept.collect::<Vec<_>>());
        self.calls.save(out);
        self.next.save(out);
    }

    fn load(&mut self, from: &mut Saved) {
        let mut kept: Vec<Kept<T>> = Vec::new();
        from.rescale_by("lookup", &mut kept, those_that_follow);
        for item in kept {
            match item {
                Kept::Record(record, ingress) => {
                    let request = (self.request_of)(&record.value);
                    self.line_up(record, ingress, request);
                }
                Kept::Watermark(watermark, ingress) => self.line_up_watermark(watermark, ingress),
            }
        }
        self.calls.load(from);
        self.next.load(from);
    }

    fn bulk(&mut self, each: &mut EachBulk<'_>) {
        self.next.bulk(each);
    }
}
