//! What is in a batch: everything, what has changed, or all there is.

use crate::dataflow::{Record, Saved, Shown};
use crate::error::Error;
use crate::operators::batch::index::Index;
use crate::state::{Cursor, Key, Stored, Table};
use crate::time::Timestamp;

/// An output mode: how records become a batch.
pub trait Gather<T>: 'static {
    /// A batch that is due is put together in slices; else all of it is in place at any time.
    const IN_SLICES: bool = false;

    /// A record comes for this batch.
    fn add(&mut self, batch: &mut Vec<Record<T>>, record: Record<T>);

    /// The batch is due: adds to it, within a budget, what is not in it yet; true when that is all.
    fn fill(&mut self, _batch: &mut Vec<Record<T>>, _budget: usize) -> bool {
        true
    }

    /// The batch has gone, and another begins.
    fn begin(&mut self) {}

    /// Which limit has been passed.
    fn check(&self) -> Option<Error> {
        None
    }

    /// Shows what it keeps from batch to batch.
    fn inspect(&self, _each: &mut dyn FnMut(Shown<'_>)) {}

    /// Puts into a snapshot what it keeps beside the batch.
    fn save(&self, _out: &mut Saved) {}

    /// Takes what [`save`](Self::save) put in; the batch has been taken already.
    fn load(&mut self, _batch: &[Record<T>], _from: &mut Saved) {}
}

/// Every record, in order.
pub struct Append;

impl<T> Gather<T> for Append {
    #[inline(always)]
    fn add(&mut self, batch: &mut Vec<Record<T>>, record: Record<T>) {
        batch.push(record);
    }
}

/// The last record of each key in the batch.
pub struct Update<K, F> {
    key: F,
    index: Index<K>,
}

impl<K: Key, F> Update<K, F> {
    /// For at most so many keys in a batch.
    pub fn new(key: F, keys: usize, seed: u64) -> Self {
        Self { key, index: Index::new(keys, seed) }
    }
}

impl<T: 'static, K: Key, F: Fn(&T) -> K + 'static> Gather<T> for Update<K, F> {
    #[inline]
    fn add(&mut self, batch: &mut Vec<Record<T>>, record: Record<T>) {
        let place = self.index.place_of((self.key)(&record.value));
        match batch.get_mut(place) {
            Some(known) => *known = record,
            None => batch.push(record),
        }
    }

    fn begin(&mut self) {
        self.index.clear();
    }

    fn load(&mut self, batch: &[Record<T>], _from: &mut Saved) {
        self.index.clear();
        for record in batch {
            self.index.place_of((self.key)(&record.value));
        }
    }
}

/// The last record of each key that there has been.
pub struct Complete<K: Key, T: Copy + Send + Stored, F> {
    key: F,
    table: Table<K, (Timestamp, Option<T>)>,
    /// How far the batch that is due has come.
    cursor: Cursor,
    keys_max: usize,
}

impl<K: Key, T: Copy + Send + Stored, F> Complete<K, T, F> {
    /// No key yet.
    pub fn new(key: F, keys_max: usize, seed: u64) -> Self {
        Self { key, table: Table::new(seed), cursor: Cursor::default(), keys_max }
    }
}

impl<T, K, F> Gather<T> for Complete<K, T, F>
where
    T: Copy + Send + Stored,
    K: Key,
    F: Fn(&T) -> K + 'static,
{
    const IN_SLICES: bool = true;

    #[inline]
    fn add(&mut self, _batch: &mut Vec<Record<T>>, record: Record<T>) {
        *self.table.entry((self.key)(&record.value)) = (record.at, Some(record.value));
    }

    fn fill(&mut self, batch: &mut Vec<Record<T>>, budget: usize) -> bool {
        if batch.is_empty() && batch.capacity() < self.table.len() {
            // Ahead of time and while there is nothing to copy.
            batch.reserve(2 * self.table.len());
        }
        self.table.visit(&mut self.cursor, budget, |_, (at, value)| {
            batch.extend(value.map(|value| Record::new(*at, value)));
        })
    }

    fn begin(&mut self) {
        self.cursor = Cursor::default();
    }

    fn check(&self) -> Option<Error> {
        let (what, limit, setting) = ("keys", self.keys_max, "keys_max");
        (self.table.len() > limit).then_some(Error::Limit {
            operator: "batch",
            what,
            limit,
            setting,
        })
    }

    fn inspect(&self, each: &mut dyn FnMut(Shown<'_>)) {
        self.table.visit(&mut Cursor::default(), usize::MAX, |key, (_, value)| {
            if let Some(value) = value {
                each(Shown::value("batch", &key, value));
            }
        });
    }

    fn save(&self, out: &mut Saved) {
        out.put("batch", &self.table);
    }

    fn load(&mut self, _batch: &[Record<T>], from: &mut Saved) {
        from.rescale("batch", &mut self.table);
    }
}
