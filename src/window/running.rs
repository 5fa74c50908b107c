//! What overlapping windows have in common: one value for each key, kept up from window to window
//! instead of being combined anew.
//!
//! A window and the next one share all slices but those that came and those that went. What came
//! is combined into the running value. What went is deducted where the aggregate is invertible.
//! Where it is not, each key has two stacks, as in the queue that is made of two (Tangwongsan,
//! Hirzel, Schneider, "Low-Latency Sliding-Window Aggregation in Worst-Case Constant Time", DEBS
//! 2017, compare this with others):
//!
//! - behind each slice, what all later slices of the key up to its last *turn* come to, in the
//!   pane's table `beside`;
//! - what came since that turn, in the table `since`.
//!
//! When a slice goes, the running value becomes what stands behind it, combined with what came
//! since. A turn goes through the slices of the key from the newest to the oldest and writes what
//! stands behind each. It costs a look-up a slice, and must come once while a slice is in the
//! window. All keys at once would be a big job every so often; so the keys take turns: they are
//! split into as many groups by their hash as a slice is in windows, and each window turns one
//! group. A slide therefore does the same work whatever the length of the window: per key one
//! combination for each slice that comes, one for each that goes, and one turn in so many slides.
//!
//! All these tables have the same seed, so walking one in order meets the keys of the others in
//! the same order, and with them their cache lines.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::dataflow::Record;
use crate::state::{
    Cursor, EachBulk, Key, Pane, Panes, Rescale, Rescaled, State, TOGETHER, Table, hash,
};
use crate::window::Aggregate;

/// Windows of which none drops a part of what it has in common with another: all their slices go
/// together.
pub const NESTED: usize = usize::MAX;

/// What splits the keys into groups: nothing to do with the hash of tables or of shards.
const GROUPS: u64 = 0x7475_726e_7475_726e;

/// The running values of all keys, over the slices that are in the window in hand.

#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Running<K: Key, V: State> {
    whole: Table<K, Held<V>>,
    /// What came since the last turn of each key.
    since: Table<K, V>,
    /// Groups that take turns, and the one whose turn it is; none if nobody needs to.
    groups: u64,
    turn: u64,
    /// Keys whose turn it is, out of those that were just emitted.
    due: Vec<K>,
    /// Keys that are looked up together, and those of them that no slice has a part in any more.
    #[serde(skip)]
    column: Vec<K>,
    #[serde(skip)]
    gone: Vec<K>,
}

/// The running value of a key.
#[derive(Clone, Copy, Default, Serialize, Deserialize)]
struct Held<V> {
    acc: V,
    /// How many slices have a part in it.
    slices: u32,
}

impl<K: Key, V: State> Rescaled for Running<K, V> {
    /// Shows the running values.
    fn bulk(&mut self, each: &mut EachBulk<'_>) {
        each(&mut self.whole);
        each(&mut self.since);
    }

    fn rescaled(from: Vec<Self>, to: &Rescale) -> Result<Self, String> {
        let (mut wholes, mut sinces, mut groups, mut due) = (Vec::new(), Vec::new(), 0, None);
        for one in from {
            wholes.push(one.whole);
            sinces.push(one.since);
            (groups, due) = (one.groups, due.or(Some(one.due)));
        }
        let (whole, since) = (Table::rescaled(wholes, to)?, Table::rescaled(sinces, to)?);
        let (column, gone) = Default::default();
        Ok(Self { whole, since, groups, turn: 0, due: due.unwrap_or_default(), column, gone })
    }
}

impl<K: Key, V: State> Running<K, V> {
    /// Nothing yet, over slices each of which is in at least `overlap` windows. At most `together`
    /// keys are emitted at a time.
    pub fn new(seed: u64, overlap: usize, together: usize) -> Self {
        Self {
            whole: Table::new(seed),
            since: Table::new(seed),
            groups: if overlap == NESTED { 0 } else { overlap.max(1) as u64 },
            turn: 0,
            due: Vec::with_capacity(together),
            column: Vec::with_capacity(TOGETHER),
            gone: Vec::with_capacity(TOGETHER),
        }
    }

    /// Whether keys take turns.
    fn turns<T, A: Aggregate<T, Acc = V>>(&self) -> bool {
        !A::INVERTIBLE && self.groups > 0
    }

    /// How many keys to emit at a time for `budget` units of work, with `slices` in the window.
    pub fn keys_within<T, A: Aggregate<T, Acc = V>>(&self, budget: usize, slices: usize) -> usize {
        match self.turns::<T, A>() {
            true => (budget / (slices / self.groups as usize).max(1)).max(1),
            false => budget,
        }
    }

    /// Up to which hash from this one on a window may do all that it does, before it goes on behind
    /// that; `panes` are those that come and go. 0 is the end of all.
    pub fn part_behind<'a, T, A: Aggregate<T, Acc = V>>(
        &'a self,
        hash: u64,
        panes: impl Iterator<Item = &'a Pane<K, V>>,
    ) -> u64 {
        match self.turns::<T, A>() {
            true => 0,
            false => self.whole.part_behind(hash, panes.map(|pane| &pane.table)),
        }
    }

    /// Adds a slice that came, from the cursor on; true when done.
    pub fn add<T, A: Aggregate<T, Acc = V>>(
        &mut self,
        aggregate: &A,
        pane: &Pane<K, V>,
        (cursor, until): (&mut Cursor, u64),
        budget: &mut usize,
    ) -> bool {
        let turns = self.turns::<T, A>();
        let Self { whole, since, column, .. } = self;
        let mut add = |column: &[K], parts: &[Option<&V>]| {
            whole.update_batch(parts, column, |held, part| {
                if let Some(part) = part {
                    aggregate.combine(&mut held.acc, part);
                    held.slices += 1;
                }
            });
            if turns {
                since.update_batch(parts, column, |newer, part| {
                    part.iter().for_each(|part| aggregate.combine(newer, part));
                });
            }
        };
        together(&pane.table, (cursor, until), budget, column, &mut add)
    }

    /// Shows the values to `each`, from the cursor on, and notes the keys whose turn it is; true
    /// when done.
    pub fn visit<T, A: Aggregate<T, Acc = V>>(
        &mut self,
        (cursor, until): (&mut Cursor, u64),
        budget: &mut usize,
        mut each: impl FnMut(K, &V),
    ) -> bool {
        let turns = self.turns::<T, A>();
        let Self { whole, groups, turn, due, .. } = self;
        whole.visit_until(until, cursor, budget, |key, held| {
            each(key, &held.acc);
            if turns && group(key, *groups) == *turn {
                due.push(key);
            }
        })
    }

    /// Shows the values to `each` and forgets them, for a window that has nothing in common with
    /// those to come; true when done.
    pub fn drain(
        &mut self,
        (cursor, until): (&mut Cursor, u64),
        budget: &mut usize,
        mut each: impl FnMut(K, &V),
    ) -> bool {
        let Self { whole, since, .. } = self;
        whole.drain_until(until, cursor, budget, |key, held| {
            each(key, &held.acc);
            if !since.is_empty() {
                since.remove(key);
            }
        })
    }

    /// Gives a turn to each key that was noted; says how many slices were looked at.
    pub fn take_turns<T, A: Aggregate<T, Acc = V>>(
        &mut self,
        aggregate: &A,
        panes: &mut Panes<K, V>,
        window: Range<usize>,
    ) -> usize {
        let mut due = std::mem::take(&mut self.due);
        let looked_at = due.len() * window.len();
        for key in due.drain(..) {
            self.rebuild(aggregate, key, panes, window.clone());
        }
        self.due = due;
        looked_at
    }

    /// Gives a turn to every key.
    pub fn turn_all<T, A: Aggregate<T, Acc = V>>(
        &mut self,
        aggregate: &A,
        panes: &mut Panes<K, V>,
        window: Range<usize>,
    ) {
        if self.turns::<T, A>() {
            let mut keys = Vec::with_capacity(self.whole.len());
            self.whole.visit(&mut Cursor::default(), usize::MAX, |key, _| keys.push(key));
            keys.into_iter().for_each(|key| self.rebuild(aggregate, key, panes, window.clone()));
        }
    }

    /// The next group has its turn in the next window.
    pub fn end_turn(&mut self) {
        self.turn = if self.turn + 1 < self.groups { self.turn + 1 } else { 0 };
    }

    /// Takes out a slice that goes, the oldest one, from the cursor on; true when done. Its table
    /// is emptied on the way if it is `spent`.
    pub fn evict<T, A: Aggregate<T, Acc = V>>(
        &mut self,
        aggregate: &A,
        pane: &mut Pane<K, V>,
        spent: bool,
        (cursor, until): (&mut Cursor, u64),
        budget: &mut usize,
    ) -> bool {
        let Self { whole, since, column, gone, .. } = self;
        if !A::INVERTIBLE {
            let Some(behind) = &mut pane.beside else { return true };
            return behind.drain_until(until, cursor, budget, |key, acc| {
                let mut left = *acc;
                if let Some(newer) = since.get(key) {
                    aggregate.combine(&mut left, newer);
                }
                release(whole, key, |held| *held = left);
            });
        }
        let mut take = |column: &[K], parts: &[Option<&V>]| {
            let mut keys = column.iter();
            whole.update_batch(parts, column, |held, part| {
                let key = keys.next();
                held.slices = held.slices.saturating_sub(1);
                match part {
                    Some(part) if held.slices > 0 => aggregate.deduct(&mut held.acc, part),
                    _ => gone.extend(key),
                }
            });
            gone.drain(..).for_each(|key| _ = whole.remove(key));
        };
        let from = *cursor;
        let done = together(&pane.table, (cursor, until), budget, column, &mut take);
        if spent {
            pane.table.clear_passed(from, cursor);
        }
        done
    }

    /// Takes in a late record of a slice that is in `window`, of which this is all; `new` says
    /// that the slice had not held the key before.
    pub fn correct<T, A: Aggregate<T, Acc = V>>(
        &mut self,
        aggregate: &A,
        (key, record): (K, &Record<T>),
        new: bool,
        panes: &mut Panes<K, V>,
        window: Range<usize>,
    ) {
        if self.turns::<T, A>() {
            // What stands behind the older slices is wrong now.
            return self.rebuild(aggregate, key, panes, window);
        }
        let held = self.whole.entry(key);
        aggregate.accumulate(&mut held.acc, record.at, &record.value);
        held.slices += u32::from(new);
    }

    /// The turn of a key: what stands behind each of its slices, and all of them together.
    fn rebuild<T, A: Aggregate<T, Acc = V>>(
        &mut self,
        aggregate: &A,
        key: K,
        panes: &mut Panes<K, V>,
        window: Range<usize>,
    ) {
        let (mut behind, mut slices) = (V::default(), 0);
        for index in window.rev() {
            let Some(mut acc) = panes.get(index).table.get(key).copied() else { continue };
            *panes.beside_mut(index).entry(key) = behind;
            aggregate.combine(&mut acc, &behind);
            behind = acc;
            slices += 1;
        }
        *self.whole.entry(key) = Held { acc: behind, slices };
        self.since.remove(key);
    }
}

/// Walks over a table and hands on keys and values, as many at a time as are looked up together
/// elsewhere; true when done.
#[inline(always)]
fn together<'a, K: Key, V: State>(
    table: &'a Table<K, V>,
    (cursor, until): (&mut Cursor, u64),
    budget: &mut usize,
    column: &mut Vec<K>,
    each: &mut impl FnMut(&[K], &[Option<&'a V>]),
) -> bool {
    let mut parts = [None; TOGETHER];
    let done = table.visit_until(until, cursor, budget, |key, part| {
        if column.len() == TOGETHER {
            each(column, &parts);
            column.clear();
        }
        if let Some(place) = parts.get_mut(column.len()) {
            *place = Some(part);
        }
        column.push(key);
    });
    each(column, &parts[..column.len()]);
    column.clear();
    done
}

/// One slice less has a part in the value of a key, and `change` says what that leaves; without
/// any the key goes.
#[inline(always)]
fn release<K: Key, V: State>(whole: &mut Table<K, Held<V>>, key: K, change: impl FnOnce(&mut V)) {
    let Some(held) = whole.get_mut(key) else { return };
    held.slices -= 1;
    if held.slices == 0 {
        whole.remove(key);
    } else {
        change(&mut held.acc);
    }
}

/// The group of a key, out of so many.
#[inline(always)]
fn group<K: Key>(key: K, groups: u64) -> u64 {
    ((u128::from(hash(key, GROUPS)) * u128::from(groups)) >> 64) as u64
}
