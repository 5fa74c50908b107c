//! How segments are opened for writing.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

/// Whether writes go past the page cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opens {
    /// Past it: `O_DIRECT`.
    #[cfg(feature = "uring")]
    Direct,
    /// Through it.
    #[cfg_attr(not(feature = "uring"), allow(dead_code))]
    Buffered,
}

impl Opens {
    /// Opens a file that is there for writing.
    ///
    /// # Errors
    /// What the system said: a file system may know no direct writes.
    pub fn open(self, path: &Path) -> io::Result<File> {
        match self {
            Self::Buffered => OpenOptions::new().write(true).open(path),
            #[cfg(feature = "uring")]
            Self::Direct => direct(path),
        }
    }
}

/// The pages that the file was made of go first: a direct write that finds pages of its file in the
/// way leaves the ring for a thread of the kernel.
#[cfg(feature = "uring")]
fn direct(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;

    use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

    let file = OpenOptions::new().write(true).custom_flags(nix::libc::O_DIRECT).open(path)?;
    let _ = posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
    Ok(file)
}
