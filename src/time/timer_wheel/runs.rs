//! Timers that were set in the order of their times: lists beside the heaps.
//!
//! Most are. What waits for the watermark comes from a few sources, each in order, and timeouts of
//! one length are set as time goes by. Such a timer goes to the end of a list and is taken from the
//! front of it: no heap, whatever else is set in between. There are as many lists as there may be
//! such orders side by side, and what fits behind none of them goes to the heap of its slot.

use super::{NONE, SLOT_BITS, Slot, TimerWheel};
use crate::time::Timestamp;

/// How many lists there are.
pub(super) const RUNS: usize = 4;

/// Marks the number of a list where others have the number of a slot.
const RUN: u16 = 1 << 15;

impl<T> TimerWheel<T> {
    /// Where the lists are: behind the slots. A wheel that was saved before there were any has
    /// none.
    #[inline(always)]
    fn runs(&self) -> std::ops::Range<usize> {
        self.slots.len() >> SLOT_BITS << SLOT_BITS..self.slots.len()
    }

    /// Puts a node at the end of a list, if there is one that it may follow: the one whose last is
    /// nearest, or else an empty one. Says whether there was.
    #[inline]
    pub(super) fn append(&mut self, at: Timestamp, index: u32) -> bool {
        self.step();
        let (mut best, mut nearest) = (None, Timestamp::MIN);
        for run in self.runs() {
            match self.nodes.get(self.slots[run].tail as usize) {
                None => best = best.or(Some(run)),
                Some(tail) if tail.at <= at && tail.at >= nearest => {
                    (best, nearest) = (Some(run), tail.at);
                }
                Some(_) => (),
            }
        }
        let Some(run) = best else { return false };
        let first = self.runs().start;
        let Slot { root, tail } = &mut self.slots[run];
        let before = std::mem::replace(tail, index);
        if *root == NONE {
            *root = index;
        }
        let node = &mut self.nodes[index as usize];
        (node.slot, node.parent) = (RUN | (run - first) as u16, before);
        if let Some(before) = self.nodes.get_mut(before as usize) {
            before.left = index;
        }
        true
    }

    /// Takes a node out of its list, if `slot` says that it is in one; says whether it was.
    #[inline]
    pub(super) fn unlink(&mut self, slot: u16, before: u32, after: u32) -> bool {
        if slot & RUN == 0 {
            return false;
        }
        self.step();
        let run = self.runs().start + usize::from(slot & !RUN);
        match self.nodes.get_mut(before as usize) {
            Some(node) => node.left = after,
            None => self.slots[run].root = after,
        }
        match self.nodes.get_mut(after as usize) {
            Some(node) => node.parent = before,
            None => self.slots[run].tail = before,
        }
        true
    }

    /// The earliest of `first`, which may be `NONE`, and of all that lists begin with.
    #[inline]
    pub(super) fn earliest_of_runs(&self, mut first: u32) -> u32 {
        for run in self.runs() {
            let root = self.slots[run].root;
            if root != NONE && (first == NONE || self.before(root, first)) {
                first = root;
            }
        }
        first
    }

    /// Panics unless the lists are in order; says how many timers are in them.
    #[cfg(test)]
    pub(super) fn check_runs(&self) -> usize {
        let mut count = 0;
        for (number, run) in self.runs().enumerate() {
            let Slot { root, tail } = self.slots[run];
            let (mut before, mut index) = (NONE, root);
            while let Some(node) = self.nodes.get(index as usize) {
                let super::Node { parent, left, .. } = *node;
                assert!(node.holds(RUN | number as u16) && parent == before);
                assert!(before == NONE || self.before(before, index));
                (before, index, count) = (index, left, count + 1);
            }
            assert_eq!(tail, before);
        }
        count
    }
}
