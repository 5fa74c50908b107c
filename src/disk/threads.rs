//! Writes that other threads make and wait for.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::disk::keeper::{self, CHORES, Chore, Keeper};
use crate::disk::worker::Worker;
use crate::io::journal::{SegmentHeader, Settings, segment_name};
use crate::io::{Done, Storage, Write};

/// Threads that write at once, at most: each waits for a sync of its own.
const WRITERS_MAX: usize = 4;

/// A write, and its buffer, which goes along.
type Errand = (Write, Box<[u8]>);

/// A thread that writes, as the shard sees it.
type Writer = Worker<Errand, (Errand, io::Result<()>)>;

/// A disk whose writes are made by threads: plain `pwrite` and `fdatasync` through the page cache,
/// which works on every file system. See [`disk`](super).
pub struct ThreadedStorage {
    /// `None` while the slot is being written.
    buffers: Vec<Option<Box<[u8]>>>,
    slot_bytes: usize,
    writers: Vec<Writer>,
    keeper: Keeper,
    done: VecDeque<Done>,
}

impl ThreadedStorage {
    /// Threads for a directory that is there and locked.
    ///
    /// # Errors
    /// What the system said when a thread was to start.
    pub fn new(path: &Path, settings: &Settings) -> io::Result<Self> {
        let Settings { slots, slot_bytes, in_flight, .. } = *settings;
        let buffer = |_| Some(vec![0; slot_bytes].into_boxed_slice());
        let writers = (0..in_flight.clamp(1, WRITERS_MAX)).map(|_| {
            let mut segments = Segments::of(path);
            let run = move |errand: Errand| {
                let result = segments.run(&errand);
                (errand, result)
            };
            Worker::start("journal-write", slots, run)
        });
        Ok(Self {
            buffers: (0..slots).map(buffer).collect(),
            slot_bytes,
            writers: writers.collect::<io::Result<_>>()?,
            keeper: keeper::start(path, None)?,
            done: VecDeque::with_capacity(slots + CHORES),
        })
    }
}

impl Storage for ThreadedStorage {
    fn slots(&self) -> usize {
        self.buffers.len()
    }

    fn slot_bytes(&self) -> usize {
        self.slot_bytes
    }

    fn buffer(&mut self, slot: usize) -> &mut [u8] {
        match self.buffers.get_mut(slot) {
            Some(Some(buffer)) => buffer,
            _ => &mut [],
        }
    }

    fn write(&mut self, write: Write) {
        let Some(buffer) = self.buffers.get_mut(write.slot).and_then(Option::take) else { return };
        // There are at least as many places in each ring as slots.
        if let Some(writer) = self.writers.iter_mut().min_by_key(|writer| writer.open()) {
            writer.ask((write, buffer));
        }
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
        let Self { buffers, writers, keeper, done, .. } = self;
        for writer in writers {
            while let Some(((Write { slot, .. }, buffer), result)) = writer.hear() {
                if let Some(place) = buffers.get_mut(slot) {
                    *place = Some(buffer);
                }
                done.push_back(Done::Written { slot, result });
            }
        }
        while let Some((tidied, _)) = keeper.hear() {
            done.push_back(tidied);
        }
    }

    fn next_done(&mut self) -> Option<Done> {
        self.done.pop_front()
    }
}

/// The segment that a thread wrote last.
struct Segments {
    path: PathBuf,
    open: Option<(u64, File)>,
}

impl Segments {
    fn of(path: &Path) -> Self {
        Self { path: path.to_owned(), open: None }
    }

    fn file(&mut self, segment: u64) -> io::Result<&File> {
        let file = match self.open.take().filter(|(open, _)| *open == segment) {
            Some((_, file)) => file,
            None => OpenOptions::new().write(true).open(self.path.join(segment_name(segment)))?,
        };
        Ok(&self.open.insert((segment, file)).1)
    }

    fn run(&mut self, (write, buffer): &Errand) -> io::Result<()> {
        let bytes = buffer.get(..write.bytes).ok_or(io::ErrorKind::InvalidInput)?;
        let file = self.file(write.segment)?;
        file.write_all_at(bytes, write.offset)?;
        if write.durable { file.sync_data() } else { Ok(()) }
    }
}
