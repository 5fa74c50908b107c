//! The wheel against an ordered map, and what bounds its work.

use std::collections::BTreeMap;

use super::*;
use crate::time::{ns, us};

impl<T> TimerWheel<T> {
    /// Panics unless the heaps are leftist heaps, in the slots and in the number they should be.
    fn check(&self) {
        let mut stack = Vec::new();
        for (slot, &Slot { root, .. }) in (0..).zip(&self.slots) {
            let bit = self.occupied[usize::from(slot) >> SLOT_BITS] >> (slot % 64) & 1;
            assert_eq!(bit == 1, root != NONE);
            if root != NONE {
                assert_eq!(self.nodes[root as usize].parent, NONE);
                assert!(self.nodes[root as usize].holds(slot));
                stack.push(root);
            }
        }
        let levels = self.occupied.iter().enumerate().filter(|(_, slots)| **slots != 0);
        assert_eq!(self.levels, levels.map(|(level, _)| 1 << level).sum::<u16>());
        let mut count = self.check_runs();
        while let Some(index) = stack.pop() {
            count += 1;
            let node = &self.nodes[index as usize];
            assert!(self.rank(node.left) >= self.rank(node.right));
            assert_eq!(node.rank, self.rank(node.right) + 1);
            for child in [node.left, node.right].into_iter().filter(|&child| child != NONE) {
                assert_eq!(self.nodes[child as usize].parent, index);
                assert!(self.nodes[child as usize].holds(node.slot));
                assert!(self.before(index, child));
                stack.push(child);
            }
        }
        assert_eq!(count, self.len);
    }
}

/// A wheel beside a model of it that is plainly right.
struct Pair {
    rng: fastrand::Rng,
    wheel: TimerWheel<u64>,
    model: BTreeMap<(Timestamp, u64), TimerId>,
    /// Every timer ever set.
    ids: Vec<(TimerId, (Timestamp, u64))>,
    now: Timestamp,
}

impl Pair {
    fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let resolution = ns([1, 1000, 1 << 20, u64::MAX][rng.usize(..4)]);
        let now = [Timestamp::MIN, Timestamp(0), Timestamp(1 << 60)][rng.usize(..3)];
        let capacity = [rng.usize(0..200), rng.usize(1000..1100)][rng.usize(..2)];
        let wheel = TimerWheel::new(capacity, resolution);
        Self { rng, wheel, model: BTreeMap::new(), ids: Vec::new(), now }
    }

    /// A time near or far, before or after now, often one given before.
    fn time(&mut self) -> Timestamp {
        let span = self.rng.i64(..) >> self.rng.u32(0..64);
        match self.rng.u8(0..20) {
            0 => Timestamp::MAX,
            1 => Timestamp::MIN,
            2..6 if !self.ids.is_empty() => self.ids[self.rng.usize(..self.ids.len())].1.0,
            6..8 => self.now,
            8..10 => self.now.offset(span),
            _ => self.now.offset(span.saturating_abs()),
        }
    }

    fn set(&mut self) {
        let key = (self.time(), self.ids.len() as u64);
        match self.wheel.set(key.0, key.1) {
            Ok(id) => {
                assert_eq!(self.model.insert(key, id), None);
                self.ids.push((id, key));
            }
            Err(Full(value)) => {
                assert_eq!((value, self.model.len()), (key.1, self.wheel.capacity()));
            }
        }
    }

    fn cancel(&mut self) {
        if !self.ids.is_empty() {
            let (id, key) = self.ids[self.rng.usize(..self.ids.len())];
            assert_eq!(self.wheel.cancel(id), self.model.remove(&key).map(|_| key.1));
        }
    }

    fn expire(&mut self) {
        let now = self.time();
        // At the end of time all is late from there on: go there seldom, or test nothing else.
        if now > Timestamp(i64::MAX / 2) && self.rng.u8(..) > 2 {
            return;
        }
        self.now = now;
        let budget = if self.rng.bool() { usize::MAX } else { self.rng.usize(0..8) };
        let due = self.model.range(..=(self.now, u64::MAX)).map(|(key, _)| *key);
        let due: Vec<_> = due.take(budget).collect();
        let mut fired = Vec::new();
        let count = self.wheel.expire(self.now, budget, |at, value| fired.push((at, value)));
        assert_eq!((&fired, count), (&due, due.len()));
        self.model.retain(|key, _| due.binary_search(key).is_err());
    }
}

#[test]
fn it_does_what_an_ordered_map_does() {
    for seed in 0..400 {
        let mut pair = Pair::new(seed);
        // Now and then enough of them for a second chunk of nodes.
        for _ in 0..if seed % 50 == 0 { 4_000 } else { 400 } {
            match pair.rng.u8(0..10) {
                0..6 => pair.set(),
                6..8 => pair.cancel(),
                _ => pair.expire(),
            }
            pair.wheel.check();
            assert_eq!(pair.wheel.len(), pair.model.len());
            assert_eq!(pair.wheel.next(), pair.model.keys().next().map(|key| key.0));
        }
    }
}

/// The most steps that one call of each kind took.
#[derive(Debug, Default)]
struct Most {
    set: u64,
    cancel: u64,
    expire: u64,
}

/// Sets `times`, cancels every `nth` of them, fires the others 256 at a time, and checks the order.
fn most_steps(times: impl ExactSizeIterator<Item = Timestamp>, nth: usize) -> Most {
    let mut wheel = TimerWheel::new(times.len(), us(1));
    let (mut most, mut ids) = (Most::default(), Vec::new());
    for (number, at) in times.enumerate() {
        let before = wheel.steps;
        ids.push(wheel.set(at, number).expect("room"));
        most.set = most.set.max(wheel.steps - before);
    }
    for id in ids.iter().step_by(nth) {
        let before = wheel.steps;
        wheel.cancel(*id).expect("set");
        most.cancel = most.cancel.max(wheel.steps - before);
    }
    let (mut last, mut fired) = (None, 0);
    while !wheel.is_empty() {
        let before = wheel.steps;
        fired += wheel.expire(Timestamp::MAX, 256, |at, number| {
            assert!(last < Some((at, number)));
            last = Some((at, number));
        });
        most.expire = most.expire.max(wheel.steps - before);
    }
    assert_eq!(fired, ids.len() - ids.len().div_ceil(nth));
    most
}

#[test]
fn a_million_timers_at_one_instant_take_a_step_each() {
    let one_instant = (0..1_000_000).map(|_| Timestamp(1 << 40));
    let most = most_steps(one_instant, 1_000_000);
    assert_eq!((most.set, most.expire), (1, 256));
}

#[test]
fn no_order_of_times_makes_one_call_long() {
    let mut rng = fastrand::Rng::with_seed(5);
    let falling = most_steps((0..200_000).map(|i: i32| Timestamp(-i64::from(i))), 3);
    let far = most_steps((0..200_000).map(|_| Timestamp(rng.i64(..))), 3);
    let near = most_steps((0..200_000).map(|_| Timestamp((1 << 40) + rng.i64(..100))), 2);
    // Timeouts of two lengths: each sets in the order of time, but they alternate.
    let two = most_steps((0..200_000).map(|i| Timestamp(i64::from(i + i % 2 * 300_000))), 5);
    for most in [falling, far, near, two] {
        // Two paths of at most log2(200 000) < 18 nodes, walked down and up; the same again for the
        // ranks above a cancelled one; the roots of eleven levels.
        assert!(most.set <= 1 + 2 * 36 && most.cancel <= 2 * 36 + 18 + 11, "{most:?}");
        assert!(most.expire <= 256 * (2 * 36 + 11), "{most:?}");
    }
}

#[test]
fn timers_of_a_few_orders_side_by_side_take_a_step_each() {
    let mut wheel = TimerWheel::new(1 << 16, us(1));
    // Batches of two inputs, and two timeouts.
    for batch in 0..100 {
        for (ahead, count) in [(0, 9), (0, 99), (50_000, 30), (3_000_000, 30)] {
            for n in 0..count {
                let before = wheel.steps;
                let at = Timestamp((batch + 1) * 1_000 + ahead + n * 10);
                wheel.set(at, (batch, ahead, n)).expect("room");
                assert_eq!(wheel.steps, before + 1);
            }
        }
        let before = wheel.steps;
        let fired = wheel.expire(Timestamp((batch + 1) * 1_000 + 990), usize::MAX, |_, _| ());
        assert_eq!(wheel.steps, before + fired as u64);
        wheel.check();
    }
}

#[test]
fn a_wheel_takes_memory_as_timers_need_it() {
    let mut wheel = TimerWheel::new(usize::from(u16::MAX) << 8, us(1));
    let ids: Vec<_> = (0..3_000).map(|n| wheel.set(Timestamp(n), n).expect("room")).collect();
    assert_eq!((wheel.nodes.len(), wheel.capacity()), (3_000, usize::from(u16::MAX) << 8));
    assert!(ids.iter().zip(0..).all(|(id, n)| wheel.cancel(*id) == Some(n)));
    (0..3_000).for_each(|n| _ = wheel.set(Timestamp(n), n).expect("room"));
    assert_eq!(wheel.nodes.len(), 3_000, "the same nodes again");
}

#[test]
fn popping_one_by_one_sees_what_is_set_meanwhile() {
    let (mut wheel, mut fired) = (TimerWheel::new(8, us(1)), Vec::new());
    wheel.set(Timestamp(5), 'b').expect("room");
    wheel.set(Timestamp(9), 'd').expect("room");
    while let Some((at, what)) = wheel.pop(Timestamp(10)) {
        fired.push((at.0, what));
        if what == 'b' {
            wheel.set(Timestamp(1), 'a').expect("room");
            wheel.set(Timestamp(7), 'c').expect("room");
            wheel.set(Timestamp(11), 'e').expect("room");
        }
    }
    assert_eq!(fired, [(5, 'b'), (1, 'a'), (7, 'c'), (9, 'd')]);
    assert_eq!(wheel.pop(Timestamp::MAX), Some((Timestamp(11), 'e')));
    assert_eq!(wheel.pop(Timestamp::MAX), None);
}

#[test]
fn ids_outlive_their_timers_and_take_eight_bytes() {
    assert_eq!(size_of::<Option<TimerId>>(), 8);
    assert_eq!(size_of::<Node<u64>>(), 48);
    let mut wheel = TimerWheel::new(1, us(1));
    let old = wheel.set(Timestamp(5), 'a').expect("room");
    assert_eq!(wheel.expire(Timestamp(5), 1, |_, _| ()), 1);
    let new = wheel.set(Timestamp(7), 'b').expect("room");
    assert_eq!(wheel.set(Timestamp(7), 'c'), Err(Full('c')));
    assert_eq!((wheel.cancel(old), wheel.cancel(new)), (None, Some('b')));
    assert_eq!((wheel.cancel(new), wheel.next()), (None, None));
}

/// Nodes of timers that have gone are not used beyond it.
#[test]
fn a_capacity_can_be_set_anew() {
    let mut wheel = TimerWheel::new(4, us(1));
    let set = |wheel: &mut TimerWheel<i64>, n| wheel.set(Timestamp(n), n).is_ok();
    assert_eq!([0, 1, 2, 3, 4].map(|n| set(&mut wheel, n)), [true, true, true, true, false]);
    wheel.set_capacity(6);
    assert_eq!([4, 5, 6].map(|n| set(&mut wheel, n)), [true, true, false]);
    wheel.set_capacity(2);
    assert_eq!((wheel.expire(Timestamp(3), 9, |_, _| ()), wheel.len()), (4, 2));
    assert!(!set(&mut wheel, 6), "there are four nodes of no timer");
    assert_eq!(wheel.pop(Timestamp(4)), Some((Timestamp(4), 4)));
    assert_eq!([6, 7].map(|n| set(&mut wheel, n)), [true, false]);
    wheel.check();
}
