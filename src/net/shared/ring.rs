//! The ring itself: which words there are, who writes them, and in which order.
//!
//! Two words say how far the two sides have come: the tail, which the writer writes, and the head,
//! which the reader writes. Both only grow. Each side keeps its own in its own memory and believes
//! nobody else about it; the other's is looked at only where the last look is used up, and must lie
//! within the ring: the other side may be mad.
//!
//! Written over any kind of word, so that `loom` can try all the orders there are.

use std::sync::atomic::{AtomicU64, Ordering};

/// A word that both sides see.
pub trait Word {
    fn load(&self, order: Ordering) -> u64;
    fn store(&self, value: u64, order: Ordering);
}

impl Word for AtomicU64 {
    #[inline(always)]
    fn load(&self, order: Ordering) -> u64 {
        self.load(order)
    }

    #[inline(always)]
    fn store(&self, value: u64, order: Ordering) {
        self.store(value, order);
    }
}

/// What both sides see.
pub trait Common {
    type Word: Word;

    /// For how many records there is room: a power of two.
    fn capacity(&self) -> u64;

    /// How many records have been published.
    fn tail(&self) -> &Self::Word;

    /// How many have been taken.
    fn head(&self) -> &Self::Word;

    /// Whether the writer has said that no more will come: not 0.
    fn over(&self) -> &Self::Word;

    /// The words of the record with this number.
    fn slot(&self, number: u64) -> &[Self::Word];
}

/// How far the other side says it is, which cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wild {
    pub ours: u64,
    pub theirs: u64,
}

/// The side that writes.
pub struct Writer<C> {
    common: C,
    /// What has been written, and what of it the reader may see.
    tail: u64,
    published: u64,
    /// How far the reader was when he was last looked at.
    head: u64,
}

impl<C: Common> Writer<C> {
    /// Nothing has been written.
    pub fn new(common: C) -> Self {
        Self { common, tail: 0, published: 0, head: 0 }
    }

    /// For how many records there is room; looks at the reader if it is fewer than are wanted.
    ///
    /// # Errors
    /// He says that he has taken what there is not.
    #[inline]
    pub fn room(&mut self, wanted: u64) -> Result<u64, Wild> {
        let capacity = self.common.capacity();
        if capacity - (self.tail - self.head) < wanted {
            // Acquire: what is written into a slot must not be there before he has read it.
            let theirs = self.common.head().load(Ordering::Acquire);
            if theirs < self.head || theirs > self.published {
                return Err(Wild { ours: self.published, theirs });
            }
            self.head = theirs;
        }
        Ok(capacity - (self.tail - self.head))
    }

    /// How many records were published and not taken, by the last look.
    pub fn waiting(&self) -> u64 {
        self.published - self.head
    }

    /// Writes a record, for which there must be room. The reader does not see it yet.
    #[inline]
    pub fn put(&mut self, write: impl FnOnce(&[C::Word])) {
        debug_assert!(self.tail - self.head < self.common.capacity(), "there is no room");
        write(self.common.slot(self.tail));
        self.tail += 1;
    }

    /// The reader may see what was written; returns how many records that were.
    #[inline]
    pub fn publish(&mut self) -> u64 {
        let more = self.tail - self.published;
        if more > 0 {
            // Release: who sees the tail sees the records.
            self.common.tail().store(self.tail, Ordering::Release);
            self.published = self.tail;
        }
        more
    }

    /// No more will come.
    pub fn end(&mut self) {
        self.publish();
        self.common.over().store(1, Ordering::Release);
    }
}

/// The side that reads.
pub struct Reader<C> {
    common: C,
    /// What has been read, and what of it the writer may write over.
    head: u64,
    released: u64,
    /// How far the writer was when he was last looked at.
    tail: u64,
}

impl<C: Common> Reader<C> {
    /// Goes on where the reader before has stopped.
    pub fn new(common: C) -> Self {
        let head = common.head().load(Ordering::Acquire);
        Self { common, head, released: head, tail: head }
    }

    /// How many records there are to be read; looks at the writer if they are fewer than are
    /// wanted.
    ///
    /// # Errors
    /// He says that he has written what there is no room for.
    #[inline]
    pub fn waiting(&mut self, wanted: u64) -> Result<u64, Wild> {
        if self.tail - self.head < wanted {
            // Acquire: the records are read after it.
            let theirs = self.common.tail().load(Ordering::Acquire);
            if theirs < self.tail || theirs - self.released > self.common.capacity() {
                return Err(Wild { ours: self.released, theirs });
            }
            self.tail = theirs;
        }
        Ok(self.tail - self.head)
    }

    /// Reads the next record, which must be waiting.
    #[inline]
    pub fn take<T>(&mut self, read: impl FnOnce(&[C::Word]) -> T) -> T {
        debug_assert!(self.head < self.tail, "nothing waits");
        let record = read(self.common.slot(self.head));
        self.head += 1;
        record
    }

    /// The writer may write over what was read.
    #[inline]
    pub fn release(&mut self) {
        if self.head != self.released {
            // Release: what was read was read before.
            self.common.head().store(self.head, Ordering::Release);
            self.released = self.head;
        }
    }

    /// Whether the writer has said that no more will come. What was published before may wait: look
    /// for it once more.
    pub fn is_over(&self) -> bool {
        self.common.over().load(Ordering::Acquire) != 0
    }

    /// How many records have been read since there is the ring.
    pub fn taken(&self) -> u64 {
        self.head
    }
}

#[cfg(test)]
mod tests;
