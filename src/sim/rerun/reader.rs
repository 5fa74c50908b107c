//! Reading the log of a rerun.

use std::io::{BufRead, ErrorKind, Lines};

use crate::error::{CodecError, Error, IoError, Result};
use crate::sim::rerun::{At, Digest};

/// What a line of a log says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A result, and the record that it came of.
    ResultOf(At, String),
    /// What the shards held behind a record.
    StateBehind(At, String),
    /// The end of the log: what the shards held then.
    Over(String),
}

/// Reads the log of a rerun and checks it: every result against the digest beside it, and that the
/// log has an end.
pub struct LogReader<R> {
    place: String,
    lines: Lines<R>,
    line: u64,
    shards: usize,
    digest: Digest,
    is_over: bool,
}

impl<R: BufRead> LogReader<R> {
    /// Reads the first line; `place` is what errors call the log.
    ///
    /// # Errors
    /// If it is no log, or of another version.
    pub fn new(place: impl Into<String>, input: R) -> Result<Self> {
        let (place, lines, digest) = (place.into(), input.lines(), Digest::default());
        let mut reader = Self { place, lines, line: 0, shards: 0, digest, is_over: false };
        let first = reader.line()?.unwrap_or_default();
        match first.strip_prefix("millstream-rerun 1 shards=").map(str::parse) {
            Some(Ok(shards)) => reader.shards = shards,
            _ => return Err(reader.wrong("not the log of a replay, or of a later version")),
        }
        Ok(reader)
    }

    /// How many shards it was run on.
    pub fn shards(&self) -> usize {
        self.shards
    }

    /// What the next line says; none behind the last.
    ///
    /// # Errors
    /// A line that is not as it was written, a log that is cut off, what the system said.
    pub fn next_entry(&mut self) -> Result<Option<Entry>> {
        let Some(line) = self.line()? else {
            return match self.is_over {
                true => Ok(None),
                false => Err(self.wrong("cut off: the replay has failed, or is not over yet")),
            };
        };
        if self.is_over {
            return Err(self.wrong("a line behind the last"));
        }
        let entry = match line.strip_prefix("over ") {
            Some(rest) => self.over(rest),
            None => self.entry(&line),
        };
        let entry = entry.ok_or_else(|| self.wrong("not a line of a log, or a damaged one"))?;
        self.is_over = matches!(entry, Entry::Over(_));
        Ok(Some(entry))
    }

    fn over(&self, rest: &str) -> Option<Entry> {
        let (_, rest) = rest.split_once(" output=")?;
        let (output, state) = rest.split_once(" state=")?;
        (output == self.digest.to_string()).then(|| Entry::Over(state.to_owned()))
    }

    fn entry(&mut self, line: &str) -> Option<Entry> {
        let (at, rest) = line.split_once(' ')?;
        let (digest, text) = rest.split_once(' ')?;
        let position = match at {
            "end" => At::End,
            number => At::Record(number.parse().ok()?),
        };
        if digest == "state" {
            return Some(Entry::StateBehind(position, text.to_owned()));
        }
        self.digest.add(format!("{at} {text}\n").as_bytes());
        (digest == self.digest.to_string()).then(|| Entry::ResultOf(position, text.to_owned()))
    }

    fn line(&mut self) -> Result<Option<String>> {
        self.line += 1;
        match self.lines.next().transpose() {
            Ok(line) => Ok(line),
            Err(error) if error.kind() == ErrorKind::InvalidData => Err(self.wrong("no text")),
            Err(error) => Err(IoError::new("read", self.place.as_str(), error).into()),
        }
    }

    fn wrong(&self, reason: &str) -> Error {
        let (place, line) = (self.place.clone(), self.line);
        CodecError { place, line, reason: reason.to_owned() }.into()
    }
}
