//! Records that wait for the watermark.

use std::collections::VecDeque;

use crate::dataflow::Batch;
use crate::error::Full;
use crate::state::{Key, TOGETHER};
use crate::time::{TimerWheel, Timestamp, Watermark, us};

/// How many runs of records in order there may be before all of them wait in the wheel: two inputs,
/// and some more.
const RUNS: usize = 4;

/// Records that come out in the order of time once the watermark has passed them, those of one time
/// as they arrived.
///
/// The watermark follows most records closely: it comes with their batch, or with that of the other
/// input. Such records pass through queues, each of them in order, and are merged when it is there.
/// What it has not passed by then waits in a wheel, and so does whatever is here between two steps:
/// the wheel is all there is to be saved.
///
/// So what is in the wheel came before all that is in queues, and what is in a queue before all
/// that is in the next one. Of equal times the first of these is first.
pub struct Early<K: Key, T> {
    runs: [VecDeque<(Timestamp, K, T)>; RUNS],
    /// How many of them are in use.
    used: usize,
    /// How many records are in them, and how many may be.
    len: usize,
    most: usize,
    /// The watermark has passed all that is in them.
    is_due: bool,
    /// Of those that are due the first: its run and its time.
    first: (usize, Timestamp),
    /// Before this time come only those of its run.
    until: Timestamp,
    /// When what came last happened.
    last: Timestamp,
    /// Whether the next watermark is likely to pass what comes now, since the last one did.
    is_near: bool,
    /// The keys of those that were looked ahead for last, and how many of each run that were have
    /// not left yet.
    ahead: Vec<K>,
    foreseen: [usize; RUNS],
    wheel: TimerWheel<(K, T)>,
}

impl<K: Key, T> Early<K, T> {
    /// Room for so many records in passing, and for so many in all.
    pub fn new(passing_max: usize, records_max: usize) -> Self {
        Self {
            // All of it now: the second run may be needed for the first time after hours.
            runs: std::array::from_fn(|_| VecDeque::with_capacity(passing_max)),
            used: 0,
            len: 0,
            most: passing_max,
            is_due: false,
            first: (0, Timestamp::MAX),
            until: Timestamp::MIN,
            last: Timestamp::MIN,
            is_near: true,
            ahead: Vec::with_capacity(TOGETHER.min(passing_max)),
            foreseen: [0; RUNS],
            wheel: TimerWheel::new(records_max, us(1)),
        }
    }

    /// What the room for so many in passing takes.
    pub const fn bytes(passing_max: usize) -> usize {
        passing_max.saturating_mul(RUNS * size_of::<(Timestamp, K, T)>())
    }

    /// What a snapshot holds, once the queues are empty.
    pub fn wheel(&self) -> &TimerWheel<(K, T)> {
        &self.wheel
    }

    /// The same, to be restored.
    pub fn wheel_mut(&mut self) -> &mut TimerWheel<(K, T)> {
        &mut self.wheel
    }

    /// Whether nothing is in passing.
    #[inline(always)]
    pub fn is_settled(&self) -> bool {
        self.len == 0
    }

    /// When the first is due of those that the watermark may have passed.
    #[inline(always)]
    pub fn next(&self) -> Option<Timestamp> {
        if self.first.1 < self.until {
            return Some(self.first.1);
        }
        let waiting = self.wheel.next();
        match self.is_due {
            true => Some(waiting.map_or(self.first.1, |at| at.min(self.first.1))),
            false => waiting,
        }
    }

    /// Records of a batch wait: those before the first that is behind `told`, as many as are likely
    /// to pass soon. Says how many it took.
    pub fn push_some(&mut self, told: Timestamp, keys: &[K], batch: &mut Batch<'_, T>) -> usize {
        let room = self.wheel.capacity().saturating_sub(self.wheel.len());
        let room = room.min(self.most).saturating_sub(self.len);
        let ahead = batch.as_slice().iter().take(room).take_while(|record| record.at >= told);
        let most = if self.is_near { ahead.count() } else { 0 };
        let mut taken = 0;
        while taken < most {
            let rest = &batch.as_slice()[..most - taken];
            let follows = rest[0].at >= self.last && self.used > 0;
            if !follows && self.used == RUNS {
                break;
            }
            self.used += usize::from(!follows);
            let in_order = rest.windows(2).take_while(|two| two[0].at <= two[1].at);
            let count = 1 + in_order.count();
            self.last = rest[count - 1].at;
            let run = &mut self.runs[self.used - 1];
            for (record, key) in batch.by_ref().take(count).zip(&keys[taken..]) {
                run.push_back((record.at, *key, record.value));
            }
            taken += count;
        }
        self.len += taken;
        taken
    }

    /// A record waits. Gives it back if there may be no more.
    #[inline]
    pub fn push(&mut self, at: Timestamp, key: K, value: T) -> Result<(), Full<(K, T)>> {
        if self.wheel.len() + self.len >= self.wheel.capacity() {
            return Err(Full((key, value)));
        }
        debug_assert!(!self.is_due);
        let follows = at >= std::mem::replace(&mut self.last, at) && self.used > 0;
        if !self.is_near || (!follows && self.used == RUNS) || self.len == self.most {
            // Those that are here came before.
            self.settle();
            self.is_near = false;
            return self.wheel.set(at, (key, value)).map(drop);
        }
        self.used += usize::from(!follows);
        self.len += 1;
        self.runs[self.used - 1].push_back((at, key, value));
        Ok(())
    }

    /// The watermark has come so far, and whatever was due before has been taken.
    #[inline]
    pub fn reach(&mut self, watermark: Watermark) {
        debug_assert!(!self.is_due);
        let is_due = |at: Timestamp| at < watermark.at || watermark.is_end();
        self.is_near = is_due(self.last);
        for run in &mut self.runs[..self.used] {
            if run.back().is_some_and(|(at, ..)| !is_due(*at)) {
                let due = run.partition_point(|(at, ..)| is_due(*at));
                self.len -= run.len() - due;
                shelve(run.drain(due..), &mut self.wheel);
            }
        }
        self.find_first();
    }

    /// What is in passing and not due waits in the wheel.
    #[inline]
    pub fn settle(&mut self) {
        if self.len > 0 && !self.is_due {
            let Self { runs, wheel, .. } = self;
            runs.iter_mut().for_each(|run| shelve(run.drain(..), wheel));
            (self.len, self.used) = (0, 0);
        }
    }

    /// Takes out the first, if it is due: its time, its key, and what it is.
    #[inline(always)]
    pub fn pop(&mut self, watermark: Timestamp) -> Option<(Timestamp, K, T)> {
        let (run, at) = self.first;
        if at >= self.until {
            return self.pop_first(watermark);
        }
        let record = self.runs[run].pop_front();
        self.len -= 1;
        self.foreseen[run] = self.foreseen[run].saturating_sub(1);
        match self.runs[run].front() {
            Some((at, ..)) if *at < self.until => self.first.1 = *at,
            _ => self.find_first(),
        }
        record
    }

    /// The same, where it may be in another run or in the wheel.
    #[inline(never)]
    fn pop_first(&mut self, watermark: Timestamp) -> Option<(Timestamp, K, T)> {
        let (run, at) = self.first;
        if !self.is_due || self.wheel.next().is_some_and(|waiting| waiting <= at) {
            let (at, (key, value)) = self.wheel.pop(watermark)?;
            self.find_first();
            return Some((at, key, value));
        }
        let record = self.runs[run].pop_front();
        self.len -= 1;
        self.foreseen[run] = self.foreseen[run].saturating_sub(1);
        self.find_first();
        record
    }

    /// Whether some of those that are due did not go into the wheel, and nobody has looked ahead
    /// for the first of them.
    #[inline(always)]
    pub fn is_unforeseen(&self) -> bool {
        self.is_due && self.foreseen[self.first.0] == 0
    }

    /// The keys of those that come next in the first run, as many as are looked up together.
    pub fn foresee(&mut self) -> &[K] {
        let (run, _) = self.first;
        let next = self.runs[run].iter().take(TOGETHER);
        self.ahead.clear();
        self.ahead.extend(next.map(|(_, key, _)| *key));
        self.foreseen[run] = self.ahead.len();
        &self.ahead
    }

    /// The key of a record that may well be the next but two, where only the wheel has any.
    #[inline]
    pub fn ahead(&self) -> Option<K> {
        self.wheel.ahead().filter(|_| !self.is_due).map(|(key, _)| *key)
    }

    /// Finds the first of those that are due, and how far its run may be followed.
    #[inline(never)]
    fn find_first(&mut self) {
        self.is_due = self.len > 0;
        if !self.is_due {
            // The next one starts where its memory does.
            self.runs[..self.used].iter_mut().for_each(VecDeque::clear);
            (self.used, self.first, self.until) = (0, (0, Timestamp::MAX), Timestamp::MIN);
            self.foreseen = [0; RUNS];
            return;
        }
        let (mut first, mut until) = ((0, Timestamp::MAX), Timestamp::MAX);
        for (number, run) in self.runs[..self.used].iter().enumerate().rev() {
            match run.front() {
                Some((at, ..)) if *at <= first.1 => (first, until) = ((number, *at), first.1),
                Some((at, ..)) => until = until.min(*at),
                None => (),
            }
        }
        self.first = first;
        self.until = self.wheel.next().map_or(until, |at| at.min(until));
    }
}

/// Puts records into the wheel, in which there is room for them.
fn shelve<K: Key, T>(
    records: impl Iterator<Item = (Timestamp, K, T)>,
    wheel: &mut TimerWheel<(K, T)>,
) {
    for (at, key, value) in records {
        let set = wheel.set(at, (key, value));
        debug_assert!(set.is_ok(), "room was counted");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataflow::Record;

    /// What waits, and how far event time has come.
    struct Both {
        early: Early<u32, u32>,
        /// In the order in which they came.
        model: Vec<(i64, u32)>,
        told: i64,
        count: u32,
    }

    impl Both {
        fn new(batch_max: usize, most: usize) -> Self {
            Self { early: Early::new(2 * batch_max, most), model: Vec::new(), told: 0, count: 0 }
        }

        /// A batch comes, of which some may be late and are not looked at.
        fn batch(&mut self, times: &[i64]) {
            let numbers: Vec<u32> = (self.count..).take(times.len()).collect();
            self.count += times.len() as u32;
            let records = times.iter().zip(&numbers).map(|(at, n)| Record::new(Timestamp(*at), *n));
            let mut records: Vec<_> = records.collect();
            let mut batch = records.drain(..);
            let told = Timestamp(self.told);
            let taken = self.early.push_some(told, &numbers, &mut batch);
            for (Record { at, value }, number) in batch.zip(&numbers[taken..]) {
                if at >= told {
                    self.early.push(at, *number, value).unwrap();
                }
            }
            let waiting = times.iter().copied().zip(numbers).filter(|(at, _)| *at >= self.told);
            self.model.extend(waiting);
        }

        /// The watermark comes, and what it has passed leaves.
        fn advance(&mut self, watermark: Watermark) {
            self.told = watermark.at.0;
            let is_due = |at: i64| at < watermark.at.0 || watermark.is_end();
            let mut want: Vec<_> = self.model.extract_if(.., |waits| is_due(waits.0)).collect();
            want.sort_by_key(|waits| waits.0);
            self.early.reach(watermark);
            for (at, number) in want {
                self.early.settle(); // a step ends
                assert_eq!(self.early.next(), Some(Timestamp(at)));
                assert_eq!(self.early.pop(watermark.at), Some((Timestamp(at), number, number)));
            }
            assert!(self.early.next().is_none_or(|at| !is_due(at.0)) && self.early.is_settled());
        }
    }

    /// Two inputs in order and one that is not, near the watermark and far ahead of it.
    #[test]
    fn records_leave_in_the_order_of_time_and_then_of_arrival() {
        for seed in 0..300 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let mut both = Both::new(rng.usize(1..20), 1 << 20);
            let (mut now, spread) = (0, rng.i64(1..30));
            for _ in 0..100 {
                let mut times: Vec<i64> =
                    (0..rng.usize(1..12)).map(|_| now + rng.i64(-2..spread)).collect();
                if rng.u8(..8) > 0 {
                    times.sort_unstable();
                }
                both.batch(&times);
                if rng.u8(..3) == 0 {
                    both.early.settle();
                    assert_eq!(both.early.wheel().len(), both.model.len(), "all of it is saved");
                }
                if rng.bool() {
                    now += rng.i64(0..spread);
                    both.advance(Watermark::at(Timestamp(now)));
                }
            }
            both.batch(&[i64::MAX, now, i64::MAX]);
            both.advance(Watermark::END);
            assert!(both.model.is_empty());
        }
    }

    #[test]
    fn no_more_wait_than_may() {
        for split in 0..=7 {
            let mut both = Both::new(4, 7);
            both.batch(&[5, 6, 7, 1, 2, 3, 4][..split]);
            both.early.settle();
            both.batch(&[5, 6, 7, 1, 2, 3, 4][split..]);
            let refused = both.early.push(Timestamp(9), 0, 0);
            assert!(refused.is_err(), "{split} of them in the wheel");
            both.advance(Watermark::at(Timestamp(8)));
            assert!(both.early.push(Timestamp(9), 0, 0).is_ok());
        }
    }

    /// Two inputs whose times are mixed: each record was looked ahead for once, before it left.
    #[test]
    fn each_run_is_looked_ahead_for() {
        let mut both = Both::new(200, 1_000);
        for first in 0..2 {
            both.batch(&(0..150).map(|n| 2 * n + first).collect::<Vec<_>>());
        }
        both.early.reach(Watermark::END);
        let mut foreseen = Vec::new();
        while !both.early.is_settled() {
            if both.early.is_unforeseen() {
                foreseen.extend_from_slice(both.early.foresee());
            }
            let (_, key, _) = both.early.pop(Timestamp::MAX).expect("it is due");
            assert!(foreseen.contains(&key), "{key}");
        }
        foreseen.sort_unstable();
        assert!(foreseen.into_iter().eq(0..300));
    }

    /// Those in passing count as those in the wheel do.
    #[test]
    fn batches_in_passing_are_bounded() {
        let mut early = Early::new(8, 7);
        let taken = [0, 5].map(|first| {
            let record = |n: u32| Record::new(Timestamp(n.into()), n);
            let mut records: Vec<_> = (first..first + 5).map(record).collect();
            early.push_some(Timestamp(0), &[1, 2, 3, 4, 5], &mut records.drain(..))
        });
        assert_eq!(taken, [5, 2]);
    }
}
