//! A source that says what it is told to say.

use std::collections::VecDeque;

use crate::dataflow::{Record, Saved};
use crate::error::IoError;
use crate::io::{Polled, Source};
use crate::time::Timestamp;

/// One thing that a source says; times are in nanoseconds.
#[derive(Clone, Debug, PartialEq)]
pub enum Said<T> {
    /// A value, and when it happened.
    Record(i64, T),
    /// A promise: nothing before this will follow.
    Watermark(i64),
    /// Nothing, for so many polls.
    Silence(u32),
}

/// A source of any number of partitions, each of which follows its script.
///
/// As behind any source, a record says how far event time has come, and one behind an earlier one
/// is late unless `event_time` follows. The watermark of a
/// [`test_input`](crate::Pipeline::test_input) is what is said and nothing else.
///
/// ```
/// use millstream::io::Source;
/// use millstream::testing::{Said, Script};
/// use millstream::Timestamp;
///
/// let said = [Said::Record(5, 'a'), Said::Silence(1), Said::Record(6, 'b')];
/// let mut source = Script::new(said);
/// let mut seen = Vec::new();
/// source.poll(0, Timestamp(0), 64, &mut |record| seen.push(record.value))?;
/// assert_eq!(seen, ['a']);
/// # Ok::<(), millstream::error::IoError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Script<T> {
    partitions: Vec<VecDeque<Said<T>>>,
    fails: bool,
}

impl<T> Script<T> {
    /// One partition.
    pub fn new(said: impl IntoIterator<Item = Said<T>>) -> Self {
        Self { partitions: vec![said.into_iter().collect()], fails: false }
    }

    /// One script for each partition; none at all means that this shard reads nothing.
    pub fn partitions(said: impl IntoIterator<Item = Vec<Said<T>>>) -> Self {
        Self { partitions: said.into_iter().map(VecDeque::from).collect(), fails: false }
    }

    /// No partition: this shard reads nothing.
    pub fn empty() -> Self {
        Self { partitions: Vec::new(), fails: false }
    }

    /// Fails where it would end.
    pub fn failing(self) -> Self {
        Self { fails: true, ..self }
    }
}

impl<T: 'static> Source for Script<T> {
    type Out = T;

    fn partitions(&self) -> usize {
        self.partitions.len()
    }

    fn poll(
        &mut self,
        partition: usize,
        _now: Timestamp,
        budget: usize,
        emit: &mut impl FnMut(Record<T>),
    ) -> Result<Polled, IoError> {
        let script = &mut self.partitions[partition];
        let mut polled = Polled::open();
        for emitted in 0..budget {
            match script.pop_front() {
                Some(Said::Record(at, value)) => emit(Record::new(Timestamp(at), value)),
                Some(Said::Watermark(at)) => {
                    polled.watermark = Some(Timestamp(at));
                    break;
                }
                Some(Said::Silence(polls)) => {
                    let left = if emitted == 0 { polls - 1 } else { polls };
                    if left > 0 {
                        script.push_front(Said::Silence(left));
                    }
                    break;
                }
                None => break,
            }
        }
        polled.ended = script.is_empty();
        if polled.ended && self.fails {
            return Err(IoError::new("read", "the script", std::io::Error::other("torn")));
        }
        Ok(polled)
    }

    /// Its position in a partition: how much is left to say, and of a silence how much of that.
    fn save(&self, out: &mut Saved) {
        let left = |script: &VecDeque<Said<T>>| match script.front() {
            Some(Said::Silence(polls)) => (script.len(), *polls),
            _ => (script.len(), 0),
        };
        out.put("script", &self.partitions.iter().map(left).collect::<Vec<_>>());
    }

    fn load(&mut self, from: &mut Saved) {
        let mut left: Vec<(usize, u32)> = Vec::new();
        from.take("script", &mut left);
        for (script, (left, silence)) in self.partitions.iter_mut().zip(left) {
            script.drain(..script.len().saturating_sub(left));
            if let Some(Said::Silence(polls)) = script.front_mut() {
                *polls = silence;
            }
        }
    }
}
