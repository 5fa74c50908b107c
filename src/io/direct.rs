//! Long files, written past the page cache.
//!
//! What a shard has copied is written once and read after a crash at the earliest. Through the page
//! cache it would push out what others read, and the system would copy it twice on cores on which
//! shards run: into the cache, and later, on a thread of its own, out of it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// What direct writes are aligned to, in memory and on the disk.
const BLOCK: usize = 4096;
/// How much is written at once: enough for the disk to be busy, little enough to stay in a cache
/// between being put together and being taken.
const CHUNK: usize = 1 << 20;

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
    let mut memory = vec![0; CHUNK + BLOCK];
    let start = memory.as_ptr().align_offset(BLOCK);
    let chunk = &mut memory[start..start + CHUNK];
    let (mut filled, mut bytes) = (0, 0);
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
    file.write_all(&chunk[..end])?;
    file.set_len(bytes)
}
