//! The real disk under a journal.
//!
//! There are three ways to write, and [`open`] takes the best that works:
//!
//! | [`Rung`] | a write | works |
//! |---|---|---|
//! | `Direct` | goes from a registered buffer past the page cache, on the shard's ring | mostly |
//! | `Buffered` | the same through the page cache | where there are no direct writes |
//! | `Threads` | is made and waited for by a thread beside the shard | everywhere |
//!
//! None of them makes a shard wait. On a ring, the shard enters the kernel only to begin a write
//! and when the ring says that something completed. How a write becomes durable, by itself or by a
//! sync behind it, is tried on the disk when the journal is opened. Which way it was is what
//! [`DiskStorage`] prints, and `millstream journal stat`.
//!
//! May not know shards. Start with `ring.rs` and `ladder.rs`.

#[cfg(feature = "uring")]
mod buffers;
mod keeper;
mod ladder;
mod opens;
#[cfg(feature = "uring")]
mod ring;
mod threads;
#[cfg(feature = "uring")]
mod trial;
#[cfg(feature = "uring")]
mod uring;
mod worker;

use std::fs::{File, TryLockError};
use std::io::Write as _;
use std::path::Path;
use std::thread;
use std::time::SystemTime;

use crate::error::{IoError, JournalError, Result};
use crate::io::Directory;
use crate::io::journal::{Journal, LOCK, Recovered, Settings};
use crate::time::{Timestamp, ms};

pub use ladder::{DiskStorage, Rung};

/// Opens the journal in a directory for writing, and creates both if they are not there. Locks it:
/// there is one writer at a time. May block. What it returns belongs to this thread: a shard opens
/// its journal where its pipeline is built.
///
/// ```
/// use millstream::io::journal::{Reader, Settings};
/// use millstream::io::Directory;
/// use millstream::{disk, Timestamp};
///
/// # let directory = std::env::temp_dir().join(format!("millstream-doc-{}", std::process::id()));
/// let settings = Settings { segment_bytes: 1 << 20, slot_bytes: 8192, ..Settings::default() };
/// let (mut journal, recovered) = disk::open(&directory, settings, Timestamp(0))?;
/// assert_eq!(recovered.next.0, 0, "nothing was there");
/// let first = journal.append(Timestamp(5), b"hello").unwrap();
/// while journal.durable() <= first {
///     journal.poll(Timestamp(0))?;
/// }
/// drop(journal);
///
/// let mut reader = Reader::open(Directory::open(&directory).unwrap())?;
/// assert_eq!(reader.read()?.map(|record| record.bytes), Some(&b"hello"[..]));
/// # std::fs::remove_dir_all(&directory).unwrap();
/// # Ok::<(), millstream::Error>(())
/// ```
///
/// # Errors
/// What [`Journal::open`] says, and [`JournalError::Locked`] if somebody else writes it.
pub fn open(
    path: impl AsRef<Path>,
    settings: Settings,
    now: Timestamp,
) -> Result<(Journal<DiskStorage>, Recovered)> {
    open_from(path, settings, now, Rung::Direct)
}

/// The same, by no better way than this one: for comparing them.
///
/// ```
/// use millstream::disk::{self, Rung};
/// use millstream::io::journal::Settings;
/// use millstream::Timestamp;
///
/// # let directory = std::env::temp_dir().join(format!("millstream-rung-{}", std::process::id()));
/// let (settings, now) = (Settings::default(), Timestamp(0));
/// let (journal, _) = disk::open_from(&directory, settings, now, Rung::Threads)?;
/// assert_eq!(journal.storage().rung(), Rung::Threads);
/// # drop(journal);
/// # std::fs::remove_dir_all(&directory).unwrap();
/// # Ok::<(), millstream::Error>(())
/// ```
///
/// # Errors
/// As [`open`].
pub fn open_from(
    path: impl AsRef<Path>,
    settings: Settings,
    now: Timestamp,
    best: Rung,
) -> Result<(Journal<DiskStorage>, Recovered)> {
    let path = path.as_ref();
    settings.check()?;
    let failed = |action| move |cause| IoError::new(action, path.display().to_string(), cause);
    let mut files = Directory::create(path).map_err(failed("create"))?;
    let lock = lock(path)?;
    let mut note = lock.try_clone().map_err(failed("lock"))?;
    let storage =
        DiskStorage::new(path, &settings, best, lock).map_err(failed("start threads for"))?;
    // For whoever looks at the journal later. On a full disk there may be no room even for this.
    let _ = note.set_len(0).and_then(|()| writeln!(note, "{storage}"));
    Journal::open(&mut files, storage, settings, nonce(), now)
}

/// How the journal in a directory is written, or was last; none if it never said.
pub fn written_by(path: impl AsRef<Path>) -> Option<String> {
    let note = std::fs::read_to_string(path.as_ref().join(LOCK)).ok()?;
    note.lines().next().map(str::to_owned)
}

/// Whether somebody is writing the journal in a directory now.
pub fn is_being_written(path: impl AsRef<Path>) -> bool {
    let lock = File::open(path.as_ref().join(LOCK));
    lock.is_ok_and(|lock| matches!(lock.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// How often a lock that somebody has is asked for again, every millisecond: whoever only looks
/// whether there is a writer has it for an instant.
const TRIES: usize = 20;

/// Holds the directory for one writer: the lock goes with the file, however the process ends.
fn lock(path: &Path) -> Result<File, JournalError> {
    let name = path.join(LOCK);
    let failed = |cause| IoError::new("lock", name.display().to_string(), cause);
    let file = File::options().create(true).truncate(false).write(true).open(&name);
    let file = file.map_err(failed)?;
    let mut locked = file.try_lock();
    for _ in 0..TRIES {
        if !matches!(locked, Err(TryLockError::WouldBlock)) {
            break;
        }
        thread::sleep(ms(1));
        locked = file.try_lock();
    }
    match locked {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(JournalError::Locked { directory: path.display().to_string() })
        }
        Err(TryLockError::Error(cause)) => Err(failed(cause).into()),
    }
}

/// Tells one journal from another. Not secret, and never seen by a step.
fn nonce() -> u64 {
    let since = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
    since.as_nanos() as u64 ^ (u64::from(std::process::id()) << 40)
}
