//! Timers that move to other wheels.

use std::time::Duration;

use super::{Node, TimerWheel};
use crate::time::Timestamp;

impl<T> TimerWheel<T> {
    /// One without timers, with the limits of this one.
    pub fn empty(&self) -> Self {
        Self::new(self.capacity, Duration::from_nanos(1 << self.tick_bits))
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
