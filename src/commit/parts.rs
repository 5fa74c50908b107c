//! A directory of files, one for each epoch and shard.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use crate::commit::Elsewhere;
use crate::dataflow::{Epoch, Record};
use crate::error::IoError;
use crate::io::{AtCheckpoint, Commit};
use crate::state::Stored;

/// How many records a sink of parts holds between two checkpoints.
const RECORDS_MAX: usize = 1 << 24;

/// Files of results: `NAME-EPOCH-SHARD`, each of them there as a whole or not at all.
///
/// In the order of their names the files hold what came of each epoch in turn; those of one shard
/// keep the order of its records. An epoch without records has no file. A file is written under
/// another name, synced, renamed, and its directory synced, so that neither a crash nor a power cut
/// leaves half of one.
///
/// ```
/// use millstream::commit::Parts;
/// use millstream::io::MemorySource;
/// use millstream::{Record, Simulation, Timestamp};
/// # fn main() -> millstream::Result<()> {
/// let directory = std::env::temp_dir().join(format!("millstream-parts-{}", std::process::id()));
/// # std::fs::remove_dir_all(&directory).ok();
/// let parts = Parts::new(&directory, "sums")?;
/// Simulation::new(1, 7).crashing(2).run(|p| {
///     let numbers = (0..100).map(|n| Record::new(Timestamp(n), n));
///     p.source(MemorySource::new(numbers.collect::<Vec<_>>()))
///         .key_by(|n| n % 10)
///         .reduce(|sum, n| *sum += n)
///         .sink(parts.sink(p.shard(), |record: &Record<(i64, i64)>, out: &mut Vec<u8>| {
///             let (key, sum) = record.value;
///             out.extend_from_slice(format!("{key} {sum}\n").as_bytes());
///         }));
///     Ok(())
/// })?;
/// let lines: usize = parts.files()?.iter().map(|file| {
///     std::fs::read_to_string(file).unwrap().lines().count()
/// }).sum();
/// assert_eq!(lines, 100, "none lost, none twice");
/// # std::fs::remove_dir_all(&directory).ok();
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Parts {
    directory: PathBuf,
    name: String,
}

impl Parts {
    /// Files of this name in a directory, which is made if it is not there.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn new(directory: impl AsRef<Path>, name: &str) -> Result<Self, IoError> {
        let directory = directory.as_ref().to_owned();
        fs::create_dir_all(&directory)
            .map_err(|error| IoError::new("create", directory.display().to_string(), error))?;
        Ok(Self { directory, name: name.to_owned() })
    }

    /// A sink for one shard. `encode` writes the bytes of a record behind those that are there.
    pub fn sink<T: Clone + Send + Stored>(
        &self,
        shard: usize,
        encode: impl FnMut(&Record<T>, &mut Vec<u8>) + Send + 'static,
    ) -> AtCheckpoint<T, Elsewhere<T>> {
        let parts = PartsOf { parts: self.clone(), shard, encode };
        AtCheckpoint::new(Elsewhere::new(move || Ok(parts)), RECORDS_MAX)
    }

    /// The files that are there, in order.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn files(&self) -> Result<Vec<PathBuf>, IoError> {
        let listed = || -> io::Result<Vec<PathBuf>> {
            let files = fs::read_dir(&self.directory)?.collect::<io::Result<Vec<_>>>()?;
            let prefix = format!("{}-", self.name);
            let is_ours = |path: &PathBuf| {
                path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&prefix))
            };
            let mut files: Vec<_> = files.iter().map(fs::DirEntry::path).filter(is_ours).collect();
            files.sort();
            Ok(files)
        };
        listed().map_err(|error| IoError::new("list", self.directory.display().to_string(), error))
    }

    fn path(&self, Epoch(epoch): Epoch, shard: usize) -> PathBuf {
        self.directory.join(format!("{}-{epoch:012}-{shard:03}", self.name))
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        match fs::read(path) {
            Ok(there) if there == bytes => return Ok(()),
            Ok(_) => return Err(io::Error::new(ErrorKind::AlreadyExists, "another run wrote it")),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(path.file_name().unwrap_or_default());
        let hidden = self.directory.join(hidden);
        let mut file = File::create(&hidden)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&hidden, path)?;
        File::open(&self.directory)?.sync_all()
    }
}

/// The files of one shard.
struct PartsOf<F> {
    parts: Parts,
    shard: usize,
    encode: F,
}

impl<T, F: FnMut(&Record<T>, &mut Vec<u8>) + 'static> Commit<T> for PartsOf<F> {
    fn commit(&mut self, epoch: Epoch, records: Vec<Record<T>>) -> Result<(), IoError> {
        self.commit_of(self.shard, epoch, records)
    }

    fn commit_of(
        &mut self,
        shard: usize,
        epoch: Epoch,
        records: Vec<Record<T>>,
    ) -> Result<(), IoError> {
        if records.is_empty() {
            return Ok(());
        }
        let (path, mut bytes) = (self.parts.path(epoch, shard), Vec::new());
        records.iter().for_each(|record| (self.encode)(record, &mut bytes));
        let written = self.parts.write(&path, &bytes);
        written.map_err(|error| IoError::new("write", path.display().to_string(), error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;

    #[test]
    fn an_epoch_is_written_once_and_another_run_is_told_apart() {
        let directory =
            std::env::temp_dir().join(format!("millstream-{}-part", std::process::id()));
        let parts = Parts::new(&directory, "n").unwrap();
        let encode = |record: &Record<u8>, out: &mut Vec<u8>| out.push(record.value);
        let mut of_shard = PartsOf { parts: parts.clone(), shard: 1, encode };
        let mut commit = |epoch, values: &[u8]| {
            let records = values.iter().map(|value| Record::new(Timestamp(0), *value));
            of_shard.commit(Epoch(epoch), records.collect()).map_err(|error| error.to_string())
        };
        assert_eq!(commit(10, &[1, 2]), Ok(()));
        assert_eq!((commit(9, &[3]), commit(11, &[])), (Ok(()), Ok(())));
        assert_eq!(commit(10, &[1, 2]), Ok(()), "again, after a crash");
        assert!(commit(10, &[1]).unwrap_err().ends_with("another run wrote it"));
        let files = parts.files().unwrap();
        let read = files.iter().map(|file| fs::read(file).unwrap());
        assert_eq!(read.collect::<Vec<_>>(), [vec![3], vec![1, 2]]);
        assert!(files[1].ends_with("n-000000000010-001"));
        fs::remove_dir_all(directory).unwrap();
    }
}
