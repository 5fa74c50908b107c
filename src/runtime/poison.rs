//! What becomes of a record that makes the pipeline fail each time.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use serde::Serialize;

use crate::error::{Error, IoError, Result};
use crate::shard::Place;
use crate::time::Timestamp;

/// What becomes of a record that makes the pipeline fail each time it comes.
///
/// When a shard has failed in a way that may be a record's doing (a panic; a record sent to a shard
/// that there is not; a lookup or sink that refuses it as invalid), the pipeline first goes on from
/// its last checkpoint with care: on one thread, one record at a time, until it is past the place
/// where it failed. To blame is
///
/// - a record that makes it fail twice there, with nothing else under way, on whatever shard;
/// - a record that a step held back, until event time passed on and let it fail: in a window, or
///   for the order of time. It is looked for by leaving records out, in trials of which no sink
///   hears, and found if it came since the last checkpoint.
///
/// The record is set aside as said here, the pipeline goes on without it, and in the end a
/// checkpoint is kept that stands behind it. At full speed none of this costs anything. Results are
/// those of a run in which the record had never come. If results go out before a checkpoint is
/// complete, those since the last one go out again, as after any restart.
///
/// The [restart strategy] is not asked about failures that records are to blame for. It is about
/// all others: what does not come again, what a source itself does, what a lookup brings later or a
/// clock, and what fails at the end of a window for records from before the last checkpoint, or for
/// more than 16 of them. Records are known by their number in their partition, so that a source
/// must give the same ones again.
///
/// ```no_run
/// use millstream::runtime::{Checkpoints, DeadLetter, InMemory, Poison};
/// use millstream::{secs, Config, Engine};
/// # fn main() -> millstream::Result<()> {
/// let engine = Engine::new(Config::default())?
///     .checkpoints(Checkpoints::every(secs(1), InMemory::default()))
///     .poison(Poison::dead_letter(|letter: DeadLetter| eprintln!("{letter:?}")).at_most(100));
/// # let _ = engine;
/// # Ok(())
/// # }
/// ```
///
/// [restart strategy]: crate::runtime::Restart
pub struct Poison {
    policy: Policy,
    left: u64,
}

enum Policy {
    Fail,
    Skip,
    DeadLetter(Box<dyn DeadLetters>),
}

/// How many records are set aside in one run, unless said otherwise.
const MOST: u64 = 1_000;

impl Poison {
    /// The run ends with [`Error::Poison`], which names the record: for whoever would rather look
    /// into it than go on, and not go round in circles.
    pub fn fail() -> Self {
        Self { policy: Policy::Fail, left: MOST }
    }

    /// The run goes on without the record. It is counted in `dead_lettered` and otherwise lost.
    pub fn skip() -> Self {
        Self { policy: Policy::Skip, left: MOST }
    }

    /// The run goes on without the record, which is handed to `letters`.
    pub fn dead_letter(letters: impl DeadLetters + 'static) -> Self {
        Self { policy: Policy::DeadLetter(Box::new(letters)), left: MOST }
    }

    /// Sets aside so many records at most, 1000 unless said; the next one ends the run as with
    /// [`fail`](Self::fail). It may be the pipeline that is wrong, and not the input.
    pub fn at_most(self, records: u64) -> Self {
        Self { left: records, ..self }
    }

    /// This record is to blame for `error`. Returns once it is set aside.
    pub(super) fn set_aside(&mut self, place: &Place, error: &Error) -> Result<()> {
        let letter = DeadLetter::new(place, error);
        let DeadLetter { shard, source, position, cause, .. } = letter.clone();
        let fails = matches!(self.policy, Policy::Fail) || self.left == 0;
        if fails {
            return Err(Error::Poison { shard, step: source, position, cause });
        }
        self.left -= 1;
        match &mut self.policy {
            Policy::DeadLetter(letters) => letters.keep(letter),
            Policy::Skip | Policy::Fail => Ok(()),
        }
    }
}

/// A record that was set aside because it makes the pipeline fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The step that reads the source, as the plan calls it.
    pub source: String,
    /// The shard that reads it.
    pub shard: usize,
    /// The partition, of those that this shard reads.
    pub partition: usize,
    /// Where the record stands in the source's input: in a journal, its sequence. For a source that
    /// does not number what it gives, how many records its partition had given before.
    pub position: u64,
    /// The record's timestamp, as the source gave it.
    pub at: Timestamp,
    /// What the pipeline failed with.
    pub cause: String,
    /// The record, as the source [writes it down](crate::io::Source::write_down); empty if that
    /// cannot, for which there is [`Legible`](crate::io::Legible).
    pub bytes: Vec<u8>,
}

impl DeadLetter {
    fn new(Place { shard, source, given, .. }: &Place, error: &Error) -> Self {
        Self {
            source: source.clone(),
            shard: *shard,
            partition: given.partition,
            position: given.position,
            at: given.at,
            cause: error.to_string(),
            bytes: given.bytes.clone(),
        }
    }
}

/// Where dead letters go. Asked while no shard runs; it may block.
///
/// A letter is kept before the pipeline goes on without the record, and so comes again if the
/// process ends before the next checkpoint is complete: the same source, shard, partition and
/// position are the same letter. Later checkpoints know by themselves which records they leave out.
pub trait DeadLetters: Send {
    /// Keeps a letter. If it cannot, the run ends with the error, and nothing is lost.
    fn keep(&mut self, letter: DeadLetter) -> Result<()>;
}

impl<F: FnMut(DeadLetter) + Send> DeadLetters for F {
    fn keep(&mut self, letter: DeadLetter) -> Result<()> {
        self(letter);
        Ok(())
    }
}

/// Dead letters as the lines of a file, a JSON object each, made durable one by one. A file that is
/// there already is added to.
///
/// The record is under `text` if it is UTF-8, and otherwise under `hex`.
///
/// ```no_run
/// use millstream::runtime::{LetterFile, Poison};
/// # fn main() -> millstream::Result<()> {
/// let poison = Poison::dead_letter(LetterFile::open("dead-letters.jsonl")?);
/// # let _ = poison;
/// # Ok(())
/// # }
/// ```
pub struct LetterFile {
    place: String,
    file: File,
}

/// A line of the file.
#[derive(Serialize)]
struct Line<'a> {
    source: &'a str,
    shard: usize,
    partition: usize,
    position: u64,
    at: i64,
    cause: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hex: Option<String>,
}

impl LetterFile {
    /// Opens the file, or creates it.
    ///
    /// # Errors
    /// What the system said.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let place = path.as_ref().display().to_string();
        let file = open(path.as_ref());
        let file = file.map_err(|error| IoError::new("open", place.as_str(), error))?;
        Ok(Self { place, file })
    }
}

/// Opens the file, whose name is durable then, at the beginning of a line.
fn open(path: &Path) -> io::Result<File> {
    let mut file = File::options().read(true).append(true).create(true).open(path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?;
    let mut last = [b'\n'];
    if file.seek(SeekFrom::End(-1)).is_ok() {
        file.read_exact(&mut last)?;
    }
    if last != *b"\n" {
        // A crash has cut a line off.
        file.write_all(b"\n")?;
    }
    Ok(file)
}

impl DeadLetters for LetterFile {
    fn keep(&mut self, letter: DeadLetter) -> Result<()> {
        let written = self.file.write_all(&line(&letter)).and_then(|()| self.file.sync_data());
        Ok(written.map_err(|error| IoError::new("write", self.place.as_str(), error))?)
    }
}

fn line(letter: &DeadLetter) -> Vec<u8> {
    let text = std::str::from_utf8(&letter.bytes).ok();
    let hex = || letter.bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let line = Line {
        source: &letter.source,
        shard: letter.shard,
        partition: letter.partition,
        position: letter.position,
        at: letter.at.as_nanos(),
        cause: &letter.cause,
        text,
        hex: text.is_none().then(hex),
    };
    // Never the default: it has no map with keys that are no text.
    let mut bytes = serde_json::to_vec(&line).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(bytes: &[u8]) -> DeadLetter {
        DeadLetter {
            source: "source (1 here)".to_owned(),
            shard: 1,
            partition: 0,
            position: 17,
            at: Timestamp(-5),
            cause: "shard 1 panicked: \"no\"".to_owned(),
            bytes: bytes.to_vec(),
        }
    }

    #[test]
    fn a_line_is_an_object_with_the_record_as_text_or_hex() {
        let golden = "{\"source\":\"source (1 here)\",\"shard\":1,\"partition\":0,\"position\":17,\
                      \"at\":-5,\"cause\":\"shard 1 panicked: \\\"no\\\"\",\"text\":\"a\\nb\"}\n";
        assert_eq!(String::from_utf8(line(&letter(b"a\nb"))).unwrap(), golden);
        let line = String::from_utf8(line(&letter(&[0xff, 1]))).unwrap();
        assert!(line.ends_with(",\"hex\":\"ff01\"}\n"), "{line}");
    }

    #[test]
    fn letters_are_added_to_a_file_that_is_there() {
        let name = format!("millstream-letters-{}.jsonl", std::process::id());
        let path = std::env::temp_dir().join(name);
        for _ in 0..2 {
            LetterFile::open(&path).unwrap().keep(letter(b"x")).unwrap();
        }
        let whole = std::fs::read_to_string(&path).unwrap();
        assert_eq!(whole.lines().count(), 2);
        std::fs::write(&path, &whole[..whole.len() - 5]).unwrap();
        LetterFile::open(&path).unwrap().keep(letter(b"x")).unwrap();
        let lines = std::fs::read_to_string(&path).unwrap();
        let lines: Vec<_> = lines.lines().collect();
        assert_eq!((lines.len(), lines[2]), (3, lines[0]), "behind one that was cut off");
        std::fs::remove_file(path).unwrap();
    }
}
