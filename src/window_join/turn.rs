//! What a window emits of one key, record by record.

use serde::{Deserialize, Serialize};

use crate::state::{Chunks, Place, Queue};
use crate::window_join::Kind;

/// What a window holds of a key.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
pub struct Pair {
    pub left: Queue,
    pub right: Queue,
}

/// The turn of a key of a window that fires: where it is among its pairs.
pub struct Turn {
    pair: Pair,
    left: Place,
    right: Place,
    /// Left records that have had their turn.
    lefts: u32,
    /// Right records that have had theirs with the left one in hand.
    rights: u32,
    /// All has come out, and what was held is dropped.
    drops: bool,
}

/// What comes next in a turn.
pub enum Next<L, R> {
    /// This comes out: a left record, a right record, or both; and the number of the pair among
    /// those of the left record, from 1.
    Out(Option<L>, Option<R>, usize),
    /// Something was dropped.
    Dropped,
    /// The turn is over.
    Over,
}

/// How many records are dropped at once.
const DROPPED_AT_ONCE: u32 = 8;

impl Turn {
    /// The turn of what a window holds of a key.
    pub fn of(pair: Pair) -> Self {
        let (left, right) = (pair.left.front(), pair.right.front());
        Self { pair, left, right, lefts: 0, rights: 0, drops: false }
    }

    /// Goes on by one record.
    pub fn next<L: Copy, R: Copy>(
        &mut self,
        kind: Kind,
        lefts: &mut Chunks<L>,
        rights: &mut Chunks<R>,
    ) -> Next<L, R> {
        if !self.drops {
            let found = match (self.pair.left.is_empty(), self.pair.right.is_empty()) {
                (false, false) if kind.pairs => self.next_pair(lefts, rights),
                (false, false) if kind.matched => self.next_left(lefts),
                (false, true) if kind.left => self.next_left(lefts),
                (true, false) if kind.right => self.next_right(rights),
                _ => None,
            };
            match found {
                Some(found) => return found,
                None => self.drops = true,
            }
        }
        let mut dropped = 0;
        while dropped < DROPPED_AT_ONCE
            && (lefts.pop(&mut self.pair.left).is_some()
                || rights.pop(&mut self.pair.right).is_some())
        {
            dropped += 1;
        }
        if dropped == 0 { Next::Over } else { Next::Dropped }
    }

    /// Leaves out the pairs of the left record in hand that are still to come; returns how many.
    pub fn skip_partners<L: Copy>(&mut self, lefts: &Chunks<L>) -> u32 {
        let left = self.pair.right.len() - self.rights;
        if self.rights > 0 && left > 0 {
            self.pass_left(lefts);
            return left;
        }
        0
    }

    fn next_pair<L: Copy, R: Copy>(
        &mut self,
        lefts: &Chunks<L>,
        rights: &Chunks<R>,
    ) -> Option<Next<L, R>> {
        if self.lefts == self.pair.left.len() {
            return None;
        }
        let (left, right) = (lefts[self.left], rights[self.right]);
        self.rights += 1;
        let number = self.rights as usize;
        if self.rights == self.pair.right.len() {
            self.pass_left(lefts);
        } else {
            self.right = rights.after(self.right);
        }
        Some(Next::Out(Some(left), Some(right), number))
    }

    /// The next left record has its turn, with all right ones.
    fn pass_left<L: Copy>(&mut self, lefts: &Chunks<L>) {
        (self.lefts, self.rights, self.right) = (self.lefts + 1, 0, self.pair.right.front());
        self.left = lefts.after(self.left);
    }

    fn next_left<L: Copy, R>(&mut self, lefts: &Chunks<L>) -> Option<Next<L, R>> {
        let left = (self.lefts < self.pair.left.len()).then(|| lefts[self.left])?;
        (self.lefts, self.left) = (self.lefts + 1, lefts.after(self.left));
        Some(Next::Out(Some(left), None, 1))
    }

    fn next_right<L, R: Copy>(&mut self, rights: &Chunks<R>) -> Option<Next<L, R>> {
        let right = (self.rights < self.pair.right.len()).then(|| rights[self.right])?;
        (self.rights, self.right) = (self.rights + 1, rights.after(self.right));
        Some(Next::Out(None, Some(right), 1))
    }
}
