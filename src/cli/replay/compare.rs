//! Where two replays part, and the records behind that.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use crate::cli::failure::{Failure, Result};
use crate::cli::{journal, print};
use crate::error::{Error, IoError};
use crate::io::journal::Sequence;
use crate::sim::{At, Comparison, Difference, LogReader, compare};

/// Compares two logs, and prints what came of it.
pub fn run(first: &Path, second: &Path, journal: Option<&Path>, records: usize) -> Result<()> {
    let difference = match compare(open(first)?, open(second)?)? {
        Comparison::Same { results } => {
            return print(&format!("the same: {results} results\n"));
        }
        Comparison::Differ(difference) => difference,
    };
    print(&said(&difference, first, second))?;
    if let Some(directory) = journal {
        print(&behind(&difference, directory, records)?)?;
    }
    let (first, second) = (first.display(), second.display());
    let at = by(difference.at);
    let message = format!("{first} and {second} differ, first {at}");
    Err(Failure { message, code: Failure::RAN })
}

fn open(path: &Path) -> Result<LogReader<BufReader<File>>> {
    let place = path.display().to_string();
    let file = File::open(path)
        .map_err(|cause| Failure::refused(IoError::new("open", place.as_str(), cause)))?;
    Ok(LogReader::new(place, BufReader::new(file))?)
}

/// Which record a difference came of, in words.
fn by(at: At) -> String {
    match at {
        At::Record(sequence) => format!("by record {sequence}"),
        At::End => "at the end of the input".to_owned(),
    }
}

fn said(difference: &Difference, first: &Path, second: &Path) -> String {
    let Difference { after, at, is_state, .. } = difference;
    let what = if *is_state { "the state" } else { "a result" };
    let mut text = format!("first difference: {what} {}\n", by(*at));
    if let Some(after) = after {
        let _ = writeln!(text, "they agree to the end of what came {}", by(*after));
    }
    for (path, said) in [(first, &difference.first), (second, &difference.second)] {
        let said = said.as_deref().unwrap_or("nothing");
        let _ = writeln!(text, "  {}: {said}", path.display());
    }
    text
}

/// The records that came since the logs agreed.
fn behind(difference: &Difference, directory: &Path, most: usize) -> Result<String> {
    let mut reader = journal::open(directory)?;
    let failed = |error| Failure::from(Error::from(error));
    match difference.after {
        Some(At::Record(sequence)) => reader.seek(Sequence(sequence + 1)).map_err(failed)?,
        Some(At::End) => return Ok("no records are behind it\n".to_owned()),
        None => {}
    }
    let (mut lines, mut left_out) = (VecDeque::new(), 0);
    while let Some(entry) = reader.read().map_err(failed)? {
        if At::Record(entry.sequence.0) > difference.at {
            break;
        }
        let mut line = String::new();
        journal::line_of(&mut line, entry, false);
        lines.push_back(line);
        if lines.len() > most {
            lines.pop_front();
            left_out += 1;
        }
    }
    let mut text = "records since then:\n".to_owned();
    if left_out > 0 {
        let _ = writeln!(text, "({left_out} before these)");
    }
    text.extend(lines);
    Ok(text)
}
