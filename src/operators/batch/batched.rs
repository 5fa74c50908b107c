//! A batch as a sink sees it, and where its memory comes from and goes to.

use std::cell::RefCell;
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

use crate::dataflow::Record;

/// Records that were gathered: a slice of them, which gives its memory back when it is dropped.
///
/// ```
/// use millstream::operators::Batched;
///
/// /// One statement for all of them.
/// fn insert(orders: &Batched<(u64, f64)>) -> String {
///     let rows = orders.iter().map(|order| format!("({}, {})", order.value.0, order.value.1));
///     format!("insert into orders values {}", rows.collect::<Vec<_>>().join(", "))
/// }
/// ```
pub struct Batched<T> {
    records: Vec<Record<T>>,
    home: Rc<RefCell<Vec<Vec<Record<T>>>>>,
}

impl<T> Deref for Batched<T> {
    type Target = [Record<T>];

    #[inline(always)]
    fn deref(&self) -> &[Record<T>] {
        &self.records
    }
}

impl<T: fmt::Debug> fmt::Debug for Batched<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.records.fmt(f)
    }
}

impl<T> Drop for Batched<T> {
    fn drop(&mut self) {
        let mut records = std::mem::take(&mut self.records);
        // Values are dropped first: what they do then is theirs.
        records.clear();
        self.home.borrow_mut().push(records);
    }
}

/// The memory of the batches of one operator, as far as no batch is in it.
pub struct Pool<T> {
    spare: Rc<RefCell<Vec<Vec<Record<T>>>>>,
    room: usize,
}

impl<T> Pool<T> {
    /// For batches that have this much room to begin with. There are two at once: the one that is
    /// filled and the one that the sink has.
    pub fn new(room: usize) -> Self {
        let two = vec![Vec::with_capacity(room), Vec::with_capacity(room)];
        Self { spare: Rc::new(RefCell::new(two)), room }
    }

    /// An empty batch to fill. Allocates only where more of them are out than ever before.
    pub fn take(&self) -> Vec<Record<T>> {
        let spare = self.spare.borrow_mut().pop();
        spare.unwrap_or_else(|| Vec::with_capacity(self.room))
    }

    /// A batch that is full.
    pub fn batched(&self, records: Vec<Record<T>>) -> Batched<T> {
        Batched { records, home: self.spare.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn memory_goes_round() {
        let pool = Pool::new(4);
        let mut first = pool.take();
        first.push(Record::new(Timestamp(1), 'a'));
        let place = first.as_ptr();
        let batch = pool.batched(first);
        assert_eq!((batch.len(), batch[0].value), (1, 'a'));
        let second = pool.take();
        assert_ne!(second.as_ptr(), place, "the first is still out");
        drop(batch);
        let third = pool.take();
        assert_eq!((third.as_ptr(), third.len(), third.capacity()), (place, 0, 4));
        assert_eq!(pool.take().capacity(), 4);
    }
}
