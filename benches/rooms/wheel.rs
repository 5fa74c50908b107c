//! Timers that are set, cancelled and fired: by the wheel, and by a `BTreeMap` from time and number
//! to value, which fires in the same order.

use std::collections::BTreeMap;

use millstream::time::{TimerId, TimerWheel, Timestamp, us};

/// Between two timers, on the average.
const APART_NS: i64 = 1_000;

/// What keeps timers.
pub trait Timers {
    /// What cancels one.
    type Id: Copy;
    /// With room for so many.
    fn new(count: usize) -> Self;
    /// Sets one.
    fn set(&mut self, at: Timestamp) -> Self::Id;
    /// Takes one out; what was kept with it.
    fn cancel(&mut self, id: Self::Id) -> Option<u64>;
    /// Fires the earliest one: when it was to fire, and what was kept with it.
    fn fire(&mut self) -> (Timestamp, u64);
}

/// The engine's way.
pub struct Wheel(TimerWheel<u64>);

impl Timers for Wheel {
    type Id = TimerId;

    fn new(count: usize) -> Self {
        Self(TimerWheel::new(count, us(1)))
    }

    fn set(&mut self, at: Timestamp) -> TimerId {
        self.0.set(at, 1).expect("one was taken out before")
    }

    fn cancel(&mut self, id: TimerId) -> Option<u64> {
        self.0.cancel(id)
    }

    fn fire(&mut self) -> (Timestamp, u64) {
        let now = self.0.next().unwrap_or_default();
        let mut fired = 0;
        self.0.expire(now, 1, |_, value| fired = value);
        (now, fired)
    }
}

/// The baseline: timers by time, and by number where times are equal.
pub struct Map {
    timers: BTreeMap<(Timestamp, u64), u64>,
    number: u64,
}

impl Timers for Map {
    type Id = (Timestamp, u64);

    fn new(_: usize) -> Self {
        Self { timers: BTreeMap::new(), number: 0 }
    }

    fn set(&mut self, at: Timestamp) -> (Timestamp, u64) {
        self.number += 1;
        self.timers.insert((at, self.number), 1);
        (at, self.number)
    }

    fn cancel(&mut self, id: (Timestamp, u64)) -> Option<u64> {
        self.timers.remove(&id)
    }

    fn fire(&mut self) -> (Timestamp, u64) {
        let ((now, _), fired) = self.timers.pop_first().unwrap_or_default();
        (now, fired)
    }
}

/// As many timers as there should be, set at all times; one that goes is followed by another.
pub struct Full<T: Timers> {
    timers: T,
    ids: Vec<T::Id>,
    times: Times,
}

impl<T: Timers> Full<T> {
    /// With so many timers.
    pub fn new(count: usize) -> Self {
        let (mut timers, mut times) = (T::new(count), Times::new(count));
        let ids = (0..count).map(|_| timers.set(times.after(Timestamp(0)))).collect();
        Self { timers, ids, times }
    }

    /// Cancels one of them, at random.
    pub fn cancel(&mut self) -> Option<u64> {
        let place = self.times.random.usize(..self.ids.len());
        let id = &mut self.ids[place];
        let value = self.timers.cancel(*id);
        *id = self.timers.set(self.times.after(Timestamp(0)));
        value
    }

    /// Fires the earliest.
    pub fn fire(&mut self) -> u64 {
        let (now, fired) = self.timers.fire();
        self.timers.set(self.times.after(now));
        fired
    }
}

/// The times that timers are set for.
struct Times {
    random: fastrand::Rng,
    /// The latest is so far ahead that there are as many timers as there should be.
    reach: i64,
}

impl Times {
    fn new(count: usize) -> Self {
        Self { random: fastrand::Rng::with_seed(7), reach: 2 * count as i64 * APART_NS }
    }

    fn after(&mut self, now: Timestamp) -> Timestamp {
        Timestamp(now.as_nanos() + self.random.i64(1..=self.reach))
    }
}
