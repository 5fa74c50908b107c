//! The timers of a process function: by key, two clocks, and no timer twice.

use serde::{Deserialize, Serialize};

use crate::error::Full;
use crate::state::{EachBulk, Key, Rescale, Rescaled, Table};
use crate::time::{TimerId, TimerWheel, Timestamp, us};

/// By which clock a timer goes.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub enum TimerClock {
    /// The watermark.
    #[default]
    EventTime,
    /// The `now` of the step.
    ProcessingTime,
}

/// A timer of a key: when, by which clock, and what for.
///
/// It is its own handle: a key has it at most once, setting it again changes nothing, and it is
/// cancelled by its value. So state that remembers a timer remembers a time.
///
/// ```
/// use millstream::{ms, Timer, Timestamp};
/// const QUIET: u16 = 1;
/// let at = Timestamp::from_millis(20);
/// let by_event_time = Timer::at(at);
/// let by_the_clock = Timer::processing(at + ms(5));
/// let another = Timer::at(at).tagged(QUIET);
/// assert_ne!(by_event_time, another);
/// assert_eq!(Timer::from(at), by_event_time);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timer {
    /// When it is due.
    pub at: Timestamp,
    /// By which clock.
    pub clock: TimerClock,
    /// What for: a number of the function's own; 0 unless set.
    pub tag: u16,
}

impl Timer {
    /// A timer that is due when the watermark reaches `at`.
    pub const fn at(at: Timestamp) -> Self {
        Self { at, clock: TimerClock::EventTime, tag: 0 }
    }

    /// A timer that is due when processing time reaches `at`.
    pub const fn processing(at: Timestamp) -> Self {
        Self { at, clock: TimerClock::ProcessingTime, tag: 0 }
    }

    /// The same time, for another purpose: timers with different tags are different timers.
    pub const fn tagged(self, tag: u16) -> Self {
        Self { tag, ..self }
    }
}

impl From<Timestamp> for Timer {
    fn from(at: Timestamp) -> Self {
        Self::at(at)
    }
}

/// What a key knows of its timers: the whole of one, and how many there are beside it.
///
/// Most keys have one timer or none. Finding out whether a timer is set costs them a comparison.
/// The others look into a table that all keys share, so that no number of timers makes it slow.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
pub struct Pending {
    at: Timestamp,
    id: Option<TimerId>,
    /// How many are in the table.
    others: u32,
    tag: u16,
    clock: TimerClock,
}

impl Pending {
    /// Whether the key has no timer.
    #[inline(always)]
    pub fn is_none(&self) -> bool {
        self.id.is_none() && self.others == 0
    }

    /// Its timer is named in the table, as the others are.
    pub fn forget_place(&mut self) {
        self.others += u32::from(self.id.take().is_some());
    }

    #[inline(always)]
    fn holds(&self, timer: Timer) -> bool {
        self.id.is_some() && (self.at, self.tag, self.clock) == (timer.at, timer.tag, timer.clock)
    }
}

/// The name of a timer in the table: its key, its time, its tag, and whether it goes by processing
/// time.
type Name<K> = (K, i64, u16, bool);

fn name<K>(key: K, timer: Timer) -> Name<K> {
    (key, timer.at.0, timer.tag, timer.clock == TimerClock::ProcessingTime)
}

/// The timers of one operator on one shard.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Timers<K: Key> {
    event: TimerWheel<(K, u16)>,
    processing: TimerWheel<(K, u16)>,
    /// Those that their keys do not know by heart.
    others: Table<Name<K>, Option<TimerId>>,
    most: usize,
}

impl<K: Key> Rescaled for Timers<K> {
    /// Shows what of it may be large.
    fn bulk(&mut self, each: &mut EachBulk<'_>) {
        self.event.bulk(each);
        self.processing.bulk(each);
        each(&mut self.others);
    }

    /// All of them are named in the table then: see [`Pending::forget_place`]. How many there may
    /// be is not looked at.
    fn rescaled(from: Vec<Self>, to: &Rescale) -> Result<Self, String> {
        let first = from.first().ok_or("there was no shard")?;
        let (event, processing) = (first.event.empty(), first.processing.empty());
        let mut all = Self { event, processing, others: first.others.empty(), most: first.most };
        let full = |_| "more timers than one shard can hold".to_owned();
        for Self { event, processing, .. } in from {
            for (at, (key, tag)) in event.in_order_set().filter(|(_, (key, _))| to.owns(*key)) {
                let id = all.event.set(at, (key, tag)).map_err(full)?;
                *all.others.entry(name(key, Timer::at(at).tagged(tag))) = Some(id);
            }
            for (at, (key, tag)) in processing.in_order_set().filter(|(_, (key, _))| to.owns(*key))
            {
                let id = all.processing.set(at, (key, tag)).map_err(full)?;
                *all.others.entry(name(key, Timer::processing(at).tagged(tag))) = Some(id);
            }
        }
        Ok(all)
    }
}

impl<K: Key> Timers<K> {
    /// No timer, and at most `most` of them at a time.
    pub fn new(most: usize, hash_seed: u64) -> Self {
        // Fine enough that few timers share a slot at a million a second.
        let wheel = || TimerWheel::new(most, us(1));
        Self { event: wheel(), processing: wheel(), others: Table::new(hash_seed), most }
    }

    /// At most `most` of them at a time from now on, whatever it was when they were saved.
    pub fn limit(&mut self, most: usize) {
        self.event.set_capacity(most);
        self.processing.set_capacity(most);
        self.most = most;
    }

    /// How many are set.
    #[inline]
    pub fn len(&self) -> usize {
        self.event.len() + self.processing.len()
    }

    /// Shows the key and the time of each timer, in no order.
    pub fn visit(&self, mut each: impl FnMut(K, Timestamp)) {
        self.event.visit(|at, (key, _)| each(*key, at));
        self.processing.visit(|at, (key, _)| each(*key, at));
    }

    /// When the first by event time is due.
    #[inline(always)]
    pub fn next_event(&self) -> Option<Timestamp> {
        self.event.next()
    }

    /// When the first by processing time is due.
    #[inline(always)]
    pub fn next_processing(&self) -> Option<Timestamp> {
        self.processing.next()
    }

    /// Whether the key has this timer.
    pub fn is_set(&self, key: K, pending: &Pending, timer: Timer) -> bool {
        pending.holds(timer) || pending.others > 0 && self.others.get(name(key, timer)).is_some()
    }

    /// Sets a timer, unless the key has it; `Err` if there may be no more.
    #[inline]
    pub fn set(
        &mut self,
        key: K,
        pending: &mut Pending,
        timer: Timer,
    ) -> Result<bool, Full<Timer>> {
        if self.is_set(key, pending, timer) {
            return Ok(false);
        }
        if self.len() >= self.most {
            return Err(Full(timer));
        }
        let what = (key, timer.tag);
        let id = self.wheel(timer.clock).set(timer.at, what).map_err(|_| Full(timer))?;
        if pending.id.is_none() {
            let Timer { at, clock, tag } = timer;
            *pending = Pending { at, id: Some(id), tag, clock, ..*pending };
        } else {
            *self.others.entry(name(key, timer)) = Some(id);
            pending.others += 1;
        }
        Ok(true)
    }

    /// Takes a timer back; says whether the key had it.
    #[inline]
    pub fn cancel(&mut self, key: K, pending: &mut Pending, timer: Timer) -> bool {
        match self.forget(key, pending, timer) {
            Some(id) => self.wheel(timer.clock).cancel(id).is_some(),
            None => false,
        }
    }

    /// The first timer by event time, if it is due; the key must [`forget`](Self::forget) it.
    #[inline]
    pub fn pop_event(&mut self, watermark: Timestamp) -> Option<(K, Timer)> {
        let (at, (key, tag)) = self.event.pop(watermark)?;
        Some((key, Timer::at(at).tagged(tag)))
    }

    /// The first timer by processing time, if it is due; the key must forget it.
    pub fn pop_processing(&mut self, now: Timestamp) -> Option<(K, Timer)> {
        let (at, (key, tag)) = self.processing.pop(now)?;
        Some((key, Timer::processing(at).tagged(tag)))
    }

    /// The key of a timer by event time that may well fire soon.
    #[inline]
    pub fn ahead(&self) -> Option<K> {
        self.event.ahead().map(|(key, _)| *key)
    }

    /// Starts loading the timer that a key knows.
    #[inline(always)]
    pub fn warm(&self, pending: &Pending) {
        if let Some(id) = pending.id {
            match pending.clock {
                TimerClock::EventTime => self.event.warm(id),
                TimerClock::ProcessingTime => self.processing.warm(id),
            }
        }
    }

    /// The key no longer has this timer.
    #[inline]
    pub fn forget(&mut self, key: K, pending: &mut Pending, timer: Timer) -> Option<TimerId> {
        if pending.holds(timer) {
            return pending.id.take();
        }
        if pending.others == 0 {
            return None;
        }
        let id = self.others.remove(name(key, timer))?;
        pending.others -= 1;
        id
    }

    #[inline(always)]
    fn wheel(&mut self, clock: TimerClock) -> &mut TimerWheel<(K, u16)> {
        match clock {
            TimerClock::EventTime => &mut self.event,
            TimerClock::ProcessingTime => &mut self.processing,
        }
    }
}
