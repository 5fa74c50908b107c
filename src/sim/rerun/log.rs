//! What comes of a rerun, written down as text.

use std::cell::RefCell;
use std::fmt;
use std::io::Write;
use std::rc::Rc;

use crate::dataflow::{Record, Saved};
use crate::error::IoError;
use crate::io::Sink;
use crate::sim::rerun::Digest;

/// Which record a result came of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum At {
    /// The record that stands at this position of the input: in a journal, its sequence.
    Record(u64),
    /// The end of the input, behind the last record.
    End,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record(position) => position.fmt(f),
            Self::End => f.write_str("end"),
        }
    }
}

/// The log of a rerun: a line for each result, with the record that it came of.
///
/// Clones are the same log: one goes into the pipeline, as a [`sink`](Self::sink) of each stream
/// whose results are to be compared. The lines are plain text:
///
/// ```text
/// millstream-rerun 1 shards=2
/// 17 9ae16a3b2f90404f K3,0,1000,4
/// 17 c3a5c85c97cb3127 K4,0,1000,9
/// 20 state b492b66fbe98f273
/// over results=2 output=c3a5c85c97cb3127 state=9b2a27c8e1c2f3d0
/// ```
///
/// In front of a result stands the position of the record that it came of (`end`, if it came of the
/// end of the input) and the [`Digest`] of all results so far. A log without its last line is of a
/// run that has failed or goes on.
#[derive(Clone)]
pub struct OutputLog(Rc<RefCell<Lines>>);

struct Lines {
    to: To,
    /// Results of the record that is being worked on.
    waiting: Vec<String>,
    digest: Digest,
    results: u64,
}

enum To {
    Memory(Vec<u8>),
    Writer(String, Box<dyn Write>),
}

impl OutputLog {
    /// A log in memory: see [`text`](Self::text).
    pub fn in_memory() -> Self {
        Self::new(To::Memory(Vec::new()))
    }

    /// A log that goes to a file or the like; `place` is what errors call it. Brings its own
    /// buffer.
    pub fn to(place: impl Into<String>, writer: impl Write + 'static) -> Self {
        let writer = std::io::BufWriter::with_capacity(64 << 10, writer);
        Self::new(To::Writer(place.into(), Box::new(writer)))
    }

    fn new(to: To) -> Self {
        let (waiting, digest) = (Vec::new(), Digest::default());
        Self(Rc::new(RefCell::new(Lines { to, waiting, digest, results: 0 })))
    }

    /// The log so far, if it is in memory.
    pub fn text(&self) -> String {
        match &self.0.borrow().to {
            To::Memory(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            To::Writer(..) => String::new(),
        }
    }

    /// A sink into this log; `write` appends the text of a result. Line breaks in it are written as
    /// `\n`.
    pub fn sink<T, F>(&self, write: F) -> LogSink<T, F>
    where
        F: FnMut(&Record<T>, &mut String) + 'static,
    {
        LogSink { log: self.clone(), write, instead_of: None }
    }

    pub(super) fn begin(&self, shards: usize) -> Result<(), IoError> {
        self.0.borrow_mut().line(&format!("millstream-rerun 1 shards={shards}"))
    }

    /// The results so far came of this record.
    pub(super) fn seal(&self, at: At) -> Result<(), IoError> {
        let mut lines = self.0.borrow_mut();
        for text in std::mem::take(&mut lines.waiting) {
            lines.digest.add(format!("{at} {text}\n").as_bytes());
            lines.results += 1;
            let digest = lines.digest;
            lines.line(&format!("{at} {digest} {text}"))?;
        }
        Ok(())
    }

    pub(super) fn state(&self, at: At, digest: Digest) -> Result<(), IoError> {
        self.0.borrow_mut().line(&format!("{at} state {digest}"))
    }

    /// Ends the log. Returns how many results there are, and their digest.
    pub(super) fn finish(&self, state: Option<Digest>) -> Result<(u64, Digest), IoError> {
        let mut lines = self.0.borrow_mut();
        let (results, output) = (lines.results, lines.digest);
        let state = state.map_or("none".to_owned(), |state| state.to_string());
        lines.line(&format!("over results={results} output={output} state={state}"))?;
        lines.flush()?;
        Ok((results, output))
    }

    /// Writes out what is in its buffer.
    pub(super) fn flush(&self) -> Result<(), IoError> {
        self.0.borrow_mut().flush()
    }
}

impl Lines {
    fn line(&mut self, text: &str) -> Result<(), IoError> {
        match &mut self.to {
            To::Memory(bytes) => {
                bytes.extend_from_slice(text.as_bytes());
                bytes.push(b'\n');
                Ok(())
            }
            To::Writer(place, writer) => writeln!(writer, "{text}")
                .map_err(|error| IoError::new("write", place.as_str(), error)),
        }
    }

    fn flush(&mut self) -> Result<(), IoError> {
        match &mut self.to {
            To::Memory(_) => Ok(()),
            To::Writer(place, writer) => {
                writer.flush().map_err(|error| IoError::new("write", place.as_str(), error))
            }
        }
    }
}

/// A sink into an [`OutputLog`].
pub struct LogSink<T, F> {
    log: OutputLog,
    write: F,
    instead_of: Option<Box<dyn Sink<T>>>,
}

impl<T, F> LogSink<T, F> {
    /// It stands where a checkpoint of the live pipeline has this sink, which is given nothing: it
    /// knows what it keeps there. For sinks that keep something, as
    /// [`AtCheckpoint`](crate::io::AtCheckpoint) does.
    pub fn instead_of(self, sink: impl Sink<T>) -> Self {
        Self { instead_of: Some(Box::new(sink)), ..self }
    }
}

impl<T: 'static, F: FnMut(&Record<T>, &mut String) + 'static> Sink<T> for LogSink<T, F> {
    fn accept(&mut self, record: Record<T>) -> Result<(), IoError> {
        let mut text = String::new();
        (self.write)(&record, &mut text);
        if text.contains(['\\', '\n', '\r']) {
            text = text.replace('\\', "\\\\").replace('\n', "\\n").replace('\r', "\\r");
        }
        self.log.0.borrow_mut().waiting.push(text);
        Ok(())
    }

    fn save(&self, out: &mut Saved) {
        self.instead_of.iter().for_each(|sink| sink.save(out));
    }

    /// What that sink held back is shown by whoever has it, or was.
    fn load(&mut self, from: &mut Saved) {
        self.instead_of.iter_mut().for_each(|sink| sink.load(from));
    }
}
