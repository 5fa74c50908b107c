//! Output that is shown at once, each result with a token by which a receiver knows it again.

use std::collections::BTreeMap;
use std::io;

use serde::{Deserialize, Serialize};

use crate::dataflow::{Epoch, Record, Saved};
use crate::error::IoError;
use crate::io::{Driven, Origin, Sink};
use crate::time::Timestamp;

/// Which result it is: the same when it comes again after a crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Token {
    /// The shard that shows it.
    pub shard: u32,
    /// The record that it came of.
    pub origin: Origin,
    /// How many results of that record this shard has shown before it.
    pub index: u32,
}

/// A sink that shows each result at once, with a [`Token`]. After a crash everything since the last
/// checkpoint is shown again, with the tokens that it had: a receiver that drops what it has
/// [`Seen`] has each result once.
///
/// What is shown again must be what was shown. So it is for results that come of one record each,
/// by steps that do the same when they see the same records of that source in order: filters, maps,
/// sums by key where all records of a key are from one source. Results have to come in the order of
/// the records that they came of, as they do behind at most one exchange; those that do not are an
/// error, since a receiver would take one for another. A window's result is known by its key and
/// its span, and needs no token.
///
/// Which shard shows a result is a part of its token. So a pipeline does not go on with another
/// number of shards: what was shown since the last checkpoint would come again from other shards,
/// and be taken for something new. Results that one shard shows for all (behind
/// [`ordered`](crate::Stream::ordered), say) come from there again.
///
/// ```
/// use millstream::io::{AtOnce, MemorySink, MemorySource, Numbered, Origin, Seen, Token};
/// use millstream::{Record, Simulation, Timestamp};
/// # fn main() -> millstream::Result<()> {
/// let shown = MemorySink::new();
/// let sink = shown.clone();
/// Simulation::new(2, 7).crashing(3).run(move |p| {
///     let numbers = (0..100).map(|n| Record::new(Timestamp(n), n));
///     let here = numbers.filter(|n| n.value as usize % p.shards() == p.shard());
///     let source = MemorySource::new(here.collect::<Vec<_>>());
///     p.source(Numbered::new(source, p.shard() as u32))
///         .flat_map(|(origin, n)| (0..n % 3).map(move |_| (origin, n)))
///         .sink(AtOnce::new(sink.clone(), p.shard(), |result: &(Origin, i64)| result.0));
///     Ok(())
/// })?;
/// let mut seen = Seen::default();
/// let results: Vec<Record<(Token, (Origin, i64))>> = shown.take();
/// let once = results.iter().filter(|result| seen.is_new(&result.value.0));
/// assert_eq!(once.count(), (0..100).map(|n| n % 3).sum::<i64>() as usize);
/// # Ok(())
/// # }
/// ```
pub struct AtOnce<K, F> {
    sink: K,
    shard: u32,
    origin: F,
    /// The last record of each source and partition that there were results of, and how many.
    ///
    /// In the snapshot, though a barrier is between two records: a gate in front of this one may
    /// hold some results of the last record back, and bring them behind the barrier.
    last: BTreeMap<(u32, u32), (u64, u32)>,
}

impl<K, F> AtOnce<K, F> {
    /// Shows results in a sink of this shard; `origin` says which record one came of.
    pub fn new(sink: K, shard: usize, origin: F) -> Self {
        Self { sink, shard: shard as u32, origin, last: BTreeMap::new() }
    }

    fn token(&mut self, origin: Origin) -> Result<Token, IoError> {
        let Origin { source, partition, sequence } = origin;
        let (last, count) = self.last.entry((source, partition)).or_insert((sequence, 0));
        if sequence < *last {
            let reason = format!(
                "a result of record {sequence} of source {source} comes after one of {last}; \
                 tokens are for results in the order of their records"
            );
            return Err(IoError::new("show", "a result at once", io::Error::other(reason)));
        }
        if sequence > *last {
            (*last, *count) = (sequence, 0);
        }
        let index = *count;
        *count += 1;
        Ok(Token { shard: self.shard, origin, index })
    }
}

impl<T, K, F> Sink<T> for AtOnce<K, F>
where
    T: 'static,
    K: Sink<(Token, T)>,
    F: Fn(&T) -> Origin + 'static,
{
    fn is_open(&self) -> bool {
        self.sink.is_open()
    }

    #[inline]
    fn accept(&mut self, Record { at, value }: Record<T>) -> Result<(), IoError> {
        let token = self.token((self.origin)(&value))?;
        self.sink.accept(Record::new(at, (token, value)))
    }

    fn end_of_batch(&mut self) -> Result<(), IoError> {
        self.sink.end_of_batch()
    }

    fn on_watermark(&mut self, watermark: Timestamp) -> Result<(), IoError> {
        self.sink.on_watermark(watermark)
    }

    fn end_of_stream(&mut self) -> Result<(), IoError> {
        self.sink.end_of_stream()
    }

    fn on_barrier(&mut self, epoch: Epoch) -> Result<(), IoError> {
        self.sink.on_barrier(epoch)
    }

    fn on_complete(&mut self, epoch: Epoch) -> Result<(), IoError> {
        self.sink.on_complete(epoch)
    }

    fn poll(&mut self) -> Result<bool, IoError> {
        self.sink.poll()
    }

    fn driven(&mut self) -> Option<Box<dyn Driven>> {
        self.sink.driven()
    }

    fn save(&self, out: &mut Saved) {
        out.put("at once", &self.last);
        self.sink.save(out);
    }

    fn load(&mut self, from: &mut Saved) {
        match from.shares() {
            Some(_) => {
                from.not_rescaled("at once", "results are known by the shard that shows them")
            }
            None => from.take("at once", &mut self.last),
        }
        self.sink.load(from);
    }
}

/// What a receiver remembers to have each result once: of each shard, source and partition the last
/// one. It must keep that with the results, so that a crash takes both or neither.
///
/// Of each shard results must reach it in order, as one connection or one file brings them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen(BTreeMap<(u32, u32, u32), (u64, u32)>);

impl Seen {
    /// Whether a result has not come before; from now on it has.
    pub fn is_new(&mut self, token: &Token) -> bool {
        let Token { shard, origin: Origin { source, partition, sequence }, index } = *token;
        let last = self.0.entry((shard, source, partition));
        let mut is_first = false;
        let last = last.or_insert_with(|| {
            is_first = true;
            (sequence, index)
        });
        let is_new = is_first || (sequence, index) > *last;
        *last = (sequence, index).max(*last);
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::io::MemorySink;

    fn origin(source: u32, sequence: u64) -> Origin {
        Origin { source, partition: 0, sequence }
    }

    #[test]
    fn results_of_a_record_are_counted_and_other_sources_do_not_matter() {
        let shown = MemorySink::new();
        let mut gate = AtOnce::new(shown.clone(), 1, |it: &Origin| *it);
        for (source, sequence) in [(0, 5), (1, 9), (0, 5), (1, 9), (0, 6), (1, 9)] {
            gate.accept(Record::new(Timestamp(0), origin(source, sequence))).unwrap();
        }
        gate.end_of_batch().unwrap();
        let indices = shown.take().into_iter().map(|it: Record<(Token, Origin)>| it.value.0.index);
        assert_eq!(indices.collect::<Vec<_>>(), [0, 0, 1, 1, 0, 2]);
        let back = gate.accept(Record::new(Timestamp(0), origin(0, 5))).unwrap_err();
        assert!(back.to_string().contains("record 5 of source 0 comes after one of 6"), "{back}");
    }

    #[test]
    fn results_of_one_record_on_both_sides_of_a_snapshot_are_counted_on() {
        let gate =
            |shown: &MemorySink<(Token, Origin)>| AtOnce::new(shown.clone(), 1, |it: &Origin| *it);
        let (shown, mut saved) = (MemorySink::new(), Saved::new());
        let mut before = gate(&shown);
        before.accept(Record::new(Timestamp(0), origin(0, 5))).unwrap();
        before.save(&mut saved);
        let mut after = gate(&shown);
        after.load(&mut saved);
        after.accept(Record::new(Timestamp(0), origin(0, 5))).unwrap();
        after.end_of_batch().unwrap();
        assert_eq!(shown.take()[0].value.0.index, 1);
    }

    #[test]
    fn what_was_seen_is_not_new() {
        let mut seen = Seen::default();
        let mut is_new = |shard, sequence, index| {
            seen.is_new(&Token { shard, origin: origin(0, sequence), index })
        };
        assert!(is_new(0, 3, 0) && is_new(0, 3, 1) && is_new(1, 3, 0) && is_new(0, 7, 0));
        assert!(!is_new(0, 3, 1) && !is_new(0, 7, 0) && !is_new(1, 3, 0));
        assert!(is_new(0, 7, 1));
    }
}
