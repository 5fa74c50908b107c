//! What a reader of changes holds: the rows that there are as of the last transaction.

use std::sync::{Arc, Mutex, PoisonError};

use dbsp::typed_batch::IndexedZSetReader;
use dbsp::{DBData, ZWeight};
use rivals_workload::by_hand;

use crate::circuit::Rows;

/// A table for each worker. Changes of a transaction come in any order, so a row has a weight.
pub struct View<K, V> {
    parts: Arc<Mutex<Vec<Part<K, V>>>>,
}

type Part<K, V> = Arc<Mutex<by_hand::Table<(K, V), ZWeight>>>;

impl<K, V> Clone for View<K, V> {
    fn clone(&self) -> Self {
        Self { parts: self.parts.clone() }
    }
}

impl<K, V> Default for View<K, V> {
    fn default() -> Self {
        Self { parts: Arc::default() }
    }
}

impl<K: DBData, V: DBData> View<K, V> {
    /// Follows the changes of one worker.
    pub fn follow(&self, rows: &Rows<K, V>) {
        let part = Part::<K, V>::default();
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).push(part.clone());
        rows.inspect(move |changes| {
            let mut part = part.lock().unwrap_or_else(PoisonError::into_inner);
            for (key, value, change) in changes.iter() {
                let row = (key, value);
                match part.get_mut(&row) {
                    Some(weight) if *weight + change != 0 => *weight += change,
                    Some(_) => _ = part.remove(&row),
                    None => _ = part.insert(row, change),
                }
            }
        });
    }

    /// All that is there now.
    pub fn each(&self, mut see: impl FnMut(&K, &V)) {
        for part in self.parts.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let part = part.lock().unwrap_or_else(PoisonError::into_inner);
            part.keys().for_each(|(key, value)| see(key, value));
        }
    }
}
