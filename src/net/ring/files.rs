//! Sockets that a ring knows beforehand, by the numbers of their slots: nothing has to be looked up
//! and held for each thing that is done with one.

use std::io;
use std::os::fd::{AsRawFd, RawFd};

use io_uring::IoUring;
use io_uring::squeue::Flags;
use io_uring::types::Fd;

/// Nobody is there.
const NOBODY: RawFd = -1;

/// The table of them, or why there is none.
pub struct Files {
    is_used: bool,
    refused: Option<io::Error>,
}

impl Files {
    /// One place for each slot, and one for who listens. There may be none: the kernel may not
    /// allow it, or so many.
    pub fn of(ring: &IoUring, slots: usize, is_wanted: bool) -> Self {
        if !is_wanted {
            return Self { is_used: false, refused: None };
        }
        let refused = ring.submitter().register_files_sparse(slots as u32 + 1).err();
        Self { is_used: refused.is_none(), refused }
    }

    /// Whether there is one; if it was wanted and there is none, why.
    pub fn is_there(&self) -> Result<bool, &io::Error> {
        self.refused.as_ref().map_or(Ok(self.is_used), Err)
    }

    /// Whether there is one: then each change of it is a call.
    pub fn is_used(&self) -> bool {
        self.is_used
    }

    /// Puts a socket in a place.
    ///
    /// # Errors
    /// What the system said.
    pub fn put(&self, ring: &IoUring, at: usize, socket: &impl AsRawFd) -> io::Result<()> {
        if self.is_used {
            ring.submitter().register_files_update(at as u32, &[socket.as_raw_fd()])?;
        }
        Ok(())
    }

    /// Nobody is in that place any more. What is under way there still has the socket.
    pub fn clear(&self, ring: &IoUring, at: usize) {
        if self.is_used {
            let _ = ring.submitter().register_files_update(at as u32, &[NOBODY]);
        }
    }

    /// What an entry says of a socket that is in a place.
    #[inline]
    pub fn get(&self, at: usize, socket: &impl AsRawFd) -> (Fd, Flags) {
        match self.is_used {
            true => (Fd(at as RawFd), Flags::FIXED_FILE),
            false => (Fd(socket.as_raw_fd()), Flags::empty()),
        }
    }

    /// The ring knows none of them any more: it would hold them until the kernel has had the time
    /// to end it, which is later.
    pub fn take_back(&mut self, ring: &IoUring) {
        if std::mem::take(&mut self.is_used) {
            let _ = ring.submitter().unregister_files();
        }
    }
}
