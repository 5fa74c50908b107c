//! How writes become durable soonest on this disk: looked up and tried, for some milliseconds, when
//! a journal is opened.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;

use nix::libc::{major, minor};

use crate::disk::opens::Opens;
use crate::disk::ring::{Ring, Way};
use crate::io::journal::{BLOCK, MAKING};
use crate::io::{Directory, Files, Write, is_full};
use crate::time::{Clock, SystemClock};

/// Writes tried each way, at most.
const WRITES: usize = 24;

/// How long each way is tried, in nanoseconds, unless three writes take longer.
const LONG: u64 = 20_000_000;

/// Takes the faster way of those that are safe to take. No trial would show what is not: before the
/// shards run, no core spins. `benches/alternatives/journal_device.md` has the numbers.
///
/// # Errors
/// What the system said: it has no io_uring, or the file system cannot be written so.
pub fn choose(path: &Path, opens: Opens) -> io::Result<Way> {
    let mut files = Directory::open(path)?;
    let made = files.create(MAKING, (WRITES * BLOCK) as u64).and_then(|()| files.sync(MAKING));
    let way = match made {
        Ok(()) => faster(path, opens),
        // On a full disk nothing can be tried, and opening the journal will say that it is full.
        Err(error) if is_full(&error) => Ok(Way::Sync),
        Err(error) => Err(error),
    };
    let _ = files.remove(MAKING);
    way
}

fn faster(path: &Path, opens: Opens) -> io::Result<Way> {
    let file = path.join(MAKING);
    let sync = median(&file, opens, Way::Sync)?;
    // Through the page cache it is the kernel's own thread that waits for the disk.
    if opens == Opens::Direct && !is_written_through(path) {
        return Ok(Way::Sync);
    }
    let dsync = median(&file, opens, Way::Dsync)?;
    Ok(if dsync < sync { Way::Dsync } else { Way::Sync })
}

/// Whether the disk makes a write durable by itself: it has no cache to lose, or can pass it by. If
/// not, a direct `RWF_DSYNC` is finished by a thread of the kernel on the core that the disk
/// interrupts, which a shard may spin on. What cannot be found out is taken to be so.
fn is_written_through(path: &Path) -> bool {
    let Ok(device) = fs::metadata(path).map(|it| it.dev()) else { return false };
    let device = format!("/sys/dev/block/{}:{}", major(device), minor(device));
    // A partition's queue is that of its disk.
    [format!("{device}/queue"), format!("{device}/../queue")].iter().any(|queue| {
        let says = |name: &str, what: &str| {
            fs::read_to_string(format!("{queue}/{name}")).is_ok_and(|text| text.trim() == what)
        };
        says("fua", "1") || says("write_cache", "write through")
    })
}

/// How long a durable write of one block takes, in nanoseconds.
fn median(file: &Path, opens: Opens, way: Way) -> io::Result<u64> {
    let file = opens.open(file)?;
    let mut ring = Ring::new(1, BLOCK, way)?;
    ring.install(0, &file)?;
    let (clock, mut took) = (SystemClock::new(), Vec::with_capacity(WRITES));
    let begun = clock.now();
    let mut now = begun;
    while took.len() < WRITES && (took.len() < 3 || now.since(begun) < LONG) {
        let offset = (took.len() * BLOCK) as u64;
        ring.write(Write { slot: 0, segment: 0, offset, bytes: BLOCK, durable: true });
        wait(&mut ring)?;
        let then = clock.now();
        took.push(then.since(now));
        now = then;
    }
    took.sort_unstable();
    Ok(took.get(took.len() / 2).copied().unwrap_or(u64::MAX))
}

fn wait(ring: &mut Ring) -> io::Result<()> {
    loop {
        ring.drive();
        if let Some((_, result)) = ring.next_done() {
            return result;
        }
        thread::yield_now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both ways, whichever is chosen here.
    #[test]
    fn a_block_becomes_durable_either_way() {
        let path = std::env::temp_dir().join(format!("millstream-trial-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        let file = path.join("file");
        fs::write(&file, vec![0; WRITES * BLOCK]).unwrap();
        for way in [Way::Dsync, Way::Sync] {
            match median(&file, Opens::Buffered, way) {
                Ok(took) => assert!(took > 0),
                Err(error) => println!("skipped: {error}"),
            }
        }
        println!("the disk of {}: {:?}", path.display(), choose(&path, Opens::Direct));
        fs::remove_dir_all(&path).unwrap();
    }
}
