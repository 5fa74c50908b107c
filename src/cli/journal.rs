//! `millstream journal`: what is in a journal, and whether it is whole.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::failure::{Failure, Result};
use super::print;
use crate::disk;
use crate::error::{Error, IoError, JournalError};
use crate::io::Directory;
use crate::io::journal::{End, Entry, Reader, Sequence};

/// What can be done with a journal. None of it changes anything or needs the writer to stop.
#[derive(Subcommand, Clone, Debug)]
pub enum JournalCommand {
    /// Read and check everything; says what kind of end there is.
    ///
    /// A torn tail is no damage: it was never durable. Anything else that is not whole is an error
    /// that names the file, the byte and the record, and everything before it is counted.
    Verify(Place),
    /// Print records, a line each: sequence, timestamp in nanoseconds, length, bytes.
    Cat(CatArgs),
    /// Print the segments, a line each, from their first blocks alone.
    Stat(Place),
}

/// Where a journal is.
#[derive(Args, Clone, Debug)]
pub struct Place {
    /// The journal's directory.
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
}

/// Which records are printed.
#[derive(Args, Clone, Debug)]
pub struct CatArgs {
    /// The journal's directory.
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// Begin at the record of this sequence.
    #[arg(long, value_name = "N", conflicts_with = "at")]
    pub from: Option<u64>,
    /// Begin at the first record with this timestamp or a later one, in nanoseconds since 1970.
    #[arg(long, value_name = "NS", allow_hyphen_values = true)]
    pub at: Option<i64>,
    /// Print so many records at most.
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    /// Print the bytes in hexadecimal also where they are text.
    #[arg(long)]
    pub hex: bool,
}

/// Text that is printed at once, so that a long journal takes no more memory than this.
const PRINTED_AT_ONCE: usize = 64 << 10;

/// Does it.
pub fn run(command: &JournalCommand) -> Result<()> {
    match command {
        JournalCommand::Verify(place) => verify(&place.directory),
        JournalCommand::Cat(args) => cat(args),
        JournalCommand::Stat(place) => stat(&place.directory),
    }
}

/// Opens a journal to be read.
///
/// # Errors
/// If there is none.
pub(super) fn open(directory: &Path) -> Result<Reader<Directory>> {
    let place = directory.display().to_string();
    let failed = |cause| Failure::refused(IoError::new("open", place.as_str(), cause));
    let reader = Reader::open(Directory::open(directory).map_err(failed)?)
        .map_err(|error| damaged(&error, None))?;
    let reader = if disk::is_being_written(directory) { reader.follow() } else { reader };
    let catalog = reader.catalog();
    if catalog.segments.is_empty() && catalog.lost.is_none() {
        let message = format!("{place}: no journal: there are no segments");
        return Err(Failure { message, code: Failure::REFUSED });
    }
    Ok(reader)
}

/// An error in a journal, and how much there is before it.
fn damaged(error: &JournalError, before: Option<u64>) -> Failure {
    let before = before.map_or(String::new(), |n| format!("; {n} records before it are whole"));
    Failure { message: format!("{error}{before}"), code: Failure::RAN }
}

fn verify(directory: &Path) -> Result<()> {
    let mut reader = open(directory)?;
    let (mut records, mut bytes, mut first) = (0u64, 0u64, None);
    // A writer that is at work may be faster: what was there at the beginning is enough.
    let there: u64 = reader.catalog().segments.iter().map(|segment| segment.length).sum();
    let end = loop {
        match reader.read() {
            Ok(Some(_)) if bytes > there => break End::Open,
            Ok(Some(Entry { sequence, bytes: record, .. })) => {
                first.get_or_insert(sequence);
                (records, bytes) = (records + 1, bytes + record.len() as u64);
            }
            Ok(None) => break reader.end().map_err(|error| damaged(&error, Some(records)))?,
            Err(error) => return Err(damaged(&error, Some(records))),
        }
    };
    let range = match first {
        Some(first) => format!(", {first} to before {}", reader.position()),
        None => String::new(),
    };
    let segments = reader.catalog().segments.len();
    let end = match disk::is_being_written(directory) {
        true => {
            "its writer is at work; what it has not said to be durable was not looked at".into()
        }
        false => words_of(end),
    };
    print(&format!(
        "whole: {records} records{range}, {bytes} bytes, in {segments} segments\nend: {end}\n"
    ))
}

fn words_of(end: End) -> String {
    match end {
        End::Closed => "closed".to_owned(),
        End::Open => "not closed; nothing was being written".to_owned(),
        End::Torn { segment, offset, groups } => format!(
            "torn at byte {offset} of segment {segment}, {groups} writes behind it are of no use; \
             none of that was durable"
        ),
    }
}

fn cat(args: &CatArgs) -> Result<()> {
    let mut reader = open(&args.directory)?;
    if let Some(from) = args.from {
        reader.seek(Sequence(from)).map_err(Error::from)?;
    }
    if let Some(at) = args.at {
        reader.seek_time(crate::time::Timestamp(at)).map_err(|error| damaged(&error, None))?;
    }
    let (mut text, mut left) = (String::new(), args.count.unwrap_or(u64::MAX));
    while left > 0 {
        let entry = match reader.read() {
            Ok(Some(entry)) => entry,
            Ok(None) => break,
            Err(error) => {
                print(&text)?;
                return Err(damaged(&error, None));
            }
        };
        line_of(&mut text, entry, args.hex);
        left -= 1;
        if text.len() > PRINTED_AT_ONCE {
            print(&text)?;
            text.clear();
        }
    }
    print(&text)?;
    match left {
        // What was asked for has been printed.
        0 => Ok(()),
        _ => reader.end().map(|_| ()).map_err(|error| damaged(&error, None)),
    }
}

/// Appends what `cat` prints of a record.
pub(super) fn line_of(text: &mut String, Entry { sequence, at, bytes }: Entry<'_>, hex: bool) {
    let _ = write!(text, "{sequence} {} {} ", at.as_nanos(), bytes.len());
    let is_plain = |text: &&str| text.chars().all(|c| !c.is_control());
    match std::str::from_utf8(bytes).ok().filter(is_plain).filter(|_| !hex) {
        Some(plain) => text.push_str(plain),
        None => bytes.iter().for_each(|byte| _ = write!(text, "{byte:02x}")),
    }
    text.push('\n');
}

fn stat(directory: &Path) -> Result<()> {
    let reader = open(directory)?;
    let catalog = reader.catalog();
    let journal = catalog.journal().unwrap_or_default();
    let mut text = format!("journal {journal:016x}\n");
    if let Some(how) = disk::written_by(directory) {
        let _ = writeln!(text, "written by {how}");
    }
    text.push_str("segment               bytes  opening  first record  written at\n");
    for segment in &catalog.segments {
        let (first, written) = match segment.first {
            Some(first) => (first.first.to_string(), first.written.as_nanos().to_string()),
            None => ("none yet".to_owned(), String::new()),
        };
        let (name, epoch) = (segment.name(), segment.header.epoch);
        let line = format!("{name} {:>8} {epoch:>8}  {first:>12}  {written}", segment.length);
        text.push_str(line.trim_end());
        text.push('\n');
    }
    print(&text)?;
    match catalog.broken {
        Some(broken) => Err(damaged(&broken.error(journal, reader.position()), None)),
        None => Ok(()),
    }
}
