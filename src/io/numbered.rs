//! A source whose records know their number.

use serde::{Deserialize, Serialize};

use crate::dataflow::{Record, Saved};
use crate::error::IoError;
use crate::io::source::pass_to;
use crate::io::{Polled, Source};
use crate::time::Timestamp;

/// Which record of which source: the same when it comes again after a crash.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Origin {
    /// The source, by a number that the user gives it.
    pub source: u32,
    /// Its partition.
    pub partition: u32,
    /// How many records of that partition came before it, since ever.
    pub sequence: u64,
}

/// The records of another source, each with its [`Origin`], for results that are to be known again
/// by what they came of: see [`AtOnce`](crate::io::AtOnce).
///
/// Where a snapshot is restored the numbers go on from there. Else they begin with the position of
/// the source if it has one, in a journal the sequence of the first record that is kept, and with 0
/// if it has none. What the source leaves out because it cannot be decoded has no number.
///
/// ```
/// use millstream::io::{MemorySource, Numbered, Source};
/// use millstream::{Record, Timestamp};
///
/// let letters = MemorySource::new(vec![Record::new(Timestamp(1), 'a')]);
/// let mut source = Numbered::new(letters, 3);
/// let mut seen = Vec::new();
/// source.poll(0, Timestamp(0), 64, &mut |record| seen.push(record.value))?;
/// let (origin, letter) = seen[0];
/// assert_eq!((origin.source, origin.sequence, letter), (3, 0, 'a'));
/// # Ok::<(), millstream::error::IoError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Numbered<S> {
    source: S,
    number: u32,
    /// The next of each partition; none before it was asked for the first time.
    next: Vec<Option<u64>>,
}

impl<S: Source> Numbered<S> {
    /// Gives a source a number, which no other source of the pipeline has: where each shard has one
    /// of its own, that of the shard.
    pub fn new(source: S, number: u32) -> Self {
        let next = vec![None; source.partitions()];
        Self { source, number, next }
    }
}

impl<S: Source> Source for Numbered<S> {
    type Out = (Origin, S::Out);

    pass_to!(source);

    #[inline]
    fn poll(
        &mut self,
        partition: usize,
        now: Timestamp,
        budget: usize,
        emit: &mut impl FnMut(Record<Self::Out>),
    ) -> Result<Polled, IoError> {
        let mut sequence = match self.next[partition] {
            Some(next) => next,
            None => self.source.position(partition).unwrap_or(0),
        };
        let (source, number) = (self.number, partition as u32);
        let polled = self.source.poll(partition, now, budget, &mut |Record { at, value }| {
            let origin = Origin { source, partition: number, sequence };
            sequence += 1;
            emit(Record::new(at, (origin, value)));
        });
        self.next[partition] = Some(sequence);
        polled
    }

    fn write_down(&mut self, (_, value): &Self::Out, into: &mut Vec<u8>) {
        self.source.write_down(value, into);
    }

    fn save(&self, out: &mut Saved) {
        out.put("numbered", &self.next);
        self.source.save(out);
    }

    fn load(&mut self, from: &mut Saved) {
        from.take("numbered", &mut self.next);
        self.source.load(from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing but ever more nothing, without positions.
    struct Blanks;

    impl Source for Blanks {
        type Out = ();

        fn poll(
            &mut self,
            _partition: usize,
            now: Timestamp,
            budget: usize,
            emit: &mut impl FnMut(Record<()>),
        ) -> Result<Polled, IoError> {
            (0..budget).for_each(|_| emit(Record::new(now, ())));
            Ok(Polled::open())
        }

        fn save(&self, _out: &mut Saved) {}
    }

    #[test]
    fn numbers_go_on_from_a_snapshot() {
        let mut numbers = Vec::new();
        let mut poll = |source: &mut Numbered<Blanks>| {
            let mut take = |it: Record<(Origin, ())>| numbers.push(it.value.0.sequence);
            source.poll(0, Timestamp(0), 2, &mut take).unwrap();
        };
        let mut source = Numbered::new(Blanks, 1);
        poll(&mut source);
        let mut saved = Saved::new();
        source.save(&mut saved);
        poll(&mut source);
        let mut source = Numbered::new(Blanks, 1);
        source.load(&mut saved);
        poll(&mut source);
        assert_eq!(numbers, [0, 1, 2, 3, 2, 3]);
    }
}
