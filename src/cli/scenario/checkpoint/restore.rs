//! Going on from a checkpoint, beside reading its bytes.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::pause::shard;
use crate::checkpoint::{self, ShardState, Taken};
use crate::cli::baseline::disk;
use crate::cli::report::Goal;
use crate::cli::scenario::Measured;
use crate::dataflow::Epoch;
use crate::error::{IoError, Result};
use crate::time::{Clock, SystemClock};

/// What was measured.
pub struct Restored {
    bytes: u64,
    kept: Duration,
    read: Duration,
    restored: Duration,
    raw: Duration,
}

/// Keeps a checkpoint of one shard, and then restores a shard from it and reads its file past the
/// page cache; the file is in no cache before either.
pub fn measure(path: &Path, state: ShardState) -> Result<Restored> {
    let mut store = checkpoint::open(path, 1)?;
    let complete_at = SystemClock::new().now();
    let shards = vec![state];
    let taken = Taken { epoch: Epoch(1), name: None, hash_seed: 0, complete_at, shards };
    let started = Instant::now();
    let manifest = store.keep(&taken)?;
    let kept = started.elapsed();
    drop(taken);
    let file = path.join(&manifest.shards[0].file);
    let failed = |error| IoError::new("read", file.display().to_string(), error);
    disk::forget(&file).map_err(failed)?;
    let started = Instant::now();
    disk::read_raw(&file).map_err(failed)?;
    let raw = started.elapsed();
    disk::forget(&file).map_err(failed)?;
    let started = Instant::now();
    let newest = store.newest(|_| Ok(()))?;
    let read = started.elapsed();
    let (mut shard, _input) = shard()?;
    for state in newest.into_iter().flat_map(|(_, states)| states) {
        shard.restore(&state.into())?;
    }
    let restored = started.elapsed();
    fs::remove_file(&file).map_err(failed)?;
    Ok(Restored { bytes: manifest.state_bytes(), kept, read, restored, raw })
}

impl Restored {
    /// Adds it to a report.
    pub fn report(&self, measured: &mut Measured) {
        let Self { bytes, kept, read, restored, raw } = *self;
        let per_s = |lasted: Duration| bytes as f64 / 1e6 / lasted.as_secs_f64();
        let ratio = per_s(restored) / per_s(raw);
        measured.ratio("restore_vs_raw_read", ratio, Some(Goal::AtLeast(0.5)));
        measured.note(format!(
            "Restore of {:.0} MB: {:.0} MB/s, of which reading and checking {:.0} ms and building \
             tables {:.0} ms; read raw, past the page cache: {:.0} MB/s. Kept at {:.0} MB/s.",
            bytes as f64 / 1e6,
            per_s(restored),
            read.as_secs_f64() * 1e3,
            (restored - read).as_secs_f64() * 1e3,
            per_s(raw),
            per_s(kept),
        ));
    }
}
