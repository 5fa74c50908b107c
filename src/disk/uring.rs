//! A disk whose writes are in flight on an io_uring.

use std::collections::VecDeque;
use std::io;
use std::path::Path;

use crate::disk::keeper::{self, CHORES, Chore, Keeper};
use crate::disk::opens::Opens;
use crate::disk::ring::{Ring, Way};
use crate::disk::trial;
use crate::io::journal::{SegmentHeader, Settings};
use crate::io::{Done, Storage, Write};

/// Writes begin and end on the shard's own thread, through its own ring; whole segments are made,
/// opened and removed by a thread beside it. See [`disk`](super).
pub struct UringStorage {
    ring: Ring,
    keeper: Keeper,
    done: VecDeque<Done>,
}

impl UringStorage {
    /// For a directory that is there and locked. Tries how writes become durable soonest there.
    ///
    /// # Errors
    /// What the system said: it has no io_uring, or the file system cannot be written so.
    pub fn new(path: &Path, settings: &Settings, opens: Opens) -> io::Result<Self> {
        let way = trial::choose(path, opens)?;
        Ok(Self {
            ring: Ring::new(settings.slots, settings.slot_bytes, way)?,
            keeper: keeper::start(path, Some(opens))?,
            done: VecDeque::with_capacity(CHORES),
        })
    }

    /// How writes are made durable.
    pub fn way(&self) -> Way {
        self.ring.way()
    }
}

impl Storage for UringStorage {
    fn slots(&self) -> usize {
        self.ring.shape().0
    }

    fn slot_bytes(&self) -> usize {
        self.ring.shape().1
    }

    fn buffer(&mut self, slot: usize) -> &mut [u8] {
        self.ring.buffer(slot)
    }

    fn write(&mut self, write: Write) {
        self.ring.write(write);
    }

    fn make(&mut self, header: SegmentHeader) {
        self.keeper.ask(Chore::Make(header));
    }

    fn sync(&mut self, segment: u64) {
        self.keeper.ask(Chore::Sync(segment));
    }

    fn remove(&mut self, segment: u64) {
        self.keeper.ask(Chore::Remove(segment));
    }

    fn drive(&mut self) {
        self.ring.drive();
        while let Some((tidied, file)) = self.keeper.hear() {
            let tidied = match (tidied, file) {
                (Done::Made { segment, result: Ok(()) }, Some(file)) => {
                    Done::Made { segment, result: self.ring.install(segment, &file) }
                }
                (tidied, _) => tidied,
            };
            self.done.push_back(tidied);
        }
    }

    fn next_done(&mut self) -> Option<Done> {
        if let Some((slot, result)) = self.ring.next_done() {
            return Some(Done::Written { slot, result });
        }
        self.done.pop_front()
    }
}
