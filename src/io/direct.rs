//! Long files, written and read past the page cache.
//!
//! What a shard has copied is written once and read after a crash at the earliest. Through the page
//! cache it would push out what others read, and the system would copy it twice on cores on which
//! shards run: into the cache, and later, on a thread of its own, out of it. And what is read once
//! from end to end the page cache asks the disk for in small pieces, one after the other.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// What direct writes are aligned to, in memory and on the disk.
const BLOCK: usize = 4096;
/// How much is written at once: enough for the disk to be busy, little enough to stay in a cache
/// between being put together and being taken.
const CHUNK: usize = 1 << 20;

/// Calls `take` with memory for a chunk.
fn with_chunk<R>(take: impl FnOnce(&mut [u8]) -> R) -> R {
    let mut memory = vec![0; CHUNK + BLOCK];
    let start = memory.as_ptr().align_offset(BLOCK);
    take(&mut memory[start..start + CHUNK])
}

/// Opens a file for direct reads.
///
/// # Errors
/// What the system said: a file system may know no direct reads.
pub fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(nix::libc::O_DIRECT).open(path)
}

/// Reads from a file that was opened for it until `into` is full or the file ends, and returns how
/// much that was.
///
/// # Errors
/// What the system said.
pub fn read_at(file: &File, offset: u64, into: &mut [u8]) -> io::Result<usize> {
    let (mut read, mut passed) = (0, offset as usize % BLOCK);
    let mut from = offset - passed as u64;
    with_chunk(|chunk| {
        while read < into.len() {
            let found = match file.read_at(chunk, from) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                found => found?,
            };
            let useful = chunk[..found].get(passed..).unwrap_or(&[]);
            let now = useful.len().min(into.len() - read);
            into[read..read + now].copy_from_slice(&useful[..now]);
            (read, passed, from) = (read + now, 0, from + found as u64);
            // Only the end of a file is no whole block.
            if found < CHUNK && !found.is_multiple_of(BLOCK) || found == 0 {
                break;
            }
        }
        Ok(read)
    })
}

/// Creates a file for direct writes, in the place of any of that name.
///
/// # Errors
/// What the system said: a file system may know no direct writes.
pub fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).custom_flags(nix::libc::O_DIRECT).open(path)
}

/// Writes these parts to a file that was created for it, one behind the other.
///
/// # Errors
/// What the system said.
pub fn write(mut file: &File, parts: &[&[u8]]) -> io::Result<()> {
    let (mut filled, mut bytes) = (0, 0);
    with_chunk(|chunk| {
        for mut part in parts.iter().copied() {
            bytes += part.len() as u64;
            while !part.is_empty() {
                let (now, later) = part.split_at(part.len().min(CHUNK - filled));
                chunk[filled..filled + now.len()].copy_from_slice(now);
                filled += now.len();
                part = later;
                if filled == CHUNK {
                    file.write_all(chunk)?;
                    filled = 0;
                }
            }
        }
        // The last block as a whole, and then what is not of the file goes.
        let end = filled.next_multiple_of(BLOCK);
        chunk[filled..end].fill(0);
        file.write_all(&chunk[..end])
    })?;
    file.set_len(bytes)
}
