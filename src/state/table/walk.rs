//! Walking a table in slices: to fire a window or empty it without holding up the records.

use serde::{Deserialize, Serialize};

use super::super::key::Key;
use super::super::value::State;
use super::Table;
use super::sub::Sub;

/// How far a walk over a table has come. `Cursor::default()` is the beginning.
///
/// It is a place in the order of hashes, not a pointer: using it on a table that has changed, or
/// on another table, can show keys twice or not at all, and does no other harm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The first hash of the sub-table to look at next.
    pub(super) at: u64,
    /// The link of its chain, and the slot in that link.
    link: u32,
    slot: u32,
    done: bool,
}

impl Cursor {
    /// Whether the walk has come to the end.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// A walk that begins at this hash, the first one of a sub-table.
    pub(crate) fn at(hash: u64) -> Self {
        Self { at: hash, ..Self::default() }
    }

    /// Whether the walk has come to this hash; 0 is the end of all.
    #[inline(always)]
    fn has_passed(&self, until: u64) -> bool {
        self.done || until != 0 && self.at >= until
    }

    /// Goes past all hashes that share their leading `depth` bits with the current one.
    pub(super) fn pass(&mut self, depth: u32) {
        let (at, over) = match depth {
            0 => (0, true),
            _ => self.at.overflowing_add(1 << (64 - depth)),
        };
        *self = Self { at, link: 0, slot: 0, done: over };
    }
}

impl<K: Key, V: State> Table<K, V> {
    /// Calls `each` on keys and values, from the cursor on, within a budget; true when done.
    ///
    /// A key costs one unit of budget and so does each sub-table passed, empty or not: at most
    /// `budget` keys are seen. A budget of 0 gets nowhere. The order is a pure function of the
    /// seed and of what was done to the table before. The table should not change between slices.
    /// O(budget); some 8 ns a key for a table far larger than the caches, less within them.
    pub fn visit(&self, cursor: &mut Cursor, mut budget: usize, each: impl FnMut(K, &V)) -> bool {
        self.visit_until(0, cursor, &mut budget, each)
    }

    /// [`visit`](Self::visit) up to a hash with which a sub-table begins; 0 is the end of all. What
    /// is left of the budget stays in it.
    #[inline]
    pub(crate) fn visit_until<'a>(
        &'a self,
        until: u64,
        cursor: &mut Cursor,
        budget: &mut usize,
        mut each: impl FnMut(K, &'a V),
    ) -> bool
    where
        K: 'a,
    {
        while *budget > 0 && !cursor.has_passed(until) {
            let head = self.head(cursor.at);
            if Self::visit_chain(head, cursor, budget, &mut each) {
                cursor.pass(head.depth());
            }
        }
        cursor.has_passed(until)
    }

    /// Empties the sub-tables that a walk has passed since it was at `from`.
    pub(crate) fn clear_passed(&mut self, from: Cursor, cursor: &Cursor) {
        let mut behind = from;
        while !behind.done && (cursor.done || behind.at < cursor.at) {
            let head = self.head(behind.at);
            self.touch(behind.at);
            self.clear_chain(head);
            behind.pass(head.depth());
        }
    }

    /// The hash behind all those that are in one sub-table with `hash`, here and in `others`, which
    /// have the same order of hashes; 0 is the end of all.
    ///
    /// A walk over the first table up to there, and then one over the next, meets the same keys
    /// while they are in the nearest cache.
    pub(crate) fn part_behind<'a, W: State>(
        &self,
        hash: u64,
        others: impl Iterator<Item = &'a Table<K, W>>,
    ) -> u64
    where
        K: 'a,
    {
        let mut depth = self.head(hash).depth();
        for other in others {
            // Another seed, another order.
            let there = if other.seed == self.seed { other.head(hash).depth() } else { 0 };
            depth = depth.min(there);
        }
        let mut cursor = Cursor::at(hash);
        cursor.pass(depth);
        cursor.at
    }

    /// [`visit`](Self::visit), and empties each sub-table as soon as it is passed.
    ///
    /// Keys of a sub-table that the budget cut in two stay in the table, and in `len`, until a
    /// later slice passes it. Memory and directory are kept, as by [`clear`](Self::clear).
    pub fn drain(
        &mut self,
        cursor: &mut Cursor,
        mut budget: usize,
        each: impl FnMut(K, &V),
    ) -> bool {
        self.drain_until(0, cursor, &mut budget, each)
    }

    /// [`drain`](Self::drain) up to a hash, as by [`visit_until`](Self::visit_until).
    #[inline]
    pub(crate) fn drain_until(
        &mut self,
        until: u64,
        cursor: &mut Cursor,
        budget: &mut usize,
        mut each: impl FnMut(K, &V),
    ) -> bool {
        while *budget > 0 && !cursor.has_passed(until) {
            let head = self.head(cursor.at);
            if Self::visit_chain(head, cursor, budget, &mut each) {
                self.touch(cursor.at);
                self.clear_chain(head);
                cursor.pass(head.depth());
            }
        }
        cursor.has_passed(until)
    }

    /// Empties sub-tables from the cursor on, each for one unit of budget; true when done.
    ///
    /// Memory and directory are kept, so a table that fills up to a like size again splits little
    /// or nothing. O(budget); some 300 ns a unit if the sub-table is in no cache, less if it is.
    pub fn clear_slice(&mut self, cursor: &mut Cursor, mut budget: usize) -> bool {
        while budget > 0 && !cursor.done {
            let head = self.head(cursor.at);
            self.touch(cursor.at);
            budget = budget.saturating_sub(self.clear_chain(head));
            cursor.pass(head.depth());
        }
        cursor.done
    }

    /// Empties the whole table, keeping memory and directory. O(sub-tables).
    pub fn clear(&mut self) {
        self.clear_slice(&mut Cursor::default(), usize::MAX);
    }

    /// Takes out the keys for which `keep` says no, from the cursor on, within a budget; true when
    /// done.
    ///
    /// The budget is spent as by [`visit`](Self::visit), and like there a key may be seen twice or
    /// be missed if the table grows between slices. Memory and directory are kept.
    pub fn retain_slice(
        &mut self,
        cursor: &mut Cursor,
        mut budget: usize,
        mut keep: impl FnMut(K, &V) -> bool,
    ) -> bool {
        while budget > 0 && !cursor.done {
            let head = self.head(cursor.at);
            self.touch(cursor.at);
            if self.retain_chain(head, cursor, &mut budget, &mut keep) {
                cursor.pass(head.depth());
            }
        }
        cursor.done
    }

    /// Goes through what is left of a chain of sub-tables; true when it came to the end.
    fn retain_chain(
        &mut self,
        head: Sub<K, V>,
        cursor: &mut Cursor,
        budget: &mut usize,
        keep: &mut impl FnMut(K, &V) -> bool,
    ) -> bool {
        let mut link = Some(head);
        for _ in 0..cursor.link {
            link = link.and_then(Sub::next);
        }
        while let Some(sub) = link {
            while let Some(at) = sub.full_from(cursor.slot as usize) {
                cursor.slot = at as u32;
                if *budget == 0 {
                    return false;
                }
                *budget -= 1;
                if sub.is_kept(at, keep) {
                    cursor.slot += 1;
                } else {
                    // What fills the hole, if anything does, is looked at next.
                    sub.remove(at, self.seed);
                    self.len -= 1;
                }
            }
            *budget = budget.saturating_sub(1);
            link = sub.next();
            if link.is_some() {
                (cursor.link, cursor.slot) = (cursor.link + 1, 0);
            }
        }
        true
    }

    /// Visits what is left of a chain of sub-tables; true when it came to the end.
    fn visit_chain<'a>(
        head: Sub<K, V>,
        cursor: &mut Cursor,
        budget: &mut usize,
        each: &mut impl FnMut(K, &'a V),
    ) -> bool
    where
        V: 'a,
    {
        let mut link = Some(head);
        for _ in 0..cursor.link {
            link = link.and_then(Sub::next);
        }
        while let Some(sub) = link {
            if !sub.visit(&mut cursor.slot, budget, each) {
                return false;
            }
            *budget = budget.saturating_sub(1);
            link = sub.next();
            if link.is_some() {
                (cursor.link, cursor.slot) = (cursor.link + 1, 0);
            }
        }
        true
    }

    /// Empties a chain of sub-tables down to an empty head; says how many there were.
    fn clear_chain(&mut self, head: Sub<K, V>) -> usize {
        let (before, mut links, mut link) = (self.len, 0, Some(head));
        while let Some(sub) = link {
            self.len -= sub.count();
            links += 1;
            link = sub.next();
        }
        if let Some(next) = head.next() {
            self.give_chain(next);
        }
        if self.len < before || links > 1 {
            head.reset(head.depth());
        }
        links
    }
}
