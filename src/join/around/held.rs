//! The right records that a window may still want.

use serde::{Deserialize, Serialize};

use crate::dataflow::Record;
use crate::join::bound::Interval;
use crate::state::{Chunks, Cursor, EachBulk, Key, Place, Queue, Rescale, Rescaled, Stored, Table};
use crate::time::{Deadlines, Popped, Timestamp};

/// Right records by key, in the order of their times.
#[derive(Serialize, Deserialize)]
#[serde(bound = "R: Stored")]
pub struct Held<K: Key, R: Copy> {
    interval: Interval,
    prevailing: bool,
    keys: Table<K, Queue>,
    records: Chunks<Record<R>>,
    /// When nobody can want a record any more, but as the one in force.
    past: Deadlines<K>,
    /// A key some of whose records are past, and the time before which all are.
    dropping: Option<(K, i64)>,
    /// How far everything has been forgotten.
    forgotten: Cursor,
}

/// The right records of one window, in the order of their times, those of one time in the order in
/// which they came.
pub struct Rights<'a, R: Copy> {
    records: &'a Chunks<Record<R>>,
    place: Place,
    left: u32,
    to: Timestamp,
}

impl<R: Copy> Clone for Rights<'_, R> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

impl<R: Copy> Iterator for Rights<'_, R> {
    type Item = Record<R>;

    #[inline]
    fn next(&mut self) -> Option<Record<R>> {
        self.left = self.left.checked_sub(1)?;
        let record = self.records[self.place];
        if record.at > self.to {
            self.left = 0;
            return None;
        }
        self.place = self.records.after(self.place);
        Some(record)
    }
}

impl<K: Key, R: Copy + Stored> Rescaled for Held<K, R> {
    fn bulk(&mut self, each: &mut EachBulk<'_>) {
        each(&mut self.keys);
        self.records.bulk(each);
    }

    fn rescaled(from: Vec<Self>, to: &Rescale) -> Result<Self, String> {
        let first = from.first().ok_or("there was no shard")?;
        let mut all = Self::with_keys(first.interval, first.prevailing, first.keys.empty());
        let Self { keys, records, .. } = &mut all;
        for other in &from {
            keys.take_over(
                &other.keys,
                |key| to.owns(key),
                |_, queue| {
                    *queue = records.take_over(&other.records, queue, |_, _| ());
                },
            );
        }
        all.past = Deadlines::of(from.into_iter().map(|other| other.past), |key| to.owns(*key));
        Ok(all)
    }
}

impl<K: Key, R: Copy + Stored> Held<K, R> {
    /// Nothing is held.
    pub fn new(interval: Interval, prevailing: bool, seed: u64) -> Self {
        Self::with_keys(interval, prevailing, Table::new(seed))
    }

    fn with_keys(interval: Interval, prevailing: bool, keys: Table<K, Queue>) -> Self {
        let records = Chunks::new();
        let (past, forgotten) = (Deadlines::new(), Cursor::default());
        Self { interval, prevailing, keys, records, past, dropping: None, forgotten }
    }

    /// How many records are held.
    pub fn records(&self) -> usize {
        self.records.len()
    }

    /// How many keys have some.
    pub fn keys(&self) -> usize {
        self.keys.len()
    }

    /// Adds a record, later than all of its key or of the same time as the last.
    #[inline]
    pub fn add(&mut self, key: K, at: Timestamp, right: R) {
        let queue = self.keys.entry(key);
        self.records.push(queue, Record::new(at, right));
        // The last left record that wants it has its turn then.
        let Interval { from, to } = self.interval;
        let last = at.0.saturating_sub(from).saturating_add(to.max(0));
        self.past.set(last, key);
    }

    /// The records around a left one of this time.
    #[inline]
    pub fn around(&self, key: K, at: Timestamp) -> Rights<'_, R> {
        let Interval { from, to } = self.interval;
        let (from, to) = (at.offset(from), at.offset(to));
        let queue = self.keys.get(key).copied().unwrap_or_default();
        let (mut place, mut left) = (queue.front(), queue.len());
        // What is past has been dropped, but for the record in force.
        while left > 0 && self.records[place].at < from {
            let next = self.records.after(place);
            let is_in_force = left == 1 || self.records[next].at > from;
            if self.prevailing && is_in_force {
                break;
            }
            (place, left) = (next, left - 1);
        }
        // One in force may be behind the end, where the interval lies before the record.
        Rights { records: &self.records, place, left, to }
    }

    /// One unit of work towards what nobody can want once `now` is over; false when there is none.
    #[inline]
    pub fn seek_past(&mut self, now: i64) -> bool {
        match self.past.pop(now) {
            Popped::Due(at, key) => {
                let Interval { from, to } = self.interval;
                let before = at.saturating_sub(to.max(0)).saturating_add(from);
                self.dropping = Some((key, before.saturating_add(1)));
            }
            Popped::Moved => {}
            Popped::Nothing => return false,
        }
        true
    }

    /// Drops one record that nobody can want; false when there is none.
    #[inline]
    pub fn drop_one(&mut self) -> bool {
        let Some((key, before)) = self.dropping else { return false };
        let is_dropped = self.keys.get_mut(key).is_some_and(|queue| {
            let front = queue.front();
            let is_past = |place: Place| self.records[place].at.0 < before;
            let goes = match self.prevailing {
                true => queue.len() > 1 && is_past(self.records.after(front)),
                false => !queue.is_empty() && is_past(front),
            };
            goes && self.records.pop(queue).is_some()
        });
        if !is_dropped {
            self.dropping = None;
            if self.keys.get(key).is_some_and(Queue::is_empty) {
                self.keys.remove(key);
            }
        }
        true
    }

    /// Forgets a key, of which the record in force is left; false when there is none.
    pub fn forget(&mut self) -> bool {
        let Self { keys, records, forgotten, .. } = self;
        let is_over = forgotten.is_done();
        keys.drain(forgotten, 1, |_, queue| {
            let mut queue = *queue;
            while records.pop(&mut queue).is_some() {}
        });
        !is_over
    }

    /// Shows what is held, by key.
    pub fn visit(&self, mut each: impl FnMut(K, &R)) {
        self.keys.visit(&mut Cursor::default(), usize::MAX, |key, queue| {
            let mut place = queue.front();
            for _ in 0..queue.len() {
                each(key, &self.records[place].value);
                place = self.records.after(place);
            }
        });
    }
}
