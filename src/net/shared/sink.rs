//! Records into memory that another process reads.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use crate::dataflow::{Pipeline, Record};
use crate::error::{ConfigError, IoError, Result};
use crate::io::{Driven, Sink};
use crate::net::counts::Counts;
use crate::net::shared::memory::Memory;
use crate::net::shared::outgoing::Outgoing;
use crate::net::shared::plain::Plain;
use crate::time::Timestamp;

/// What becomes of records for which the ring has no room: the reader is slow, or there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// The sink takes none until there is room.
    Block,
    /// They are dropped and counted. What is in the ring stays.
    Drop,
}

/// How a [`SharedSink`] writes.
#[derive(Clone, Copy, Debug)]
pub struct Sharing {
    /// For how many records there is room; made up to a power of two, and to a batch.
    pub capacity: usize,
    /// What the layout of a record is called: the reader must call it the same.
    pub format: u64,
    /// What becomes of records for which there is no room.
    pub full: WhenFull,
    /// How long the end of the stream waits for a reader, if there is none and something waits for
    /// him.
    pub linger: Duration,
}

impl Default for Sharing {
    fn default() -> Self {
        Self { capacity: 1 << 14, format: 0, full: WhenFull::Block, linger: Duration::from_secs(5) }
    }
}

/// A sink that writes records into shared memory, where another process of this host reads them: by
/// a [`SharedSource`](crate::net::SharedSource), or by anything that keeps to the layout.
///
/// A batch is published by one write to one word. A reader need not be there when the sink is made,
/// and may come and go: the ring stays, and the next reader goes on where the one before had come
/// to. That one is gone is noticed within a millisecond. Nobody is told when something was
/// published, so the reader looks by itself; no call to the system is made for a record.
///
/// The first shard calls the reader at once, others when they have something for him. One ring is
/// read at a time: where there are several shards, lead the stream to one first.
///
/// The example of [`SharedSource`](crate::net::SharedSource) shows both.
pub struct SharedSink<T> {
    outgoing: Rc<RefCell<Outgoing<T>>>,
    batch_max: u64,
}

impl<T: Plain> SharedSink<T> {
    /// Writes for whoever listens at a name.
    ///
    /// # Errors
    /// A capacity that cannot be, or what the system said. That nobody listens is none.
    pub fn new(p: Pipeline<'_>, name: &str, sharing: Sharing) -> Result<Self> {
        let batch_max = p.config().batch_max;
        let capacity = sharing.capacity.max(batch_max).max(1).checked_next_power_of_two();
        let bytes = capacity.and_then(|capacity| Memory::bytes_for::<T>(capacity as u64));
        let (Some(capacity), Some(bytes)) = (capacity, bytes) else {
            let reason = "there cannot be so much memory";
            return Err(ConfigError::setting("capacity", sharing.capacity, reason).into());
        };
        p.reserve_bytes(bytes);
        let outgoing = Outgoing::new(name, capacity as u64, sharing, p.shard() == 0)?;
        Ok(Self { outgoing: Rc::new(RefCell::new(outgoing)), batch_max: batch_max as u64 })
    }

    /// Adds to these counts, which may be those of several shards: readers that were
    /// [`Accepted`](crate::net::Count::Accepted) and are [`Closed`](crate::net::Count::Closed),
    /// calls that found [nobody](crate::net::Count::NotConnected), and records that were
    /// [`Dropped`](crate::net::Count::Dropped).
    pub fn counting_into(self, counts: &Counts) -> Self {
        self.outgoing.borrow_mut().set_counts(counts);
        self
    }
}

impl<T: Plain> Sink<T> for SharedSink<T> {
    fn is_open(&self) -> bool {
        self.outgoing.borrow_mut().is_open(self.batch_max)
    }

    #[inline]
    fn accept(&mut self, record: Record<T>) -> std::result::Result<(), IoError> {
        self.outgoing.borrow_mut().write(record.at, &record.value);
        Ok(())
    }

    fn end_of_batch(&mut self) -> std::result::Result<(), IoError> {
        self.outgoing.borrow_mut().publish();
        Ok(())
    }

    fn end_of_stream(&mut self) -> std::result::Result<(), IoError> {
        self.outgoing.borrow_mut().end();
        Ok(())
    }

    fn driven(&mut self) -> Option<Box<dyn Driven>> {
        Some(Box::new(Shared(self.outgoing.clone())))
    }
}

/// What the shard drives of it.
struct Shared<T>(Rc<RefCell<Outgoing<T>>>);

impl<T: Plain> Driven for Shared<T> {
    fn drive(&mut self, now: Timestamp) -> std::result::Result<u64, IoError> {
        self.0.borrow_mut().drive(now)
    }

    fn is_done(&self) -> bool {
        self.0.borrow().is_done()
    }
}
