//! The real disk under a journal.
//!
//! Threads of its own write and wait, so that a shard never does: a write goes to one of them
//! through a ring, with its buffer, and comes back when it is done, or durable. They use plain
//! `pwrite` and `fdatasync` through the page cache, which works on every file system.
//!
//! May not know shards. Start with `threads.rs`.

mod threads;

use std::fs::{File, TryLockError};
use std::path::Path;
use std::time::SystemTime;

use crate::error::{IoError, JournalError, Result};
use crate::io::Directory;
use crate::io::journal::{Journal, LOCK, Recovered, Settings};
use crate::time::Timestamp;

pub use threads::ThreadedStorage;

/// Opens the journal in a directory for writing, and creates both if they are not there. Locks it:
/// there is one writer at a time. May block.
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
) -> Result<(Journal<ThreadedStorage>, Recovered)> {
    let path = path.as_ref();
    settings.check()?;
    let failed = |action| move |cause| IoError::new(action, path.display().to_string(), cause);
    let mut files = Directory::create(path).map_err(failed("create"))?;
    let lock = lock(path)?;
    let storage =
        ThreadedStorage::new(path, &settings, lock).map_err(failed("start threads for"))?;
    Journal::open(&mut files, storage, settings, nonce(), now)
}

/// Holds the directory for one writer: the lock goes with the file, however the process ends.
fn lock(path: &Path) -> Result<File, JournalError> {
    let name = path.join(LOCK);
    let failed = |cause| IoError::new("lock", name.display().to_string(), cause);
    let file = File::options().create(true).truncate(false).write(true).open(&name);
    let file = file.map_err(failed)?;
    match file.try_lock() {
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
