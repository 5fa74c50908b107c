//! Sinks: results are hashed, and stamped where latency is asked for.

use std::sync::{Arc, Mutex, PoisonError};

use millstream::error::IoError;
use millstream::io::Sink;
use millstream::{Record, Windowed};
use rivals_workload::pace::Pace;
use rivals_workload::{Digest, Stamps};

/// What the sinks of all shards found.
pub type Found = Arc<Mutex<(Digest, Option<Stamps>)>>;

/// All of it.
pub fn take(found: &Found) -> (Digest, Option<Stamps>) {
    std::mem::take(&mut found.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Hashes rows, and hands the sum over at the end.
pub struct Rows<F> {
    digest: Digest,
    add: F,
    into: Found,
}

impl<F> Rows<F> {
    /// Rows that are hashed by `add`.
    pub fn new(into: &Found, add: F) -> Self {
        Self { digest: Digest::default(), add, into: into.clone() }
    }
}

impl<T, F: FnMut(&mut Digest, T) + 'static> Sink<T> for Rows<F> {
    #[inline]
    fn accept(&mut self, record: Record<T>) -> Result<(), IoError> {
        (self.add)(&mut self.digest, record.value);
        Ok(())
    }

    fn end_of_stream(&mut self) -> Result<(), IoError> {
        self.into.lock().unwrap_or_else(PoisonError::into_inner).0.merge(self.digest);
        Ok(())
    }
}

/// Stamps the results of a window at the end of the batch that they are in.
pub struct Stamped {
    digest: Digest,
    stamps: Stamps,
    /// The end of the window of the results of this batch, and how many there are.
    batch: (i64, u64),
    into: Found,
}

impl Stamped {
    /// By the times of this loop.
    pub fn new(pace: &Pace, into: &Found) -> Self {
        let (digest, stamps) = (Digest::default(), Stamps::new(pace.clone()));
        Self { digest, stamps, batch: (0, 0), into: into.clone() }
    }

    fn stamp(&mut self) {
        let (end, count) = std::mem::take(&mut self.batch);
        if count > 0 {
            self.stamps.results(end, self.stamps.now(), count);
        }
    }
}

impl Sink<Windowed<u32, (u64, u64)>> for Stamped {
    #[inline]
    fn accept(&mut self, record: Record<Windowed<u32, (u64, u64)>>) -> Result<(), IoError> {
        let Windowed { key, span, value: (count, sum), .. } = record.value;
        let end = span.end.as_nanos();
        if end != self.batch.0 {
            self.stamp();
            self.batch.0 = end;
        }
        self.batch.1 += 1;
        self.digest.add([key.into(), end as u64, count, sum]);
        Ok(())
    }

    fn end_of_batch(&mut self) -> Result<(), IoError> {
        self.stamp();
        Ok(())
    }

    fn end_of_stream(&mut self) -> Result<(), IoError> {
        self.stamp();
        let mut found = self.into.lock().unwrap_or_else(PoisonError::into_inner);
        found.0.merge(self.digest);
        match &mut found.1 {
            Some(stamps) => stamps.merge(&self.stamps),
            none => *none = Some(self.stamps.clone()),
        }
        Ok(())
    }
}
