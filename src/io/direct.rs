//! Long files, written and read past the page cache.
//!
//! What a shard has copied is written once and read after a crash at the earliest. Through the page
//! cache it would push out what others read, and the system would copy it twice on cores on which
//! shards run: into the cache, and later, on a thread of its own, out of it. And what is read once
//! from end to end the page cache asks the disk for in small pieces, one after the other.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread;

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
/// much that was. What is long is read by two threads, so that the disk has something to do while
/// one of them has not.
///
/// # Errors
/// What the system said.
pub fn read_at(file: &File, offset: u64, into: &mut [u8]) -> io::Result<usize> {
    let passed = offset as usize % BLOCK;
    let from = offset - passed as u64;
    let (first, rest) = into.split_at_mut(into.len().min(CHUNK - passed));
    let is_long = rest.len() > CHUNK;
    let rest = rest.chunks_mut(CHUNK).enumerate();
    let rest = rest.map(|(index, piece)| (from + (index as u64 + 1) * CHUNK as u64, 0, piece));
    let pieces = Mutex::new(std::iter::once((from, passed, first)).chain(rest));
    let next = || pieces.lock().unwrap_or_else(PoisonError::into_inner).next();
    let read = || -> io::Result<usize> {
        with_chunk(|chunk| {
            let mut read = 0;
            while let Some((from, passed, piece)) = next() {
                read += read_piece(file, (from, passed), piece, chunk)?;
            }
            Ok(read)
        })
    };
    thread::scope(|scope| {
        // Without another thread it takes longer.
        let other = is_long.then(|| thread::Builder::new().spawn_scoped(scope, read).ok());
        let own = read()?;
        let other = other.flatten().map_or(Ok(Ok(0)), |other| other.join());
        Ok(own + other.unwrap_or_else(|panic| resume_unwind(panic))?)
    })
}

/// Reads a piece that begins so many bytes behind the start of a block; in its place, if that is
/// aligned, and else by way of `chunk`.
fn read_piece(
    file: &File,
    (mut from, mut passed): (u64, usize),
    piece: &mut [u8],
    chunk: &mut [u8],
) -> io::Result<usize> {
    let whole = piece.len() - piece.len() % BLOCK;
    let is_aligned = passed == 0 && piece.as_ptr().align_offset(BLOCK) == 0;
    let mut read = 0;
    while read < piece.len() {
        let in_place = is_aligned && read < whole && read.is_multiple_of(BLOCK);
        let target = if in_place { &mut piece[read..whole] } else { &mut *chunk };
        let found = match file.read_at(target, from) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            found => found?,
        };
        let now = found.saturating_sub(passed).min(piece.len() - read);
        if !in_place {
            piece[read..read + now].copy_from_slice(&chunk[passed..passed + now]);
        }
        (read, passed, from) = (read + now, 0, from + found as u64);
        // Only the end of a file is no whole block.
        if !found.is_multiple_of(BLOCK) || found == 0 {
            break;
        }
    }
    Ok(read)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_part_of_a_file_is_what_was_written_there() {
        let name = format!("millstream-direct-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        let bytes: Vec<u8> =
            (0..5 * CHUNK as u32 + 777).map(|n| (n.wrapping_mul(n) >> 9) as u8).collect();
        let Ok(file) = create(&path) else {
            eprintln!("skipped: no direct writes to {}", path.display());
            return;
        };
        write(&file, &[&bytes[..10], &bytes[10..3 * CHUNK], &bytes[3 * CHUNK..]]).unwrap();
        assert!(std::fs::read(&path).unwrap() == bytes);
        let file = open(&path).unwrap();
        let mut memory = vec![0u8; bytes.len() + 3 * BLOCK];
        let aligned = memory.as_ptr().align_offset(BLOCK);
        for start in [aligned, aligned + 1] {
            for offset in [0, 1, BLOCK - 1, BLOCK, CHUNK + 5, bytes.len() - 9, bytes.len() + 9] {
                for length in [0, 1, 99, BLOCK, CHUNK, CHUNK + 1, 2 * CHUNK + 7, bytes.len()] {
                    let into = &mut memory[start..start + length];
                    into.fill(0xee);
                    let read = read_at(&file, offset as u64, into).unwrap();
                    let there = bytes.get(offset..).unwrap_or_default();
                    let there = &there[..length.min(there.len())];
                    assert!(read == there.len(), "{read} of {length} at {offset}");
                    assert!(into[..read] == *there, "{length} at {offset}");
                }
            }
        }
        std::fs::remove_file(&path).unwrap();
    }
}
