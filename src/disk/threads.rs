//! Writes that other threads make and wait for.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle, Thread};

use crate::exchange::{PipeReceiver, PipeSender, pipe};
use crate::io::journal::{SegmentHeader, Settings, make_segment, remove_segment, segment_name};
use crate::io::{Directory, Done, Files, Storage, Write};

/// Threads that write at once, at most: each waits for a sync of its own.
const WRITERS_MAX: usize = 4;

/// What a thread is asked, and gives back with how it went. The buffer goes along.
enum Errand {
    Write(Write, Box<[u8]>),
    Make(SegmentHeader),
    Sync(u64),
    Remove(u64),
}

/// An errand that is over.
type Over = (Errand, io::Result<()>);

/// A thread, and the rings to and from it.
struct Worker {
    errands: Option<PipeSender<Errand>>,
    over: PipeReceiver<Over>,
    thread: Option<JoinHandle<()>>,
    wake: Thread,
    /// Errands that are not over.
    open: usize,
}

/// A disk whose writes are made by threads. See [`disk`](super).
pub struct ThreadedStorage {
    /// `None` while the slot is being written.
    buffers: Vec<Option<Box<[u8]>>>,
    slot_bytes: usize,
    writers: Vec<Worker>,
    /// Makes, syncs and removes whole segments.
    keeper: Worker,
    done: VecDeque<Done>,
    /// Holds the lock on the directory.
    _lock: File,
}

impl ThreadedStorage {
    /// Threads for a directory that is there and locked.
    ///
    /// # Errors
    /// What the system said when a thread was to start.
    pub(super) fn new(path: &Path, settings: &Settings, lock: File) -> io::Result<Self> {
        let Settings { slots, slot_bytes, in_flight, .. } = *settings;
        let buffer = |_| Some(vec![0; slot_bytes].into_boxed_slice());
        let writers = (0..in_flight.clamp(1, WRITERS_MAX)).map(|_| {
            let mut segments = Segments::of(path);
            Worker::start("journal-write", slots, move |errand| segments.run(errand))
        });
        let mut keeper =
            Keeper { directory: Directory::open(path)?, path: path.into(), spare: None };
        Ok(Self {
            buffers: (0..slots).map(buffer).collect(),
            slot_bytes,
            writers: writers.collect::<io::Result<_>>()?,
            keeper: Worker::start("journal-keep", 4, move |errand| keeper.run(errand))?,
            done: VecDeque::with_capacity(slots + 3),
            _lock: lock,
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
        if let Some(writer) = self.writers.iter_mut().min_by_key(|writer| writer.open) {
            writer.ask(Errand::Write(write, buffer));
        }
    }

    fn make(&mut self, header: SegmentHeader) {
        self.keeper.ask(Errand::Make(header));
    }

    fn sync(&mut self, segment: u64) {
        self.keeper.ask(Errand::Sync(segment));
    }

    fn remove(&mut self, segment: u64) {
        self.keeper.ask(Errand::Remove(segment));
    }

    fn drive(&mut self) {
        let Self { buffers, writers, keeper, done, .. } = self;
        for worker in writers.iter_mut().chain([keeper]) {
            while let Some((errand, result)) = worker.hear() {
                done.push_back(match errand {
                    Errand::Write(Write { slot, .. }, buffer) => {
                        if let Some(place) = buffers.get_mut(slot) {
                            *place = Some(buffer);
                        }
                        Done::Written { slot, result }
                    }
                    Errand::Make(header) => Done::Made { segment: header.number, result },
                    Errand::Sync(segment) => Done::Synced { segment, result },
                    Errand::Remove(segment) => Done::Removed { segment, result },
                });
            }
        }
    }

    fn next_done(&mut self) -> Option<Done> {
        self.done.pop_front()
    }
}

impl Worker {
    fn start(
        name: &str,
        room: usize,
        run: impl FnMut(&Errand) -> io::Result<()> + Send + 'static,
    ) -> io::Result<Self> {
        let (errands, mut from) = pipe(room);
        let (mut to, over) = pipe(room);
        let mut run = run;
        let work = move || {
            while !from.is_closed() {
                match from.pop() {
                    Some(errand) => {
                        let result = run(&errand);
                        // As much room as there is for errands, so that there always is some.
                        let _ = to.push((errand, result));
                    }
                    None => thread::park(),
                }
            }
        };
        let thread = thread::Builder::new().name(name.to_owned()).spawn(work)?;
        let wake = thread.thread().clone();
        Ok(Self { errands: Some(errands), over, thread: Some(thread), wake, open: 0 })
    }

    fn ask(&mut self, errand: Errand) {
        if let Some(errands) = &mut self.errands
            && errands.push(errand).is_ok()
        {
            self.open += 1;
            self.wake.unpark();
        }
    }

    fn hear(&mut self) -> Option<Over> {
        let over = self.over.pop()?;
        self.open -= 1;
        Some(over)
    }
}

impl Drop for Worker {
    /// What was asked is still done: nobody may write behind the back of who opens it next.
    fn drop(&mut self) {
        self.errands = None;
        self.wake.unpark();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
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

    fn run(&mut self, errand: &Errand) -> io::Result<()> {
        let Errand::Write(write, buffer) = errand else { return Ok(()) };
        let bytes = buffer.get(..write.bytes).ok_or(io::ErrorKind::InvalidInput)?;
        let file = self.file(write.segment)?;
        file.write_all_at(bytes, write.offset)?;
        if write.durable { file.sync_data() } else { Ok(()) }
    }
}

/// What makes and removes whole segments.
struct Keeper {
    directory: Directory,
    path: PathBuf,
    spare: Option<u64>,
}

impl Keeper {
    fn run(&mut self, errand: &Errand) -> io::Result<()> {
        let Self { directory, path, spare } = self;
        match errand {
            Errand::Write(..) => Ok(()),
            Errand::Make(header) => make_segment(directory, header, spare),
            Errand::Sync(segment) => Files::sync(directory, &segment_name(*segment)),
            Errand::Remove(segment) => {
                let length = path.join(segment_name(*segment)).metadata().map(|file| file.len());
                remove_segment(directory, *segment, length.ok(), spare)
            }
        }
    }
}
