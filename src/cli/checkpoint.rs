//! `millstream checkpoint`: which checkpoints there are, what is in them, and whether they are
//! whole.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::failure::{Failure, Result};
use super::journal::Place;
use super::print;
use crate::checkpoint::{Manifest, Store};
use crate::error::{CheckpointError, Error, IoError};
use crate::io::Directory;

/// What can be done with checkpoints. None of it changes them or needs the writer to stop.
#[derive(Subcommand, Clone, Debug)]
pub enum CheckpointCommand {
    /// Print checkpoints and savepoints, a line each, oldest first.
    List(Place),
    /// Print what one holds: its pipeline, and of each shard and step what type and how many bytes.
    Show(One),
    /// Read and check all of them; one that is not whole is an error that names the file.
    Verify(Place),
    /// Copy one, with all its files, into another directory, where it stands by itself.
    Export(ExportArgs),
}

/// Which checkpoint.
#[derive(Args, Clone, Debug)]
pub struct One {
    /// The directory of the checkpoints.
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// The file of its manifest, as `list` prints it [default: that of the newest].
    #[arg(value_name = "MANIFEST")]
    pub manifest: Option<String>,
    /// Print the manifest as it is, in JSON.
    #[arg(long)]
    pub json: bool,
}

/// Which checkpoint, and where to.
#[derive(Args, Clone, Debug)]
pub struct ExportArgs {
    /// The directory of the checkpoints.
    #[arg(value_name = "DIR")]
    pub directory: PathBuf,
    /// The directory that gets the copy; it is created if it is not there.
    #[arg(value_name = "TO")]
    pub to: PathBuf,
    /// The file of its manifest, as `list` prints it [default: that of the newest].
    #[arg(value_name = "MANIFEST")]
    pub manifest: Option<String>,
}

/// Does it.
pub fn run(command: &CheckpointCommand) -> Result<()> {
    match command {
        CheckpointCommand::List(place) => list(&place.directory),
        CheckpointCommand::Show(one) => show(one),
        CheckpointCommand::Verify(place) => verify(&place.directory),
        CheckpointCommand::Export(args) => export(args),
    }
}

type Listed = Vec<(String, std::result::Result<Manifest, CheckpointError>)>;

fn open(directory: &Path) -> Result<(Store<Directory>, Listed)> {
    let place = directory.display().to_string();
    let failed = |cause| Failure::refused(IoError::new("open", place.as_str(), cause));
    let mut store = Store::new(Directory::open(directory).map_err(failed)?, 1);
    let all = store.by_age().map_err(Error::from)?;
    if all.is_empty() {
        let message = format!("{place}: no checkpoint");
        return Err(Failure { message, code: Failure::REFUSED });
    }
    Ok((store, all))
}

fn damaged(error: &CheckpointError) -> Failure {
    Failure { message: error.to_string(), code: Failure::RAN }
}

fn list(directory: &Path) -> Result<()> {
    let (_, all) = open(directory)?;
    let mut text = String::from("epoch  shards         bytes  complete at          manifest\n");
    for (name, manifest) in all {
        let line = match manifest {
            Ok(manifest) => {
                let (Manifest { shards, complete_at, epoch, .. }, bytes) =
                    (&manifest, manifest.state_bytes());
                let at = complete_at.as_nanos();
                format!("{:>5}  {:>6}  {bytes:>12}  {at:<19}  {name}", epoch.0, shards.len())
            }
            Err(error) => format!("    -       -             -  -                    {error}"),
        };
        text.push_str(&line);
        text.push('\n');
    }
    print(&text)
}

/// The one that is asked for, or the newest.
fn chosen(all: Listed, name: Option<&str>) -> Result<(String, Manifest)> {
    let found = match name {
        Some(name) => all.into_iter().find(|(there, _)| there == name),
        None => all.into_iter().next_back(),
    };
    match found {
        Some((name, Ok(manifest))) => Ok((name, manifest)),
        Some((_, Err(error))) => Err(damaged(&error)),
        None => {
            let message = format!("{}: no such manifest", name.unwrap_or_default());
            Err(Failure { message, code: Failure::REFUSED })
        }
    }
}

fn show(one: &One) -> Result<()> {
    let (_, all) = open(&one.directory)?;
    let (name, manifest) = chosen(all, one.manifest.as_deref())?;
    if one.json {
        return print(&format!("{}\n", manifest.to_json()));
    }
    let mut text = format!("{name}: epoch {}, ", manifest.epoch.0);
    if let Some(name) = &manifest.name {
        let _ = write!(text, "savepoint `{name}`, ");
    }
    let at = manifest.complete_at.as_nanos();
    let _ = write!(text, "{} bytes, ", manifest.state_bytes());
    match manifest.bytes_elsewhere() {
        0 => {}
        elsewhere => {
            let _ = write!(text, "{elsewhere} of them in files of checkpoints before it, ");
        }
    }
    let _ = writeln!(text, "complete at {at}");
    let _ = writeln!(text, "keys hashed by seed {}", manifest.hash_seed);
    if let Some(first) = manifest.shards.first() {
        let _ = writeln!(text, "\n{}", first.plan);
    }
    text.push_str("shard  stage         bytes  step: type\n");
    for (shard, file) in manifest.shards.iter().enumerate() {
        for (stage, held) in file.stages.iter().enumerate() {
            let mut begin = 0;
            for part in &held.parts {
                let bytes = part.end - begin;
                begin = part.end;
                let (operator, kind) = (&part.operator, &part.type_name);
                let _ = writeln!(text, "{shard:>5}  {stage:>5}  {bytes:>12}  {operator}: {kind}");
            }
        }
    }
    print(&text)
}

fn verify(directory: &Path) -> Result<()> {
    let (mut store, all) = open(directory)?;
    let count = all.len();
    let mut bytes = 0;
    for (_, manifest) in all {
        let manifest = manifest.map_err(|error| damaged(&error))?;
        store.read(&manifest).map_err(|error| damaged(&error))?;
        bytes += manifest.state_bytes();
    }
    print(&format!("whole: {count} checkpoints, {bytes} bytes of state\n"))
}

fn export(args: &ExportArgs) -> Result<()> {
    let (mut store, all) = open(&args.directory)?;
    let (name, manifest) = chosen(all, args.manifest.as_deref())?;
    store.read(&manifest).map_err(|error| damaged(&error))?;
    let mut to = crate::checkpoint::open(&args.to, usize::MAX).map_err(Error::from)?;
    to.copy(&mut store, &name, &manifest).map_err(Error::from)?;
    let (to, bytes) = (args.to.display(), manifest.state_bytes());
    print(&format!("{name}: {bytes} bytes of state, whole, copied to {to}\n"))
}
