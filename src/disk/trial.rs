//! How writes become durable soonest on this disk: tried, for some milliseconds, when a journal is
//! opened.

use std::io;
use std::path::Path;
use std::thread;

use crate::disk::opens::Opens;
use crate::disk::ring::{Ring, Way};
use crate::io::journal::{BLOCK, MAKING};
use crate::io::{Directory, Files, Write, is_full};
use crate::time::{Clock, SystemClock};

/// Writes tried each way, at most.
const WRITES: usize = 24;

/// How long each way is tried, in nanoseconds, unless three writes take longer.
const LONG: u64 = 20_000_000;

/// Takes the faster way. `RWF_DSYNC` must be a lot faster, as it is where the disk itself can do
/// it: if not, the kernel does it on a core that a shard may spin on, which no trial before the
/// shards run would show. `benches/alternatives/journal_device.md` has the numbers.
///
/// # Errors
/// What the system said: it has no io_uring, or the file system cannot be written so.
pub fn choose(path: &Path, opens: Opens) -> io::Result<Way> {
    let mut files = Directory::open(path)?;
    let made = files.create(MAKING, (WRITES * BLOCK) as u64).and_then(|()| files.sync(MAKING));
    let way = match made {
        Ok(()) => faster(&path.join(MAKING), opens),
        // On a full disk nothing can be tried, and opening the journal will say that it is full.
        Err(error) if is_full(&error) => Ok(Way::Sync),
        Err(error) => Err(error),
    };
    let _ = files.remove(MAKING);
    way
}

fn faster(file: &Path, opens: Opens) -> io::Result<Way> {
    let sync = median(file, opens, Way::Sync)?;
    let dsync = median(file, opens, Way::Dsync);
    let is_faster = dsync.is_ok_and(|dsync| 3 * dsync < 2 * sync);
    Ok(if is_faster { Way::Dsync } else { Way::Sync })
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
    Ok(took.get(took.len() / 2).copied().unwrap_or(u64::MAX / 4))
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
