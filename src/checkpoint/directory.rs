//! Checkpoints in a real directory.

use std::fs::{File, TryLockError};
use std::path::Path;

use crate::checkpoint::Store;
use crate::error::{CheckpointError, IoError};
use crate::io::Directory;

/// The file that is locked by whoever writes checkpoints in a directory.
pub const LOCK: &str = "checkpoint.lock";

/// Opens a directory for checkpoints, of which the newest `keep` are kept, and creates it if it is
/// not there. Locks it, however this process ends: there is one writer at a time.
///
/// # Errors
/// If it cannot be created, or somebody else writes there.
pub fn open(path: impl AsRef<Path>, keep: usize) -> Result<Store<Directory>, CheckpointError> {
    let path = path.as_ref();
    let place = || path.display().to_string();
    let files = Directory::create(path).map_err(|cause| IoError::new("create", place(), cause))?;
    let name = path.join(LOCK);
    let lock = File::options().create(true).truncate(false).write(true).open(&name);
    let lock = lock.map_err(|cause| IoError::new("lock", name.display().to_string(), cause))?;
    match lock.try_lock() {
        Ok(()) => Ok(Store::locked(files, keep, lock)),
        Err(TryLockError::WouldBlock) => Err(CheckpointError::Locked { directory: place() }),
        Err(TryLockError::Error(cause)) => Err(IoError::new("lock", place(), cause).into()),
    }
}
