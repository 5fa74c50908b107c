//! Iterators over records in memory, and over records that are made as they are due.

use std::sync::Arc;
use std::thread;

use rivals_workload::pace::{Pace, Share};
use rivals_workload::{CHUNK, Reading};

/// A replica's part of records in memory.
#[derive(Clone)]
pub struct Part<T> {
    all: Arc<[T]>,
    next: usize,
    skip: usize,
}

impl<T> Part<T> {
    /// The part of a replica of so many.
    pub fn new(all: &Arc<[T]>, replica: u64, replicas: u64) -> Self {
        let (replica, replicas) = (replica as usize, replicas as usize);
        Self { all: all.clone(), next: replica * CHUNK, skip: (replicas - 1) * CHUNK }
    }
}

impl<T: Copy> Iterator for Part<T> {
    type Item = T;

    #[inline(always)]
    fn next(&mut self) -> Option<T> {
        let next = self.all.get(self.next).copied();
        self.next += 1;
        if self.next.is_multiple_of(CHUNK) {
            self.next += self.skip;
        }
        next
    }
}

/// A reading, and the time before which nothing more comes behind it.
pub type Paced = (Reading, i64);

/// A replica's share of an open loop. While nothing is due it lets the other threads of its core
/// run: a source of this engine has a thread of its own, and so have the operators behind it.
#[derive(Clone)]
pub struct Due {
    pace: Pace,
    share: Share,
}

impl Due {
    /// The share of a replica of so many.
    pub fn new(pace: &Pace, replica: u64, replicas: u64) -> Self {
        Self { pace: pace.clone(), share: pace.share(replica as usize, replicas as usize) }
    }
}

impl Iterator for Due {
    type Item = Paced;

    fn next(&mut self) -> Option<Paced> {
        while !self.share.is_over() {
            let mut found = None;
            self.share.due(self.pace.now(), 1, |reading| found = Some(reading));
            if let Some(reading) = found {
                return Some((reading, self.share.next_at()));
            }
            thread::yield_now();
        }
        None
    }
}
