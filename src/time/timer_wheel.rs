//! Timers by the million: a hierarchical timing wheel that fires in exact order.

mod looks;
mod moved;
mod runs;

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Timestamp, nanos};
use crate::error::Full;
use crate::memory::{Blocks, EachBulk};
use runs::{RUNS, Run, turn};

/// No node.
const NONE: u32 = u32::MAX;
/// Timers that a wheel can number.
const TIMERS_MAX: usize = NONE as usize - 1;
/// Slots of a level, as a power of two: one bit of a `u64` each.
const SLOT_BITS: u32 = 6;
/// Levels enough for 64 bits of ticks.
const LEVELS_MAX: usize = 64_usize.div_ceil(SLOT_BITS as usize);

/// Timers that fire in the order of their times, to the nanosecond; those of the same time in the
/// order in which they were set.
///
/// A hierarchical timing wheel (Varghese and Lauck, 1987): levels of 64 slots, where a slot of one
/// level spans all of the level below it, and a timer goes to the lowest level that reaches its
/// time. Eleven levels reach all of time, so there is no overflow list.
///
/// It departs from the paper in what a slot is: a leftist heap and not a list. The earliest timer
/// of a slot is at hand at any moment, so the earliest of all is the least of at most eleven roots,
/// and slots of the upper levels are never cascaded into the lower ones. Nothing here is a rare big
/// job: each set, cancel and firing takes a number of steps logarithmic in the timers of one slot,
/// at worst, and a million timers due at one instant fire in as many small pieces as asked for.
/// Those set in the order of their times are in lists beside the wheel, at one step each.
///
/// Memory is taken as timers need it, up to 64 KiB at a time (per timer, `T` and 40 bytes), and
/// kept: no timer ever moves, and no call takes memory for more than that.
///
/// ```
/// use millstream::time::{TimerWheel, Timestamp, us};
///
/// let at = Timestamp::from_millis;
/// let mut wheel = TimerWheel::new(1024, us(1));
/// let close = wheel.set(at(20), "close")?;
/// wheel.set(at(10), "open")?;
/// wheel.set(at(10), "trade")?;
/// assert_eq!(wheel.next(), Some(at(10)));
/// assert_eq!(wheel.cancel(close), Some("close"));
///
/// let mut fired = Vec::new();
/// assert_eq!(wheel.expire(at(15), 256, |_, what| fired.push(what)), 2);
/// assert_eq!(fired, ["open", "trade"]);
/// # Ok::<(), millstream::error::Full<&str>>(())
/// ```
#[derive(Serialize, Deserialize)]
pub struct TimerWheel<T> {
    nodes: Blocks<Node<T>>,
    /// How many timers there may be. A setting that travels with the timers: whoever restores them
    /// [sets](Self::set_capacity) its own.
    capacity: usize,
    /// The slots, level by level.
    slots: Box<[Slot]>,
    /// The lists beside them.
    runs: [Run; RUNS],
    /// For each level, which of its slots hold timers.
    occupied: [u64; LEVELS_MAX],
    /// Which levels do.
    levels: u16,
    /// Nodes of no timer, linked by `left`.
    free: u32,
    /// The earliest timer, and its time; `NONE` and the end of time if there is none.
    first: u32,
    next: Timestamp,
    /// The tick up to which all timers have fired. Those set later for before it count as of it.
    ///
    /// It never passes a timer. So the timers of a level share the digits above that level with it,
    /// and their slots, none of which lies behind it, do not wrap around: the lowest slot is first.
    position: u64,
    /// A tick is two to this many nanoseconds.
    tick_bits: u32,
    len: usize,
    /// How many timers were ever set.
    set: u64,
    /// Nodes and slots looked at, for the test of what bounds them.
    #[cfg(test)]
    steps: u64,
}

/// A timer that was set, to [`cancel`](TimerWheel::cancel) it by.
///
/// Stays valid, to no effect, after the timer has fired or was cancelled, and while its place is
/// used for other timers: it is mistaken for another only if that was set exactly a multiple of
/// 2^32 timers later, in the same place. `Option<TimerId>` takes no more than its 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TimerId {
    /// One more than the index of the node.
    place: NonZeroU32,
    /// The low half of the number of the timer.
    generation: u32,
}

/// A heap of the timers of one span of time.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Slot {
    root: u32,
    /// A node that was last in order when it was set, if it is still here.
    tail: u32,
}

#[derive(Clone, Serialize, Deserialize)]
struct Node<T> {
    at: Timestamp,
    /// How many timers were set before this one.
    number: u64,
    /// `NONE` in a root.
    parent: u32,
    left: u32,
    right: u32,
    /// Which slot the node is in.
    slot: u16,
    /// The length of the path that goes right all the way: never longer than that of the left
    /// child, which makes it logarithmic.
    rank: u8,
    /// `None` if the node is free.
    value: Option<T>,
}

impl<T> TimerWheel<T> {
    /// Shows the timers.
    pub fn bulk(&mut self, each: &mut EachBulk<'_>)
    where
        T: Serialize + DeserializeOwned,
    {
        each(&mut self.nodes);
    }

    /// Room for `capacity` timers at most. `resolution` is the span of the finest slots, rounded up
    /// to a power of two nanoseconds; it tunes the speed and does not coarsen time. A good one is
    /// what usually lies between two timers.
    ///
    /// # Panics
    ///
    /// If `capacity` is 2^32 - 1 or more.
    pub fn new(capacity: usize, resolution: Duration) -> Self {
        assert!(capacity <= TIMERS_MAX, "a timer wheel holds fewer than 2^32 - 1 timers");
        let tick = nanos(resolution).max(1).unsigned_abs().next_power_of_two();
        let tick_bits = tick.trailing_zeros();
        let levels = (64 - tick_bits).div_ceil(SLOT_BITS);
        Self {
            nodes: Blocks::new(),
            capacity,
            slots: vec![Slot { root: NONE, tail: NONE }; (levels << SLOT_BITS) as usize].into(),
            runs: [Run::EMPTY; RUNS],
            occupied: [0; LEVELS_MAX],
            levels: 0,
            free: NONE,
            first: NONE,
            next: Timestamp::MAX,
            position: 0,
            tick_bits,
            len: 0,
            set: 0,
            #[cfg(test)]
            steps: 0,
        }
    }

    /// How many timers are set.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no timer is set.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many timers can be set at once.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// When the earliest timer is due, exactly, or `None` if no timer is set. Costs two loads.
    #[inline]
    pub fn next(&self) -> Option<Timestamp> {
        if self.first == NONE { None } else { Some(self.next) }
    }

    /// Sets a timer. One for a time that has passed fires at the next [`expire`](Self::expire), in
    /// its place by time. Gives the value back if the wheel is full.
    pub fn set(&mut self, at: Timestamp, value: T) -> Result<TimerId, Full<T>> {
        let Some(index) = self.take_free() else { return Err(Full(value)) };
        let (number, value) = (self.set, Some(value));
        self.set += 1;
        self.len += 1;
        self.step();
        if let Some(run) = self.run_for(at) {
            let (slot, parent) = self.runs[run].place(run);
            self.nodes[index as usize] =
                Node { at, number, slot, parent, value, ..Node::free(NONE) };
            self.append(run, index, at, number);
        } else {
            let slot = self.slot(at);
            self.nodes[index as usize] = Node { at, number, slot, value, ..Node::free(NONE) };
            self.insert(slot, index);
        }
        // Of those of its time it is the last.
        if self.first == NONE || at < self.next {
            (self.first, self.next) = (index, at);
        }
        Ok(TimerId { place: NonZeroU32::MIN.saturating_add(index), generation: number as u32 })
    }

    /// Takes a timer back; `None` if it has fired or was cancelled before.
    pub fn cancel(&mut self, id: TimerId) -> Option<T> {
        let index = id.place.get() - 1;
        let node = self.nodes.get(index as usize)?;
        if node.number as u32 != id.generation { None } else { self.remove(index) }
    }

    /// Fires the timers due at `now` or before, but no more than `budget` of them, and returns how
    /// many. If that is `budget`, more may be due: [`next`](Self::next) tells, and the next call
    /// goes on from there. A `now` before that of an earlier call is fine.
    #[inline]
    pub fn expire(
        &mut self,
        now: Timestamp,
        budget: usize,
        mut fire: impl FnMut(Timestamp, T),
    ) -> usize {
        let mut fired = 0;
        while fired < budget
            && let Some((at, value)) = self.pop(now)
        {
            fired += 1;
            fire(at, value);
        }
        self.position = self.position.max(self.tick(now.min(self.next)));
        fired
    }

    /// Takes out the earliest timer, if it is due at `now` or before: for those who set and cancel
    /// others before they ask for the next.
    #[inline]
    pub fn pop(&mut self, now: Timestamp) -> Option<(Timestamp, T)> {
        let at = self.next;
        if at > now {
            return None;
        }
        self.position = self.position.max(self.tick(at));
        // Nothing to remove: the wheel is empty, and `now` is the end of time.
        let value = self.remove(self.first)?;
        Some((at, value))
    }

    /// A node of no timer, a new one if need be; `None` if there may be no more.
    #[inline]
    fn take_free(&mut self) -> Option<u32> {
        // Not as many as nodes: there may be more of these, since the capacity was lowered.
        if self.len >= self.capacity {
            return None;
        }
        match self.nodes.get(self.free as usize) {
            Some(node) => Some(std::mem::replace(&mut self.free, node.left)),
            None => Some(self.nodes.push(Node::free(NONE)) as u32),
        }
    }

    /// The tick that a time falls into, counted from the beginning of time.
    #[inline]
    fn tick(&self, at: Timestamp) -> u64 {
        // Flipping the sign bit makes the order that of unsigned numbers.
        ((at.as_nanos() as u64) ^ (1 << 63)) >> self.tick_bits
    }

    /// The slot for a timer: on the level of the highest digit in which it differs from `position`.
    #[inline]
    fn slot(&self, at: Timestamp) -> u16 {
        let tick = self.tick(at).max(self.position);
        let level = (tick ^ self.position).checked_ilog2().unwrap_or(0) / SLOT_BITS;
        let digit = (tick >> (level * SLOT_BITS)) as u16 & ((1 << SLOT_BITS) - 1);
        (level as u16) << SLOT_BITS | digit
    }

    /// Takes a timer out, wherever it is; `None` if there is none.
    fn remove(&mut self, index: u32) -> Option<T> {
        let node = self.nodes.get_mut(index as usize)?;
        let value = node.value.take()?;
        let (slot, parent, left, right) = (node.slot, node.parent, node.left, node.right);
        (node.left, self.free) = (self.free, index);
        self.len -= 1;
        if !self.unlink(slot, parent, left) {
            match self.meld(left, right) {
                orphan if parent == NONE => self.plant(slot, orphan),
                orphan => self.replace(parent, index, orphan),
            }
        }
        if index == self.first {
            self.find_first();
        }
        Some(value)
    }

    /// Adds a node to the heap of a slot.
    fn insert(&mut self, slot: u16, index: u32) {
        self.step();
        let Slot { root, tail } = self.slots[usize::from(slot)];
        let last = self.nodes.get(tail as usize).filter(|node| node.holds(slot));
        let is_leaf = last.is_some_and(|node| node.left == NONE);
        if last.is_none() || self.before(tail, index) {
            self.slots[usize::from(slot)].tail = index;
            // Most timers are set in the order of their times: all those of one instant are, and
            // all timeouts of one length. A left child of a leaf changes no rank, so the heap may
            // grow into a list that way, and setting and firing then take one step each.
            if is_leaf {
                self.nodes[tail as usize].left = index;
                self.nodes[index as usize].parent = tail;
                return;
            }
        }
        let root = self.meld(root, index);
        self.plant(slot, root);
    }

    /// Makes `root`, which may be `NONE`, that of a slot.
    fn plant(&mut self, slot: u16, root: u32) {
        self.slots[usize::from(slot)].root = root;
        let (level, bit) = (usize::from(slot >> SLOT_BITS), 1 << (slot % (1 << SLOT_BITS)));
        match self.nodes.get_mut(root as usize) {
            Some(node) => {
                node.parent = NONE;
                self.occupied[level] |= bit;
            }
            None => self.occupied[level] &= !bit,
        }
        self.levels = self.levels & !(1 << level) | u16::from(self.occupied[level] != 0) << level;
    }

    /// Puts `new`, which may be `NONE`, in the place of the child `old`, and mends the ranks above.
    /// They change for as long as each is the smaller one beside its sibling, and so grows by one
    /// with each step: at most as often as a rank is high.
    fn replace(&mut self, parent: u32, old: u32, new: u32) {
        let node = &mut self.nodes[parent as usize];
        if node.left == old {
            node.left = new;
        } else {
            node.right = new;
        }
        if let Some(node) = self.nodes.get_mut(new as usize) {
            node.parent = parent;
        }
        let mut above = parent;
        while self.balance(above) {
            above = self.nodes[above as usize].parent;
            if above == NONE {
                return;
            }
        }
    }

    /// Joins two heaps, either of which may be `NONE`, and returns the root. Its parent is not set.
    fn meld(&mut self, a: u32, b: u32) -> u32 {
        if a == NONE || b == NONE {
            return a.min(b);
        }
        let (root, mut rest) = self.in_order(a, b);
        let mut top = root;
        while self.nodes[top as usize].right != NONE {
            let (small, large) = self.in_order(self.nodes[top as usize].right, rest);
            self.adopt(top, small);
            (top, rest) = (small, large);
        }
        self.adopt(top, rest);
        self.balance(top);
        while top != root {
            top = self.nodes[top as usize].parent;
            self.balance(top);
        }
        root
    }

    /// Makes `child` the right child of `parent`.
    #[inline]
    fn adopt(&mut self, parent: u32, child: u32) {
        self.nodes[parent as usize].right = child;
        self.nodes[child as usize].parent = parent;
    }

    /// Puts the child of lower rank on the right, and returns whether the rank of the node changed.
    #[inline]
    fn balance(&mut self, index: u32) -> bool {
        self.step();
        let Node { left, right, rank, .. } = self.nodes[index as usize];
        let (l, r) = (self.rank(left), self.rank(right));
        let node = &mut self.nodes[index as usize];
        if l < r {
            (node.left, node.right) = (right, left);
        }
        node.rank = l.min(r) + 1;
        node.rank != rank
    }

    #[inline]
    fn rank(&self, index: u32) -> u8 {
        self.nodes.get(index as usize).map_or(0, |node| node.rank)
    }

    /// The two nodes, the earlier first.
    #[inline]
    fn in_order(&mut self, a: u32, b: u32) -> (u32, u32) {
        self.step();
        if self.before(a, b) { (a, b) } else { (b, a) }
    }

    /// Whether a timer fires before another: by time, then by when it was set.
    #[inline]
    fn before(&self, a: u32, b: u32) -> bool {
        let (a, b) = (&self.nodes[a as usize], &self.nodes[b as usize]);
        (a.at, a.number) < (b.at, b.number)
    }

    /// Finds the earliest timer: the least of what lists begin with and of the roots that are first
    /// on their levels. All count, as a slot that `position` has entered may hold earlier ones.
    fn find_first(&mut self) {
        let (mut first, mut earliest) = self.earliest_of_runs();
        let mut levels = self.levels;
        while levels != 0 {
            self.step();
            let level = levels.trailing_zeros() as usize;
            levels &= levels - 1;
            let digit = self.occupied[level].trailing_zeros() as usize;
            let root = self.slots[level << SLOT_BITS | digit].root;
            let node = &self.nodes[root as usize];
            let turn = turn(node.at, node.number);
            if turn < earliest {
                (first, earliest) = (root, turn);
            }
        }
        self.first = first;
        self.next = self.nodes.get(first as usize).map_or(Timestamp::MAX, |node| node.at);
    }

    /// Counts one node or slot looked at.
    #[inline]
    fn step(&mut self) {
        #[cfg(test)]
        {
            self.steps += 1;
        }
    }
}

impl<T> Node<T> {
    /// A node alone, of no timer.
    fn free(next: u32) -> Self {
        Self {
            at: Timestamp::MIN,
            number: 0,
            parent: NONE,
            left: next,
            right: NONE,
            slot: 0,
            rank: 1,
            value: None,
        }
    }

    /// Whether the node is that of a timer in `slot`.
    #[inline]
    fn holds(&self, slot: u16) -> bool {
        self.value.is_some() && self.slot == slot
    }
}

impl<T> fmt::Debug for TimerWheel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimerWheel")
            .field("len", &self.len)
            .field("capacity", &self.capacity())
            .field("next", &self.next())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
