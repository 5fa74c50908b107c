//! Timers that were set in the order of their times: lists beside the heaps.
//!
//! Most are. What waits for the watermark comes from a few sources, each in order, and timeouts of
//! one length are set as time goes by. Such a timer goes to the end of a list and is taken from the
//! front of it: no heap, whatever else is set in between. There are as many lists as there may be
//! such orders side by side, and what fits behind none of them goes to the heap of its slot.

use serde::{Deserialize, Serialize};

use super::{NONE, TimerWheel};
use crate::time::Timestamp;

/// How many lists there are.
pub(super) const RUNS: usize = 4;

/// Marks the number of a list where others have the number of a slot.
const RUN: u16 = 1 << 15;

/// Where a timer is in the order in which they fire: by when it is due, and then by how many were
/// set before it. As one number, two of which are compared in two instructions.
pub(super) type Turn = u128;

/// That of a timer.
#[inline(always)]
pub(super) fn turn(at: Timestamp, number: u64) -> Turn {
    // Flipping the sign bit makes the order that of unsigned numbers.
    u128::from((at.as_nanos() as u64) ^ (1 << 63)) << 64 | u128::from(number)
}

/// A list: its ends, and what has to be known of them, so that no timer is looked at to see where
/// the next one goes and which is the earliest.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub(super) struct Run {
    root: u32,
    tail: u32,
    /// The turn of the root; the end of time in an empty list.
    first: Turn,
    /// The time of the tail.
    last: Timestamp,
}

impl Run {
    /// No timers.
    pub(super) const EMPTY: Self =
        Self { root: NONE, tail: NONE, first: Turn::MAX, last: Timestamp::MIN };

    /// What the next node of the list, which is this one, says of where it is: its slot, and the
    /// node before it.
    #[inline(always)]
    pub(super) fn place(&self, number: usize) -> (u16, u32) {
        (RUN | number as u16, self.tail)
    }
}

impl<T> TimerWheel<T> {
    /// The list that a timer may be put at the end of, if there is one: the one whose last is
    /// nearest, or else an empty one.
    #[inline]
    pub(super) fn run_for(&self, at: Timestamp) -> Option<usize> {
        let (mut best, mut nearest) = (None, Timestamp::MIN);
        for (number, run) in self.runs.iter().enumerate() {
            if run.root == NONE {
                best = best.or(Some(number));
            } else if run.last <= at && run.last >= nearest {
                (best, nearest) = (Some(number), run.last);
            }
        }
        best
    }

    /// Puts a node, which says so already, at the end of a list.
    #[inline]
    pub(super) fn append(&mut self, run: usize, index: u32, at: Timestamp, number: u64) {
        let run = &mut self.runs[run];
        let before = std::mem::replace(&mut run.tail, index);
        run.last = at;
        if before == NONE {
            (run.root, run.first) = (index, turn(at, number));
        } else {
            self.nodes[before as usize].left = index;
        }
    }

    /// Takes a node out of its list, if `slot` says that it is in one; says whether it was.
    #[inline]
    pub(super) fn unlink(&mut self, slot: u16, before: u32, after: u32) -> bool {
        if slot & RUN == 0 {
            return false;
        }
        self.step();
        let run = &mut self.runs[usize::from(slot & !RUN)];
        if before == NONE && after == NONE {
            *run = Run::EMPTY;
            return true;
        }
        match self.nodes.get_mut(after as usize) {
            Some(node) => {
                node.parent = before;
                if before == NONE {
                    (run.root, run.first) = (after, turn(node.at, node.number));
                }
            }
            None => run.tail = before,
        }
        if let Some(node) = self.nodes.get_mut(before as usize) {
            node.left = after;
            if after == NONE {
                run.last = node.at;
            }
        }
        true
    }

    /// The earliest timer that a list begins with, and its turn; `NONE` and the end of time if all
    /// are empty.
    #[inline]
    pub(super) fn earliest_of_runs(&self) -> (u32, Turn) {
        let Run { root: mut earliest, mut first, .. } = Run::EMPTY;
        for run in &self.runs {
            if run.first < first {
                (earliest, first) = (run.root, run.first);
            }
        }
        (earliest, first)
    }

    /// Panics unless the lists are in order; says how many timers are in them.
    #[cfg(test)]
    pub(super) fn check_runs(&self) -> usize {
        let mut count = 0;
        for (number, Run { root, tail, first, last }) in self.runs.into_iter().enumerate() {
            let (mut before, mut index) = (NONE, root);
            while let Some(node) = self.nodes.get(index as usize) {
                let super::Node { parent, left, .. } = *node;
                assert!(node.holds(RUN | number as u16) && parent == before);
                assert!(before == NONE || self.before(before, index));
                (before, index, count) = (index, left, count + 1);
            }
            assert_eq!(tail, before);
            let begins = self.nodes.get(root as usize).map(|node| turn(node.at, node.number));
            assert_eq!(begins.unwrap_or(Run::EMPTY.first), first);
            let ends = self.nodes.get(tail as usize).map(|node| node.at);
            assert_eq!(ends.unwrap_or(Run::EMPTY.last), last);
        }
        count
    }
}
