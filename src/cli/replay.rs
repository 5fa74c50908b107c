//! `millstream replay`: a journal of trades through the pipeline of `bars` again, and where two
//! such replays part.
//!
//! A pipeline of one's own is run again by [`Rerun`] in a program of a few lines, and its logs can
//! be compared here as well.

mod compare;
mod trades;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::failure::{Failure, Result};
use super::journal;
use super::print;
use super::values;
use crate::checkpoint::{self, Store, Taken};
use crate::config::{Config, Shards};
use crate::dataflow::Epoch;
use crate::error::{CheckpointError, Error, IoError, JournalError};
use crate::io::Directory;
use crate::io::journal::{Reader, Sequence};
use crate::metrics::Counter;
use crate::shard::Snapshot;
use crate::sim::{OutputLog, Reran, Rerun};
use crate::time::{Clock, SystemClock, secs};

/// The flags of `millstream replay`.
#[derive(Args, Clone, Debug)]
pub struct ReplayArgs {
    /// The journal's directory. Its records are lines of text: `ts,key,price,qty`, with the time in
    /// nanoseconds since 1970.
    #[arg(long, value_name = "DIR", required_unless_present = "compare")]
    pub journal: Option<PathBuf>,
    /// Stop behind the record of this sequence, with windows left open [default: go on to the end
    /// of the journal, which closes them].
    #[arg(long, value_name = "SEQ")]
    pub until: Option<u64>,
    /// Run on so many shards, all on one thread [default: 1, with --checkpoint as it was taken].
    #[arg(long, value_name = "N")]
    pub shards: Option<usize>,
    /// Go on from the newest checkpoint in this directory instead of the first record.
    #[arg(long, value_name = "DIR")]
    pub checkpoint: Option<PathBuf>,
    /// Keep a checkpoint in this directory at the end, to go on from.
    #[arg(long, value_name = "DIR")]
    pub save: Option<PathBuf>,
    /// Write the log to this file: each result behind the sequence of the record that it came of
    /// and a digest of all results so far; `-` is standard output.
    #[arg(long, value_name = "FILE", default_value = "-")]
    pub output: PathBuf,
    /// Also log a digest of all that the shards hold, every so many records: two builds can be seen
    /// to part there before their results do.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub state_every: Option<u64>,

    /// The length of a window [default: 1s].
    #[arg(long, value_name = "SPAN", help_heading = "Windows", value_parser = values::length)]
    pub window: Option<Duration>,
    /// A window begins every so often [default: the length of a window].
    #[arg(long, value_name = "SPAN", help_heading = "Windows", value_parser = values::length)]
    pub slide: Option<Duration>,
    /// How far a record may lie behind the latest one before it [default: 0s].
    #[arg(long, value_name = "SPAN", help_heading = "Windows", value_parser = values::span)]
    pub disorder: Option<Duration>,

    /// Compare two logs and name the first difference, with the records behind it if --journal says
    /// where they are. Ends with 1 if there is one.
    #[arg(long, num_args = 2, value_names = ["A", "B"], help_heading = "Comparison")]
    #[arg(conflicts_with_all = ["until", "shards", "checkpoint", "save", "output", "state_every"])]
    #[arg(conflicts_with_all = ["window", "slide", "disorder"])]
    pub compare: Vec<PathBuf>,
    /// Print so many records behind a difference at most, the last of them.
    #[arg(long, value_name = "N", help_heading = "Comparison", default_value_t = 20)]
    pub records: usize,
}

/// Windows unless `--window` says so.
const WINDOW: Duration = secs(1);

/// How many checkpoints `--save` keeps.
const KEPT: usize = 3;

/// Does it.
pub fn run(args: &ReplayArgs) -> Result<()> {
    if let [first, second] = &args.compare[..] {
        return compare::run(first, second, args.journal.as_deref(), args.records);
    }
    let Some(directory) = &args.journal else {
        let message = "--journal: it says what is replayed".to_owned();
        return Err(Failure { message, code: Failure::REFUSED });
    };
    let (config, epoch, from) = beginning(args)?;
    let rerun = Rerun::with_config(config.clone());
    let rerun = args.until.into_iter().fold(rerun, Rerun::until);
    let rerun = args.state_every.into_iter().fold(rerun, Rerun::state_every);
    let rerun = from.into_iter().fold(rerun, Rerun::from);
    // What is wrong with the journal as such is told before a file is touched.
    let mut reader = journal::open(directory)?;
    if let Some(until) = args.until {
        find(&mut reader, Sequence(until))?;
    }
    let log = open(&args.output)?;
    let reran = rerun.run(&log, |p| trades::build(p, directory, args, &log))?;
    if let Some(directory) = &args.save {
        save(directory, epoch, &config, &reran)?;
    }
    match args.output.as_os_str() == "-" {
        true => Ok(()),
        false => print(&summary(&reran, config.shards.count())),
    }
}

/// Finds out whether there is such a record. What is damaged the replay will tell, once it has come
/// so far.
fn find(reader: &mut Reader<Directory>, wanted: Sequence) -> Result<()> {
    let first = reader.position().0;
    let gone = match reader.seek(wanted).and_then(|()| reader.read().map(|it| it.is_none())) {
        Err(error @ JournalError::Gone { .. }) => error,
        Ok(true) => {
            let (wanted, end) = (wanted.0, reader.position().0);
            JournalError::Gone { wanted, first, end }
        }
        _ => return Ok(()),
    };
    Err(Failure::refused(gone))
}

/// What the replay begins with: the config, and the checkpoint with its number.
fn beginning(args: &ReplayArgs) -> Result<(Config, Epoch, Option<Vec<Snapshot>>)> {
    let Some(directory) = &args.checkpoint else {
        return Ok((Config::simulation(args.shards.unwrap_or(1)), Epoch(0), None));
    };
    let place = directory.display().to_string();
    let failed = |cause| Failure::refused(IoError::new("open", place.as_str(), cause));
    let mut store = Store::new(Directory::open(directory).map_err(failed)?, 1);
    let newest = store.newest(|_| Ok(())).map_err(Error::from)?;
    let Some((manifest, states)) = newest else {
        let message = format!("{place}: no checkpoint");
        return Err(Failure { message, code: Failure::REFUSED });
    };
    let shards = Shards::Count(args.shards.unwrap_or(states.len()));
    let config = Config { shards, hash_seed: manifest.hash_seed, ..Config::simulation(1) };
    Ok((config, manifest.epoch, Some(states.into_iter().map(Snapshot::from).collect())))
}

fn open(path: &Path) -> Result<OutputLog> {
    if path.as_os_str() == "-" {
        return Ok(OutputLog::to("standard output", std::io::stdout()));
    }
    let place = path.display().to_string();
    let failed = |cause| Failure::refused(IoError::new("create", place.as_str(), cause));
    let file = File::create(path).map_err(failed)?;
    Ok(OutputLog::to(place, file))
}

fn save(directory: &Path, epoch: Epoch, config: &Config, reran: &Reran) -> Result<()> {
    let snapshots = match &reran.snapshots {
        Ok(snapshots) => snapshots.iter().cloned(),
        Err(error) => {
            return Err(Failure { message: error.to_string(), code: Failure::RAN });
        }
    };
    let taken = Taken {
        epoch: Epoch(epoch.0 + 1),
        name: None,
        hash_seed: config.hash_seed,
        complete_at: SystemClock::new().now(),
        shards: snapshots.map(Snapshot::into).collect(),
    };
    let kept = checkpoint::open(directory, KEPT).and_then(|mut store| store.keep(&taken));
    kept.map(drop).map_err(|error: CheckpointError| Error::from(error).into())
}

fn summary(reran: &Reran, shards: usize) -> String {
    let Reran { records, results, output, .. } = reran;
    let last = reran.last.map_or(String::new(), |last| format!(", the last is {last}"));
    let malformed = reran.counters.get(Counter::DeadLettered);
    let state = reran.state.map_or("none".to_owned(), |state| state.to_string());
    format!(
        "replayed: {records} records{last}, {malformed} beside them are no trades\n\
         output {output} of {results} results\n\
         state {state} on {shards} shards\n"
    )
}
