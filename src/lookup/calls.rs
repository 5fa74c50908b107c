//! The calls that are under way: attempts, time-outs, retries, and who waits for them.

use std::collections::VecDeque;
use std::time::Duration;

use fastrand::Rng;

use crate::dataflow::{Context, Saved};
use crate::error::LookupError;
use crate::lookup::cache::{Found, Memo};
use crate::lookup::line::{Line, NOWHERE};
use crate::lookup::retry::Retry;
use crate::lookup::service::{Answer, CallId, Lookup};
use crate::metrics::Counter;
use crate::time::{TimerId, TimerWheel, us};

/// One question, from the first attempt until the last record that waits for the answer has it.
struct Call<Q, A> {
    /// `None` if the place is free.
    request: Option<Q>,
    /// Grows with every attempt that is given up, and with every new question.
    generation: u32,
    /// Attempts that have failed.
    failed: u32,
    phase: Phase<A>,
    timer: Option<TimerId>,
    /// The records that wait for it, in their order: places in the line, linked there.
    first: u32,
    last: u32,
    /// Whether it is among what can go out.
    listed: bool,
}

enum Phase<A> {
    /// To be asked as soon as there is room, at this place among those.
    Due(u32),
    /// Asked; the timer is the end of the attempt.
    Asked,
    /// An attempt has failed; the timer is the next one.
    Resting,
    /// Over.
    Answered(Answer<A>),
}

/// Calls of one operator.
pub struct Calls<L: Lookup, M> {
    lookup: L,
    memo: M,
    calls: Vec<Call<L::Request, L::Reply>>,
    free: Vec<u32>,
    /// Calls to be asked as soon as the lookup takes them.
    due: Line<u32>,
    timers: TimerWheel<u32>,
    rng: Rng,
    retry: Retry,
    timeout: Duration,
    /// Calls that were answered since somebody looked.
    answered: VecDeque<u32>,
    /// Something was asked and not yet published.
    unpublished: bool,
}

impl<L: Lookup, M: Memo<L::Request, L::Reply>> Calls<L, M> {
    /// No call is under way, and `capacity` may be.
    pub fn new(
        lookup: L,
        memo: M,
        capacity: usize,
        timeout: Duration,
        retry: Retry,
        seed: u64,
    ) -> Self {
        let call = |_| Call {
            request: None,
            generation: 0,
            failed: 0,
            phase: Phase::Resting,
            timer: None,
            first: NOWHERE,
            last: NOWHERE,
            listed: false,
        };
        Self {
            lookup,
            memo,
            calls: (0..capacity).map(call).collect(),
            free: (0..capacity as u32).rev().collect(),
            due: Line::new(capacity),
            timers: TimerWheel::new(capacity, us(1)),
            rng: Rng::with_seed(seed),
            retry,
            timeout,
            answered: VecDeque::with_capacity(capacity),
            unpublished: false,
        }
    }

    /// Bytes that so many calls take.
    pub const fn bytes(capacity: usize) -> usize {
        let call = size_of::<Call<L::Request, L::Reply>>() + 3 * size_of::<u32>();
        capacity.saturating_mul(call).saturating_add(Line::<u32>::bytes(capacity))
    }

    /// What the operator remembers.
    pub fn memo(&self) -> &M {
        &self.memo
    }

    /// Puts the memo and the seed of the next random number into a snapshot.
    pub fn save(&self, out: &mut Saved) {
        out.put("lookup", &self.memo);
        out.put("lookup", &self.rng.get_seed());
    }

    /// Goes on from what [`save`](Self::save) put in. No call is under way. Where each of another
    /// number of shards has a share of the keys nothing is remembered, and asked about again.
    pub fn load(&mut self, from: &mut Saved) {
        let mut seed = self.rng.get_seed();
        from.take_unless_shared("lookup", &mut self.memo);
        from.take_unless_shared("lookup", &mut seed);
        self.memo.forget_calls();
        self.rng.seed(seed);
    }

    /// The answer, if it takes no call.
    #[inline]
    pub fn known(&mut self, request: &L::Request, cx: &Context) -> Option<Answer<L::Reply>> {
        if let Found::Known(answer) = self.memo.find(request, cx.now) {
            cx.count(Counter::CacheHits, 1);
            return Some(Ok(answer));
        }
        self.lookup.known(request)
    }

    /// Lets the record at `place` of the line wait for a call: the one that is under way, or a new
    /// one. Returns the call, and the record that it is to be linked behind; `None` if there can be
    /// no more calls now.
    pub fn wait(
        &mut self,
        request: &L::Request,
        place: u32,
        cx: &Context,
    ) -> Option<(u32, Option<u32>)> {
        if let Found::Asked(at) = self.memo.find(request, cx.now) {
            cx.count(Counter::CacheShared, 1);
            let call = self.calls.get_mut(at as usize)?;
            return Some((at, Some(std::mem::replace(&mut call.last, place))));
        }
        let at = self.free.pop()?;
        let call = self.calls.get_mut(at as usize)?;
        call.request = Some(request.clone());
        (call.failed, call.first, call.last) = (0, place, place);
        self.memo.asked(request, at);
        self.make_due(at, cx);
        Some((at, None))
    }

    /// An attempt begins: its time runs, whether or not there is room to ask at once.
    fn make_due(&mut self, at: u32, cx: &Context) {
        let timer = self.timers.set(cx.now + self.timeout, at).ok();
        let place = self.due.push(at);
        if let Some(call) = self.calls.get_mut(at as usize) {
            (call.phase, call.timer) = (Phase::Due(place), timer);
        }
    }

    /// Asks what is due, as far as the lookup takes it; returns how much that was.
    pub fn ask(&mut self, cx: &Context) -> u64 {
        let mut asked = 0;
        while let Some(&at) = self.due.get(self.due.first()) {
            let Some(call) = self.calls.get_mut(at as usize) else { break };
            let id = CallId { place: at, generation: call.generation };
            let Some(request) = &call.request else { break };
            if self.lookup.ask(id, request, cx.now).is_err() {
                break;
            }
            call.phase = Phase::Asked;
            self.due.remove(self.due.first());
            asked += 1;
        }
        if asked > 0 {
            self.unpublished = true;
            cx.count(Counter::LookupCalls, asked);
        }
        asked
    }

    /// Hands on what was asked.
    pub fn publish(&mut self) {
        if std::mem::take(&mut self.unpublished) {
            self.lookup.publish();
        }
    }

    /// Takes at most `budget` answers; returns how many came.
    pub fn collect(&mut self, budget: u64, cx: &Context) -> u64 {
        let mut taken = 0;
        while taken < budget
            && let Some((id, answer)) = self.lookup.poll(cx.now)
        {
            taken += 1;
            let call = self.calls.get(id.place as usize);
            let is_awaited = call.is_some_and(|call| {
                call.generation == id.generation && matches!(call.phase, Phase::Asked)
            });
            if is_awaited {
                self.end_attempt(id.place, answer, cx);
            } else {
                cx.count(Counter::LookupLate, 1);
            }
        }
        taken
    }

    /// Ends attempts whose time is over, and waits that are over; at most `budget` of them.
    pub fn expire(&mut self, budget: u64, cx: &Context) -> u64 {
        let mut done = 0;
        while done < budget
            && let Some((_, at)) = self.timers.pop(cx.now)
        {
            done += 1;
            let Some(call) = self.calls.get_mut(at as usize) else { continue };
            call.timer = None;
            match call.phase {
                Phase::Resting => {
                    cx.count(Counter::LookupRetries, 1);
                    self.make_due(at, cx);
                }
                Phase::Due(_) | Phase::Asked => {
                    let id = CallId { place: at, generation: call.generation };
                    if matches!(call.phase, Phase::Asked) {
                        self.lookup.forget(id);
                        self.unpublished = true;
                    }
                    cx.count(Counter::LookupTimeouts, 1);
                    self.end_attempt(at, Err(LookupError::TimedOut(self.timeout)), cx);
                }
                Phase::Answered(_) => (),
            }
        }
        done
    }

    /// An attempt has brought an answer, or has failed.
    fn end_attempt(&mut self, at: u32, answer: Answer<L::Reply>, cx: &Context) {
        let Some(call) = self.calls.get_mut(at as usize) else { return };
        if let Some(timer) = call.timer.take() {
            self.timers.cancel(timer);
        }
        if let Phase::Due(place) = call.phase {
            self.due.remove(place);
        }
        call.generation = call.generation.wrapping_add(1);
        call.phase = Phase::Resting;
        if let Err(error) = &answer {
            call.failed = call.failed.saturating_add(1);
            if error.may_pass()
                && let Some(wait) = self.retry.wait(call.failed, &mut self.rng)
            {
                call.timer = self.timers.set(cx.now + wait, at).ok();
                return;
            }
        }
        if let Some(request) = &call.request {
            self.memo.settle(request, answer.as_ref().ok(), cx.now);
        }
        call.phase = Phase::Answered(answer);
        self.answered.push_back(at);
    }

    /// The next call that was answered, and the first record that waits for it.
    pub fn next_answered(&mut self) -> Option<(u32, u32)> {
        let at = self.answered.pop_front()?;
        Some((at, self.first_waiting(at)))
    }

    /// The first record that waits for a call; [`NOWHERE`] if it is over.
    #[inline]
    pub fn first_waiting(&self, at: u32) -> u32 {
        self.calls.get(at as usize).map_or(NOWHERE, |call| call.first)
    }

    /// Lists a call among what can go out, if it has its answer; says whether it has just been.
    #[inline]
    pub fn list(&mut self, at: u32) -> bool {
        let Some(call) = self.calls.get_mut(at as usize) else { return false };
        let is_answered = matches!(call.phase, Phase::Answered(_));
        is_answered && !std::mem::replace(&mut call.listed, is_answered)
    }

    /// Takes a call off the list.
    #[inline]
    pub fn unlist(&mut self, at: u32) {
        if let Some(call) = self.calls.get_mut(at as usize) {
            call.listed = false;
        }
    }

    /// The answer of a call for the first record that waits for it; `then` waits next. With the
    /// last one the call is over.
    pub fn take_answer(&mut self, at: u32, then: u32) -> Option<Answer<L::Reply>> {
        let call = self.calls.get_mut(at as usize)?;
        let Phase::Answered(answer) = &call.phase else { return None };
        call.first = then;
        if then != NOWHERE {
            return Some(answer.clone());
        }
        call.request = None;
        self.free.push(at);
        match std::mem::replace(&mut call.phase, Phase::Resting) {
            Phase::Answered(answer) => Some(answer),
            _ => None,
        }
    }
}
