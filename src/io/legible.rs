//! Any source as one whose records can be written down.

use std::fmt::Debug;
use std::io::Write as _;

use crate::dataflow::{Record, Saved};
use crate::error::IoError;
use crate::io::source::pass_to;
use crate::io::{Polled, Source};
use crate::time::Timestamp;

/// A source whose records can be written down, in dead letters for one: the records of another
/// source, and a function that appends the bytes of one.
///
/// Sources that read bytes, of a journal or a file, need none of this: they have them.
///
/// ```
/// use millstream::io::{Legible, MemorySource, Source};
/// use millstream::{Record, Timestamp};
///
/// let numbers = MemorySource::new(vec![Record::new(Timestamp(1), 21)]);
/// let mut source = Legible::debug(numbers);
/// let mut bytes = Vec::new();
/// source.write_down(&21, &mut bytes);
/// assert_eq!(bytes, b"21");
/// ```
#[derive(Clone, Debug)]
pub struct Legible<S, F> {
    source: S,
    write: F,
}

impl<S: Source, F: FnMut(&S::Out, &mut Vec<u8>) + 'static> Legible<S, F> {
    /// Writes records down as `write` does.
    pub fn new(source: S, write: F) -> Self {
        Self { source, write }
    }
}

impl<S: Source<Out: Debug>> Legible<S, fn(&S::Out, &mut Vec<u8>)> {
    /// Writes records down as `{:?}` shows them.
    pub fn debug(source: S) -> Self {
        // Writing to memory does not fail.
        Self { source, write: |value, into| _ = write!(into, "{value:?}") }
    }
}

impl<S: Source, F: FnMut(&S::Out, &mut Vec<u8>) + 'static> Source for Legible<S, F> {
    type Out = S::Out;

    pass_to!(source);

    #[inline]
    fn poll(
        &mut self,
        partition: usize,
        now: Timestamp,
        budget: usize,
        emit: &mut impl FnMut(Record<S::Out>),
    ) -> Result<Polled, IoError> {
        self.source.poll(partition, now, budget, emit)
    }

    fn write_down(&mut self, value: &S::Out, into: &mut Vec<u8>) {
        (self.write)(value, into);
    }

    fn save(&self, out: &mut Saved) {
        self.source.save(out);
    }

    fn load(&mut self, from: &mut Saved) {
        self.source.load(from);
    }
}
