//! Raw writes past the page cache: what a disk does when nothing else is done.

use std::fs::{File, OpenOptions};
use std::hint::black_box;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use nix::libc::{O_DIRECT, O_DSYNC};

use crate::metrics::Latency;
use crate::time::{Clock, SystemClock};

/// What direct writes are aligned to.
const BLOCK: usize = 4096;

/// Calls `take` with so many bytes that are aligned to a block.
fn aligned<T>(bytes: usize, take: impl FnOnce(&mut [u8]) -> T) -> T {
    let mut memory = vec![7; bytes + BLOCK];
    let start = memory.as_ptr().align_offset(BLOCK);
    take(&mut memory[start..start + bytes])
}

/// A file of zeros that are on the disk, for writing over.
#[derive(Clone)]
pub struct Raw {
    path: PathBuf,
    bytes: u64,
}

impl Raw {
    /// Makes it.
    ///
    /// # Errors
    /// What the disk said.
    pub fn create(path: &Path, bytes: u64) -> io::Result<Self> {
        let file = File::create(path)?;
        let zeros = vec![0; 1 << 20];
        for at in (0..bytes).step_by(zeros.len()) {
            file.write_all_at(&zeros, at)?;
        }
        file.sync_all()?;
        Ok(Self { path: path.to_owned(), bytes })
    }

    fn open(&self, flags: i32) -> io::Result<File> {
        let open = |flags| OpenOptions::new().write(true).custom_flags(flags).open(&self.path);
        // Some file systems know no direct writes.
        open(flags | O_DIRECT).or_else(|_| open(flags))
    }

    /// Bytes a second of records of `RECORD` bytes, one behind the other with nothing between, in
    /// durable writes of `in_one` bytes: by so many threads, each with one in flight.
    ///
    /// # Errors
    /// What the disk said.
    pub fn stream<const RECORD: usize>(
        &self,
        in_one: usize,
        threads: usize,
        lasts: Duration,
    ) -> io::Result<f64> {
        let (next, file, started) = (AtomicU64::new(0), self.open(O_DSYNC)?, Instant::now());
        let write = || {
            aligned(in_one, |bytes| {
                let mut written = 0;
                while started.elapsed() < lasts {
                    for record in bytes.chunks_exact_mut(RECORD) {
                        record.copy_from_slice(black_box(&[written as u8; RECORD]));
                    }
                    let at = next.fetch_add(in_one as u64, Ordering::Relaxed) % self.bytes;
                    file.write_all_at(bytes, at)?;
                    written += in_one as u64;
                }
                Ok(written)
            })
        };
        let written: io::Result<u64> = thread::scope(|scope| {
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(write)).collect();
            let failed = |_| io::Error::other("a thread panicked");
            threads.into_iter().map(|it| it.join().map_err(failed)?).sum()
        });
        Ok(written? as f64 / started.elapsed().as_secs_f64())
    }

    /// How long one durable write of a block takes, waited for by the thread that makes it: by
    /// `O_DSYNC`, or else by a sync behind it.
    ///
    /// # Errors
    /// What the disk said.
    pub fn one_at_a_time(&self, is_dsync: bool, lasts: Duration) -> io::Result<Latency> {
        let file = self.open(if is_dsync { O_DSYNC } else { 0 })?;
        let (clock, mut latency, mut at) = (SystemClock::new(), Latency::new(), 0);
        let begun = clock.now();
        aligned(BLOCK, |block| {
            loop {
                let start = clock.now();
                if start.since(begun) > lasts.as_nanos() as u64 {
                    return Ok(latency);
                }
                file.write_all_at(block, at)?;
                if !is_dsync {
                    file.sync_data()?;
                }
                let now = clock.now();
                latency.record(now, now.since(start), 1);
                at = (at + BLOCK as u64) % self.bytes;
            }
        })
    }
}

/// Lets the page cache forget a file, so that who reads it next reads the disk.
///
/// # Errors
/// What the disk said.
pub fn forget(path: &Path) -> io::Result<()> {
    let file = File::open(path)?;
    file.sync_all()?;
    posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?;
    Ok(())
}

/// Reads a whole file past the page cache, a megabyte at a time, two in flight.
///
/// # Errors
/// What the disk said.
pub fn read_raw(path: &Path) -> io::Result<()> {
    const PIECE: u64 = 1 << 20;
    let open = |flags| OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = open(O_DIRECT).or_else(|_| open(0))?;
    let (length, next) = (file.metadata()?.len(), AtomicU64::new(0));
    let read = || {
        aligned(PIECE as usize, |into| {
            loop {
                let at = next.fetch_add(PIECE, Ordering::Relaxed);
                if at >= length {
                    return Ok(());
                }
                file.read_at(into, at)?;
            }
        })
    };
    thread::scope(|scope| {
        let threads = [scope.spawn(read), scope.spawn(read)];
        let failed = |_| io::Error::other("a thread panicked");
        threads.into_iter().try_for_each(|it| it.join().map_err(failed)?)
    })
}
