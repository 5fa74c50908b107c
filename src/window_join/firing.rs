//! Which key of a window that fires has its turn.

use std::collections::VecDeque;

use crate::state::{Cursor, Key, Lists, Panes, TOGETHER};
use crate::window_join::Kind;
use crate::window_join::turn::{Pair, Turn};

/// The window that fires: where its walk is, and the keys whose turn comes next.
pub struct Firing {
    cursor: Cursor,
    /// When it ends.
    pub end: i64,
    /// What it holds of keys that the walk has passed. They are out of its table already, and so
    /// that table needs no cleaning.
    due: VecDeque<Pair>,
    /// The key whose turn it is.
    pub turn: Option<Turn>,
    /// Units of work that the walk took ahead.
    owed: usize,
}

impl Firing {
    /// No window fires.
    pub fn new() -> Self {
        let due = VecDeque::with_capacity(TOGETHER);
        Self { cursor: Cursor::default(), end: i64::MIN, due, turn: None, owed: 0 }
    }

    /// One unit of work towards the next turn, in windows that end up to `reached`; false when
    /// there is none.
    #[inline]
    pub fn find_turn<K: Key, L: Copy, R: Copy>(
        &mut self,
        kind: Kind,
        panes: &mut Panes<K, Pair>,
        reached: i64,
        lefts: &mut Lists<L>,
        rights: &mut Lists<R>,
    ) -> bool {
        if self.owed > 0 {
            self.owed -= 1;
            return true;
        }
        let Some(pair) = self.due.pop_front() else { return self.walk(panes, reached) };
        self.turn = Turn::of(pair, kind);
        if self.turn.is_none() {
            drop_pair(pair, lefts, rights);
        }
        true
    }

    /// The key whose turn it was has nothing left to say.
    #[inline]
    pub fn end_turn<L: Copy, R: Copy>(&mut self, lefts: &mut Lists<L>, rights: &mut Lists<R>) {
        if let Some(turn) = self.turn.take() {
            drop_pair(turn.pair, lefts, rights);
        }
    }

    /// Takes the next keys out of the oldest window, if that is due.
    fn walk<K: Key>(&mut self, panes: &mut Panes<K, Pair>, reached: i64) -> bool {
        let Some(end) = panes.iter().next().map(|pane| pane.end).filter(|end| *end <= reached)
        else {
            return false;
        };
        self.end = end;
        let Self { cursor, due, .. } = self;
        let table = &mut panes.get_mut(0).table;
        let mut budget = TOGETHER;
        let is_over = table.drain_until(0, cursor, &mut budget, |_, pair| due.push_back(*pair));
        // Each key will be a unit by itself; this call is one.
        self.owed = (TOGETHER - budget).saturating_sub(self.due.len() + 1);
        if is_over {
            panes.retire_oldest();
            self.cursor = Cursor::default();
        }
        true
    }
}

/// Nothing is kept of a key any more.
#[inline]
fn drop_pair<L: Copy, R: Copy>(mut pair: Pair, lefts: &mut Lists<L>, rights: &mut Lists<R>) {
    lefts.drop_all(&mut pair.left);
    rights.drop_all(&mut pair.right);
}
