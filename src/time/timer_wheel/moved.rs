//! Timers that move to other wheels, and to other limits.

use std::time::Duration;

use super::{Node, TIMERS_MAX, TimerWheel};
use crate::time::Timestamp;

impl<T> TimerWheel<T> {
    /// Lets `capacity` timers be set at once from now on. If more are, they stay, and no other is
    /// set before enough of them have gone.
    pub fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity.min(TIMERS_MAX);
    }

    /// One without timers, for as many as there can be until whoever has it says how many there may
    /// be: those of several wheels may come together in it.
    pub fn empty(&self) -> Self {
        Self::new(TIMERS_MAX, Duration::from_nanos(1 << self.tick_bits))
    }

    /// All timers, in the order in which they were set. O(n log n).
    pub fn in_order_set(self) -> impl Iterator<Item = (Timestamp, T)>
    where
        T: Clone,
    {
        let timer = |node: &Node<T>| Some((node.number, node.at, node.value.clone()?));
        let mut all: Vec<(u64, Timestamp, T)> = self.nodes.iter().filter_map(timer).collect();
        all.sort_by_key(|(number, ..)| *number);
        all.into_iter().map(|(_, at, value)| (at, value))
    }
}
