//! Window state: one table from key to accumulator for each slice of event time.

use std::collections::VecDeque;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::state::{Cursor, EachBulk, Key, Rescale, Rescaled, State, Table};

/// The state of one slice of event time.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Pane<K: Key, V: State> {
    /// Where the slice begins, in nanoseconds.
    pub start: i64,
    /// Where it ends.
    pub end: i64,
    /// When the first result that needs it is due.
    pub closes: i64,
    /// When the last result that needs it is due.
    pub expires: i64,
    /// Key to accumulator.
    pub table: Table<K, V>,
    /// What whoever slides over the panes keeps beside the accumulators, if anything.
    pub beside: Option<Table<K, V>>,
}

/// For how many panes room is taken beforehand, at most.
const ROOM_MAX: usize = 1024;

/// The open panes in order of time, and spent tables that are cleaned and used again.
///
/// A pane whose slice has expired is dropped whole, never searched for what is old. Its table keeps
/// its memory and its shape, is cleaned a slice at a time, and serves the next pane, which then
/// finds room for as many keys at once.
///
/// A copy has the same tables in the same shapes, the clean ones too, so it goes on in the same
/// order of keys.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Panes<K: Key, V: State> {
    open: VecDeque<Pane<K, V>>,
    /// The pane that was asked for last.
    recent: usize,
    spent: VecDeque<(Table<K, V>, Cursor)>,
    clean: Vec<Table<K, V>>,
    seed: u64,
}

impl<K: Key, V: State> Panes<K, V> {
    /// No pane yet; tables hash with `seed`.
    pub fn new(seed: u64) -> Self {
        Self::with_room(seed, 0)
    }

    /// The same with room for so many panes, and for twice as many tables that have served: after a
    /// pause all of them may have at once. What is restored has room for what it holds.
    pub fn with_room(seed: u64, panes: usize) -> Self {
        let panes = panes.clamp(16, ROOM_MAX);
        Self {
            open: VecDeque::with_capacity(panes),
            recent: 0,
            spent: VecDeque::with_capacity(2 * panes),
            clean: Vec::with_capacity(2 * panes),
            seed,
        }
    }

    /// Whether no pane is open.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// The open panes, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &Pane<K, V>> {
        self.open.iter()
    }

    /// When the last result is due that needs the oldest pane.
    pub fn oldest_expires(&self) -> Option<i64> {
        self.open.front().map(|pane| pane.expires)
    }

    /// The place of the first pane that a result due after `at` needs.
    pub fn needed_after(&self, at: i64) -> usize {
        self.open.partition_point(|pane| pane.expires <= at)
    }

    /// The places of the panes whose first result is due at `at` or before and whose last one is
    /// due then or later: those that a result due at `at` is made of.
    pub fn due_at(&self, at: i64) -> Range<usize> {
        self.needed_after(at.saturating_sub(1))..self.closed_by(at)
    }

    /// The place after the last pane that a result due at `at` or before needs.
    pub fn closed_by(&self, at: i64) -> usize {
        self.open.partition_point(|pane| pane.closes <= at)
    }

    /// The table beside the accumulators of an open pane, by its place in the order of time.
    pub fn beside_mut(&mut self, index: usize) -> &mut Table<K, V> {
        let Self { open, clean, seed, .. } = self;
        let table = || clean.pop().unwrap_or_else(|| Table::new(*seed));
        open[index].beside.get_or_insert_with(table)
    }

    /// How many panes are open.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// An open pane, by its place in the order of time.
    #[inline(always)]
    pub fn get(&self, index: usize) -> &Pane<K, V> {
        &self.open[index]
    }

    /// An open pane, by its place in the order of time.
    #[inline(always)]
    pub fn get_mut(&mut self, index: usize) -> &mut Pane<K, V> {
        &mut self.open[index]
    }

    /// The pane that was found or opened last.
    ///
    /// # Panics
    /// If no pane is open.
    #[inline(always)]
    pub fn recent_mut(&mut self) -> &mut Pane<K, V> {
        &mut self.open[self.recent]
    }

    /// The place of the pane that was found or opened last, if it holds `at`.
    #[inline(always)]
    pub fn recent(&self, at: i64) -> Option<usize> {
        let pane = self.open.get(self.recent)?;
        (pane.start <= at && at < pane.end).then_some(self.recent)
    }

    /// The place of the open pane that holds `at`.
    #[inline]
    pub fn holding(&mut self, at: i64) -> Option<usize> {
        let index = self.open.partition_point(|pane| pane.end <= at);
        let found = self.open.get(index).is_some_and(|pane| pane.start <= at);
        found.then(|| {
            self.recent = index;
            index
        })
    }

    /// The place of the pane of the slice that begins at `start`, if that is open.
    #[inline]
    pub fn find(&mut self, start: i64) -> Option<usize> {
        if self.open.get(self.recent).is_some_and(|pane| pane.start == start) {
            return Some(self.recent);
        }
        let index = self.open.partition_point(|pane| pane.start < start);
        let found = self.open.get(index).is_some_and(|pane| pane.start == start);
        found.then(|| {
            self.recent = index;
            index
        })
    }

    /// Opens the pane of a slice from `start` to `end`, which must not be open; see [`Pane`] for
    /// the other two. Returns its place.
    pub fn open(&mut self, start: i64, end: i64, closes: i64, expires: i64) -> usize {
        let index = self.open.partition_point(|pane| pane.start < start);
        let table = self.take_clean();
        self.open.insert(index, Pane { start, end, closes, expires, table, beside: None });
        self.recent = index;
        index
    }

    /// An empty table: a spent one that has been cleaned, or a new one.
    pub fn take_clean(&mut self) -> Table<K, V> {
        self.clean.pop().unwrap_or_else(|| Table::new(self.seed))
    }

    /// Drops the oldest pane; returns how many keys it still held.
    pub fn retire_oldest(&mut self) -> usize {
        let Some(pane) = self.open.pop_front() else { return 0 };
        self.recent = self.recent.saturating_sub(1);
        let keys = pane.table.len();
        self.give_back(pane.table);
        if let Some(beside) = pane.beside {
            self.give_back(beside);
        }
        keys
    }

    /// Takes back a table that is no longer needed.
    pub fn give_back(&mut self, table: Table<K, V>) {
        if table.is_empty() {
            self.clean.push(table);
        } else {
            self.spent.push_back((table, Cursor::default()));
        }
    }

    /// Cleans a slice of the spent tables; returns whether something was done.
    #[inline]
    pub fn clean_slice(&mut self, budget: usize) -> bool {
        let Some((table, cursor)) = self.spent.front_mut() else { return false };
        if table.clear_slice(cursor, budget)
            && let Some((table, _)) = self.spent.pop_front()
        {
            self.clean.push(table);
        }
        true
    }

    /// Whether spent tables wait to be cleaned.
    #[inline(always)]
    pub fn has_spent(&self) -> bool {
        !self.spent.is_empty()
    }

    /// Takes over what other panes hold, table by table as `take` does; spent tables stay behind.
    pub(crate) fn take_over(
        &mut self,
        other: &Self,
        mut take: impl FnMut(&mut Table<K, V>, &Table<K, V>),
    ) {
        for pane in &other.open {
            let Pane { start, end, closes, expires, .. } = *pane;
            let found = self.find(start);
            let index = found.unwrap_or_else(|| self.open(start, end, closes, expires));
            take(&mut self.get_mut(index).table, &pane.table);
            if let Some(beside) = &pane.beside {
                take(self.beside_mut(index), beside);
            }
        }
    }

    /// How many keys the open panes hold together.
    pub fn keys(&self) -> usize {
        self.open.iter().map(|pane| pane.table.len()).sum()
    }
}

impl<K: Key, V: State> Rescaled for Panes<K, V> {
    /// Shows each table that there is.
    fn bulk(&mut self, each: &mut EachBulk<'_>) {
        for pane in &mut self.open {
            each(&mut pane.table);
            if let Some(beside) = &mut pane.beside {
                each(beside);
            }
        }
        self.spent.iter_mut().for_each(|(table, _)| each(table));
        self.clean.iter_mut().for_each(|table| each(table));
    }

    /// The panes that any of them had open; spent tables stay behind.
    fn rescaled(from: Vec<Self>, to: &Rescale) -> Result<Self, String> {
        let mut all = Self::new(from.first().ok_or("there were no panes")?.seed);
        for other in &from {
            all.take_over(other, |table, other| {
                table.take_over(other, |key| to.owns(key), |_, _| ());
            });
        }
        Ok(all)
    }
}
