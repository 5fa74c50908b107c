//! What a gate that waits for the journal adds, for `journal`.

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use crate::cli::failure::Result;
use crate::config::Config;
use crate::dataflow::Record;
use crate::disk;
use crate::error::IoError;
use crate::io::journal::{Journalled, Settings};
use crate::io::{Directory, Journals, Polled, Source, callback, codec};
use crate::metrics::Latency;
use crate::shard::Shard;
use crate::time::{Clock, SystemClock, Timestamp};

/// Gives one record when it is told to.
struct Tap(Rc<Cell<Option<u64>>>);

impl Source for Tap {
    type Out = u64;

    fn poll(
        &mut self,
        _partition: usize,
        now: Timestamp,
        _budget: usize,
        emit: &mut impl FnMut(Record<u64>),
    ) -> std::result::Result<Polled, IoError> {
        if let Some(number) = self.0.take() {
            emit(Record::new(now, number));
        }
        Ok(Polled::open())
    }
}

/// How long one record takes from its source to a sink if there is no other, on a shard that spins:
/// with a gate in front of the sink, or without. The source is journalled in both.
pub fn to_sink(path: &Path, settings: Settings, gated: bool, lasts: Duration) -> Result<Latency> {
    let (tap, shown) = (Rc::new(Cell::new(None)), Rc::new(Cell::new(0)));
    let (clock, mut latency) = (SystemClock::new(), Latency::new());
    let (mut shard, ()) = Shard::embed(Config::embedded(), |p| {
        let (journal, _) = disk::open(path, settings, clock.now())?;
        let failed = |cause| IoError::new("open", path.display().to_string(), cause);
        let numbers = codec(
            8,
            |number: &u64, into: &mut Vec<u8>| into.extend(number.to_le_bytes()),
            |bytes: &[u8]| match bytes.first_chunk() {
                Some(eight) => Ok(u64::from_le_bytes(*eight)),
                None => Err("shorter than a number".to_owned()),
            },
        );
        let files = Directory::open(path).map_err(failed)?;
        let source = Journalled::new(Tap(tap.clone()), numbers, journal, files)?;
        let journals = Journals::new();
        journals.watch(p.shard(), "numbers", source.watch());
        let shown = shown.clone();
        let sink = callback(move |record: Record<u64>| shown.set(record.value));
        match gated {
            true => p.source(source).sink(journals.gate(sink, 1_024)),
            false => p.source(source).sink(sink),
        }
        Ok(())
    })?;
    let begun = clock.now();
    for number in 1.. {
        let start = clock.now();
        if start.since(begun) > lasts.as_nanos() as u64 {
            break;
        }
        tap.set(Some(number));
        while shown.get() != number {
            shard.step(clock.now());
            shard.take_failure().map_or(Ok(()), Err)?;
        }
        let now = clock.now();
        latency.record(now, now.since(start), 1);
    }
    Ok(latency)
}
