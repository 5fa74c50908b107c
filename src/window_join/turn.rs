//! What a window emits of one key, record by record.

use serde::{Deserialize, Serialize};

use crate::state::{List, Lists, NONE};
use crate::window_join::Kind;

/// What a window holds of a key.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
pub struct Pair {
    pub left: List,
    pub right: List,
}

/// The turn of a key of a window that fires: where it is among its pairs.
pub struct Turn {
    pub pair: Pair,
    comes: Comes,
    /// The slots of the records in hand.
    left: u32,
    right: u32,
    /// The number of the pair among those of the left record, from 1.
    number: u32,
}

/// What comes out of a key.
#[derive(Clone, Copy)]
enum Comes {
    Pairs,
    Lefts,
    Rights,
}

impl Turn {
    /// The turn of what a window holds of a key; nothing if nothing of it comes out.
    #[inline]
    pub fn of(pair: Pair, kind: Kind) -> Option<Self> {
        let comes = match (pair.left.is_empty(), pair.right.is_empty()) {
            (false, false) if kind.pairs => Comes::Pairs,
            (false, false) if kind.matched => Comes::Lefts,
            (false, true) if kind.left => Comes::Lefts,
            (true, false) if kind.right => Comes::Rights,
            _ => return None,
        };
        let (left, right) = (pair.left.first(), pair.right.first());
        Some(Self { pair, comes, left, right, number: 1 })
    }

    /// What comes next: a left record, a right record, or both; and the number of the pair among
    /// those of the left record, from 1.
    #[inline]
    pub fn now<'a, L: Copy, R: Copy>(
        &self,
        lefts: &'a Lists<L>,
        rights: &'a Lists<R>,
    ) -> (Option<&'a L>, Option<&'a R>, usize) {
        match self.comes {
            Comes::Pairs => {
                (Some(&lefts[self.left]), Some(&rights[self.right]), self.number as usize)
            }
            Comes::Lefts => (Some(&lefts[self.left]), None, 1),
            Comes::Rights => (None, Some(&rights[self.right]), 1),
        }
    }

    /// Goes past what came; true if that was the last.
    #[inline]
    pub fn pass<L: Copy, R: Copy>(&mut self, lefts: &Lists<L>, rights: &Lists<R>) -> bool {
        match self.comes {
            Comes::Lefts => self.pass_left(lefts),
            Comes::Rights => {
                self.right = rights.after(self.right);
                self.right == NONE
            }
            Comes::Pairs => {
                (self.right, self.number) = (rights.after(self.right), self.number + 1);
                self.right == NONE && self.pass_left(lefts)
            }
        }
    }

    /// The pair that comes next, and the others of the left record that are still to come: how
    /// many.
    pub fn partners_left(&self) -> u32 {
        self.pair.right.len() - (self.number - 1)
    }

    /// The next left record has its turn, with all right ones; true if there is none.
    #[inline]
    pub fn pass_left<L: Copy>(&mut self, lefts: &Lists<L>) -> bool {
        (self.left, self.right, self.number) = (lefts.after(self.left), self.pair.right.first(), 1);
        self.left == NONE
    }
}
