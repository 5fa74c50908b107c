//! The thread that makes, syncs and removes whole segments.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::disk::opens::Opens;
use crate::disk::worker::Worker;
use crate::io::journal::{SegmentHeader, make_segment, remove_segment, segment_name};
use crate::io::{Directory, Done, Files};

/// What can be asked at a time: one of each.
pub const CHORES: usize = 3;

/// Something to be done with a whole segment.
pub enum Chore {
    /// See [`Storage::make`](crate::io::Storage::make).
    Make(SegmentHeader),
    /// See [`Storage::sync`](crate::io::Storage::sync).
    Sync(u64),
    /// See [`Storage::remove`](crate::io::Storage::remove).
    Remove(u64),
}

/// What came of it, and of a segment that was made the file, if one was to be opened.
pub type Tidied = (Done, Option<File>);

/// The thread, as the shard sees it.
pub type Keeper = Worker<Chore, Tidied>;

/// Starts it. What it makes is opened for writing as `opens` says.
///
/// # Errors
/// What the system said.
pub fn start(path: &Path, opens: Option<Opens>) -> io::Result<Keeper> {
    let directory = Directory::open(path)?;
    let mut house = House { directory, path: path.into(), spare: None, opens };
    Worker::start("journal-keep", CHORES, move |chore| house.tidy(&chore))
}

struct House {
    directory: Directory,
    path: PathBuf,
    spare: Option<u64>,
    opens: Option<Opens>,
}

impl House {
    fn tidy(&mut self, chore: &Chore) -> Tidied {
        match chore {
            Chore::Make(header) => {
                let (result, file) = match self.make(header) {
                    Ok(file) => (Ok(()), file),
                    Err(error) => (Err(error), None),
                };
                (Done::Made { segment: header.number, result }, file)
            }
            Chore::Sync(segment) => {
                let result = Files::sync(&mut self.directory, &segment_name(*segment));
                (Done::Synced { segment: *segment, result }, None)
            }
            Chore::Remove(segment) => {
                let name = segment_name(*segment);
                let length = self.path.join(name).metadata().map(|file| file.len()).ok();
                let Self { directory, spare, .. } = self;
                let result = remove_segment(directory, *segment, length, spare);
                (Done::Removed { segment: *segment, result }, None)
            }
        }
    }

    fn make(&mut self, header: &SegmentHeader) -> io::Result<Option<File>> {
        make_segment(&mut self.directory, header, &mut self.spare)?;
        let path = self.path.join(segment_name(header.number));
        self.opens.map(|opens| opens.open(&path)).transpose()
    }
}
