//! Looks at timers, which change none.

use super::{TimerId, TimerWheel};
use crate::memory::prefetch;
use crate::time::Timestamp;

impl<T> TimerWheel<T> {
    /// Shows all timers, in no order. O(the most there ever were).
    pub fn visit(&self, mut each: impl FnMut(Timestamp, &T)) {
        let timers = self.nodes.iter().filter_map(|node| Some((node.at, node.value.as_ref()?)));
        timers.for_each(|(at, value)| each(at, value));
    }

    /// The value of a timer that may well be the next but two: worth loading what it leads to. Only
    /// a guess, right for timers that were set in the order of their times.
    #[inline]
    pub fn ahead(&self) -> Option<&T> {
        let mut index = self.first;
        for _ in 0..3 {
            index = self.nodes.get(index as usize)?.left;
        }
        self.nodes.get(index as usize)?.value.as_ref()
    }

    /// Starts loading what it takes to cancel this timer. Changes nothing but the caches.
    #[inline]
    pub fn warm(&self, id: TimerId) {
        if let Some(node) = self.nodes.get(id.place.get() as usize - 1) {
            prefetch(node);
        }
    }
}
