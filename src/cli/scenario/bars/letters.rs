//! Dead letters: malformed lines, counted, remembered and written to a file.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cli::failure::Result;
use crate::cli::shard_thread;
use crate::dataflow::Record;
use crate::error::IoError;
use crate::io::Sink;
use crate::io::csv::{CsvSink, DeadLetter, Line};
use crate::runtime::Monitor;
use crate::time::Timestamp;

/// The columns of a dead letter in a CSV file.
const HEADER: &str = "file,line,reason,text";

/// How many are remembered, to be shown.
const REMEMBERED: usize = 16;

/// What is known about the dead letters of a run.
#[derive(Default)]
pub struct Letters(Mutex<Known>);

#[derive(Default)]
struct Known {
    count: u64,
    first: Vec<String>,
    failure: Option<IoError>,
}

impl Letters {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first few, as notes.
    pub fn shown(&self, most: usize) -> Vec<String> {
        let known = self.lock();
        let shown = known.first.iter().take(most).map(|letter| format!("Dead letter: {letter}"));
        let mut notes: Vec<String> = shown.collect();
        let rest = known.count.saturating_sub(notes.len() as u64);
        if rest > 0 {
            notes.push(format!("and {rest} more; --dead-letters FILE keeps them all."));
        }
        notes
    }

    /// Whether all of them could be written.
    ///
    /// # Errors
    /// What kept them from being written.
    pub fn check(&self) -> Result<()> {
        self.lock().failure.take().map_or(Ok(()), |failure| Err(failure.into()))
    }

    /// Keeps the first failure and stops the run because of it.
    fn fail(&self, failure: IoError, monitor: &Monitor) {
        self.lock().failure.get_or_insert(failure);
        monitor.stop();
    }
}

/// What is called with each dead letter. The file is only touched on the thread of a shard.
///
/// # Errors
/// If the file cannot be created.
pub fn keep(
    letters: &Arc<Letters>,
    path: Option<&Path>,
    monitor: Monitor,
) -> std::result::Result<impl FnMut(DeadLetter) + use<>, IoError> {
    let path = path.filter(|_| shard_thread::is_here());
    let sink = path.map(|path| CsvSink::create(path, HEADER, encode as Encode)).transpose()?;
    let mut file = Kept { sink, letters: letters.clone(), monitor };
    Ok(move |letter| file.take(letter))
}

type Encode = fn(&Record<DeadLetter>, &mut Line<'_>);

fn encode(record: &Record<DeadLetter>, line: &mut Line<'_>) {
    let DeadLetter { error, bytes } = &record.value;
    line.text(&error.place).number(error.line).text(&error.reason);
    line.text(&String::from_utf8_lossy(bytes));
}

/// A file of dead letters, complete when it is dropped.
struct Kept {
    sink: Option<CsvSink<Encode>>,
    letters: Arc<Letters>,
    monitor: Monitor,
}

impl Kept {
    fn take(&mut self, letter: DeadLetter) {
        {
            let mut known = self.letters.lock();
            known.count += 1;
            if known.first.len() < REMEMBERED {
                known.first.push(letter.error.to_string());
            }
        }
        if let Some(sink) = &mut self.sink
            && let Err(failure) = sink.accept(Record::new(Timestamp(0), letter))
        {
            self.sink = None;
            self.letters.fail(failure, &self.monitor);
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        let Some(sink) = &mut self.sink else { return };
        if let Err(failure) = sink.end_of_stream() {
            self.letters.fail(failure, &self.monitor);
        }
    }
}
