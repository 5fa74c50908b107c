//! Any iterator as a source.

use std::iter::Fuse;

use crate::dataflow::Record;
use crate::error::IoError;
use crate::io::{Polled, Source};
use crate::time::Timestamp;

/// A source that takes its records from an iterator, and ends with it.
///
/// `next` is called in the step, so it must not block, and should not allocate if the step must
/// not. No more of it is taken than the step asked for. It makes no promise about timestamps.
///
/// An iterator cannot be entered in the middle, so no snapshot can be taken of a pipeline with one:
/// a [`MemorySource`](crate::io::MemorySource) can.
///
/// ```
/// use millstream::io::{IterSource, Source};
/// use millstream::{Record, Timestamp};
///
/// let mut source = IterSource::new((0..).map(|i| Record::new(Timestamp(i), i * i)));
/// let mut squares = Vec::new();
/// source.poll(0, Timestamp(0), 4, &mut |r| squares.push(r.value))?;
/// assert_eq!(squares, [0, 1, 4, 9]);
/// # Ok::<(), millstream::error::IoError>(())
/// ```
#[derive(Clone, Debug)]
pub struct IterSource<I> {
    iter: Fuse<I>,
}

impl<I: Iterator> IterSource<I> {
    /// From anything that iterates over records.
    pub fn new(records: impl IntoIterator<IntoIter = I>) -> Self {
        Self { iter: records.into_iter().fuse() }
    }
}

impl<T: 'static, I: Iterator<Item = Record<T>> + 'static> Source for IterSource<I> {
    type Out = T;

    #[inline]
    fn poll(
        &mut self,
        _partition: usize,
        _now: Timestamp,
        budget: usize,
        emit: &mut impl FnMut(Record<T>),
    ) -> Result<Polled, IoError> {
        for _ in 0..budget {
            match self.iter.next() {
                Some(record) => emit(record),
                None => return Ok(Polled::ended()),
            }
        }
        Ok(Polled::open())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_no_more_than_the_budget_and_ends_with_the_iterator() {
        let mut source = IterSource::new((0..5).map(|i| Record::new(Timestamp(i), i)));
        let mut seen = Vec::new();
        for (budget, ended, so_far) in [(0, false, 0), (3, false, 3), (2, false, 5), (1, true, 5)] {
            let polled = source.poll(0, Timestamp(0), budget, &mut |r| seen.push(r.value)).unwrap();
            assert_eq!((polled.ended, seen.len()), (ended, so_far));
        }
        assert_eq!(seen, [0, 1, 2, 3, 4]);
    }

    #[test]
    fn an_iterator_is_not_asked_again_after_its_end() {
        let mut calls = 0;
        let iter = std::iter::from_fn(move || {
            calls += 1;
            assert_eq!(calls, 1, "asked after its end");
            None::<Record<u8>>
        });
        let mut source = IterSource::new(iter);
        for _ in 0..3 {
            assert!(source.poll(0, Timestamp(0), 8, &mut |_| ()).unwrap().ended);
        }
    }
}
