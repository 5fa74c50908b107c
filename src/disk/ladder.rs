//! The ways to write, best first, and the one that works here.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;

use crate::disk::threads::ThreadedStorage;
#[cfg(feature = "uring")]
use crate::disk::{opens::Opens, ring::Way, uring::UringStorage};
use crate::io::journal::{SegmentHeader, Settings};
use crate::io::{Done, Storage, Write};

/// A way to write, from the best down. Each works where the one before it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rung {
    /// io_uring, past the page cache.
    Direct,
    /// io_uring, through the page cache: for file systems that know no direct writes.
    Buffered,
    /// Threads that write and wait: for hosts that have no io_uring, or do not allow it.
    Threads,
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct => "io_uring with O_DIRECT",
            Self::Buffered => "io_uring through the page cache",
            Self::Threads => "threads through the page cache",
        })
    }
}

/// The disk under a journal, by whichever [`Rung`] works there. See [`disk`](super).
///
/// It belongs to the thread that opened it.
pub struct DiskStorage {
    kind: Kind,
    rung: Rung,
    refused: Option<String>,
    /// Holds the lock on the directory; goes last.
    _lock: File,
}

/// One of a kind each: nothing is gained by making them as long as one another.
#[allow(clippy::large_enum_variant)]
enum Kind {
    #[cfg(feature = "uring")]
    Ring(UringStorage),
    Threads(ThreadedStorage),
}

impl DiskStorage {
    /// Takes the first rung that works, from this one down.
    ///
    /// # Errors
    /// What the system said where not even threads could be started.
    pub(super) fn new(
        path: &Path,
        settings: &Settings,
        from: Rung,
        lock: File,
    ) -> io::Result<Self> {
        let mut refused = None;
        for rung in [Rung::Direct, Rung::Buffered, Rung::Threads] {
            if rung < from {
                continue;
            }
            match Kind::new(path, settings, rung) {
                Ok(kind) => return Ok(Self { kind, rung, refused, _lock: lock }),
                Err(error) if rung == Rung::Threads => return Err(error),
                Err(error) => refused = Some(format!("{rung}: {error}")),
            }
        }
        Err(io::ErrorKind::Unsupported.into())
    }

    /// How it writes.
    pub fn rung(&self) -> Rung {
        self.rung
    }

    /// Why it does not write by a better way; none if there is none, or none was wanted.
    pub fn refused(&self) -> Option<&str> {
        self.refused.as_deref()
    }

    /// How a write is made durable, in words.
    pub fn durable_by(&self) -> &'static str {
        match &self.kind {
            #[cfg(feature = "uring")]
            Kind::Ring(ring) => match ring.way() {
                Way::Dsync => "RWF_DSYNC",
                Way::Sync => "fdatasync",
            },
            Kind::Threads(_) => "fdatasync",
        }
    }

    fn inner(&mut self) -> &mut dyn Storage {
        match &mut self.kind {
            #[cfg(feature = "uring")]
            Kind::Ring(ring) => ring,
            Kind::Threads(threads) => threads,
        }
    }
}

impl fmt::Display for DiskStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, durable by {}", self.rung, self.durable_by())?;
        self.refused.as_ref().map_or(Ok(()), |refused| write!(f, " ({refused})"))
    }
}

impl Kind {
    fn new(path: &Path, settings: &Settings, rung: Rung) -> io::Result<Self> {
        match rung {
            #[cfg(feature = "uring")]
            Rung::Direct => UringStorage::new(path, settings, Opens::Direct).map(Self::Ring),
            #[cfg(feature = "uring")]
            Rung::Buffered => UringStorage::new(path, settings, Opens::Buffered).map(Self::Ring),
            #[cfg(not(feature = "uring"))]
            Rung::Direct | Rung::Buffered => {
                Err(io::Error::other("built without the feature uring"))
            }
            Rung::Threads => ThreadedStorage::new(path, settings).map(Self::Threads),
        }
    }
}

impl Storage for DiskStorage {
    fn slots(&self) -> usize {
        match &self.kind {
            #[cfg(feature = "uring")]
            Kind::Ring(ring) => ring.slots(),
            Kind::Threads(threads) => threads.slots(),
        }
    }

    fn slot_bytes(&self) -> usize {
        match &self.kind {
            #[cfg(feature = "uring")]
            Kind::Ring(ring) => ring.slot_bytes(),
            Kind::Threads(threads) => threads.slot_bytes(),
        }
    }

    #[inline]
    fn buffer(&mut self, slot: usize) -> &mut [u8] {
        match &mut self.kind {
            #[cfg(feature = "uring")]
            Kind::Ring(ring) => ring.buffer(slot),
            Kind::Threads(threads) => threads.buffer(slot),
        }
    }

    fn write(&mut self, write: Write) {
        self.inner().write(write);
    }

    fn make(&mut self, header: SegmentHeader) {
        self.inner().make(header);
    }

    fn sync(&mut self, segment: u64) {
        self.inner().sync(segment);
    }

    fn remove(&mut self, segment: u64) {
        self.inner().remove(segment);
    }

    fn drive(&mut self) {
        self.inner().drive();
    }

    fn next_done(&mut self) -> Option<Done> {
        self.inner().next_done()
    }
}
