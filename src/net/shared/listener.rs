//! A name of this host at which rings are handed over.

use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::error::{IoError, Result};
use crate::net::shared::handover;

/// A name by which programs of the same user on this host hand over shared memory.
///
/// Made before the engine starts; clones are the same, and it outlives the pipeline, so that a
/// restart finds the name again. The name is in no file system: it is gone with the last clone, or
/// with its process, however that ends. Programs in another network namespace do not see it.
///
/// ```
/// use millstream::net::SharedListener;
///
/// let name = format!("doc-listener-{}", std::process::id());
/// let listener = SharedListener::at(&name)?;
/// let refused = SharedListener::at(&name).unwrap_err().to_string();
/// assert!(refused.contains("in use"), "{refused}");
/// drop(listener);
/// assert!(SharedListener::at(&name).is_ok());
/// # Ok::<(), millstream::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct SharedListener(Arc<Bound>);

#[derive(Debug)]
struct Bound {
    socket: UnixListener,
    name: String,
    stopped: AtomicBool,
}

impl SharedListener {
    /// Listens at a name.
    ///
    /// # Errors
    /// What the system said: somebody listens there, or the name is longer than about 90 bytes.
    pub fn at(name: &str) -> Result<Self> {
        let failed = |cause| IoError::new("listen at shared ring", name, cause);
        let socket = handover::listen(name).map_err(failed)?;
        Ok(Self(Arc::new(Bound { socket, name: name.to_owned(), stopped: AtomicBool::new(false) })))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Ends it: the source ends when it has given what has been published.
    pub fn stop(&self) {
        self.0.stopped.store(true, Ordering::Release);
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::Acquire)
    }

    pub(super) fn socket(&self) -> &UnixListener {
        &self.0.socket
    }
}
