//! Seeing that files have changed.

use std::fs::metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::error::{ConfigError, IoError, Result};
use crate::trust::tls::ServerTls;

/// What is different about a file when it was written, replaced, or a link leads to another; none
/// where there is no such file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp(Option<[i64; 7]>);

/// Those of several files.
pub type Stamps = Vec<Stamp>;

impl Stamp {
    pub fn of(file: &Path) -> Self {
        let of = |it: std::fs::Metadata| {
            let (modified, changed) = (it.mtime_nsec(), it.ctime_nsec());
            let (device, number, size) = (it.dev() as i64, it.ino() as i64, it.size() as i64);
            [device, number, size, it.mtime(), modified, it.ctime(), changed]
        };
        Self(metadata(file).ok().map(of))
    }
}

/// Watches the files of a [`ServerTls`], by a thread that sleeps most of the time, until it is
/// dropped.
#[must_use = "it watches until it is dropped"]
pub struct Watch {
    /// With it the thread ends.
    over: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl ServerTls {
    /// Looks at the files that often, and [reads them again](Self::reload) when one has changed and
    /// all have been the same for two looks: a certificate and its key are two files, and may come
    /// one after the other. `tell` is called with what came of it, each time: a certificate that is
    /// not taken is one that will have ended some day, so let somebody know.
    ///
    /// # Errors
    /// No time at all, or the system's word that there is no thread to be had.
    ///
    /// ```no_run
    /// use std::time::Duration;
    ///
    /// use millstream::trust::ServerTls;
    ///
    /// let tls = ServerTls::of("chain.pem", "key.pem")?;
    /// let watch = tls.watch(Duration::from_secs(1), |came| match came {
    ///     Ok(()) => eprintln!("a new certificate"),
    ///     Err(error) => eprintln!("the certificate stays as it was: {error}"),
    /// })?;
    /// # drop(watch);
    /// # Ok::<(), millstream::Error>(())
    /// ```
    pub fn watch(
        &self,
        every: Duration,
        mut tell: impl FnMut(&Result<()>) + Send + 'static,
    ) -> Result<Watch> {
        if every.is_zero() {
            let reason = "must be longer than nothing";
            return Err(ConfigError::setting("time between two looks", "0", reason).into());
        }
        let (over, is_over) = channel();
        let tls = self.clone();
        let look = move || {
            let mut seen = Stamps::new();
            while is_over.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                let (are, were) = tls.stamps();
                if are != were && are == seen {
                    tell(&tls.reload());
                }
                seen = are;
            }
        };
        let thread = std::thread::Builder::new().name("certificates".to_owned()).spawn(look);
        let failed = |cause| IoError::new("watch", "the files of TLS", cause);
        Ok(Watch { over: Some(over), thread: Some(thread.map_err(failed)?) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
