//! Checkpoints in an object store: S3, Google Cloud Storage, Azure, a local directory, memory.

use std::io::{self, ErrorKind};
use std::sync::Arc;

pub use object_store;
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use tokio::runtime::{Builder, Runtime};

use crate::checkpoint::Store;
use crate::error::{CheckpointError, IoError};
use crate::io::Files;

/// What is longer is uploaded in parts of so many bytes.
const PART: usize = 16 << 20;

/// The objects under a prefix, as the files of a directory. Every call waits for the store, on a
/// thread of its own: whoever keeps checkpoints does so on the control thread, never on a shard.
///
/// An object is there as a whole or not at all, and durable when the store says that it is written,
/// so there is nothing to sync; a [`LocalFileSystem`] must be told to by `with_fsync(true)`. What
/// is renamed is put once more under its last name, and only if nothing has that: a second writer
/// under the same prefix, whom no lock keeps away here, is refused at its first checkpoint of an
/// epoch that is there.
///
/// [`LocalFileSystem`]: object_store::local::LocalFileSystem
#[derive(Debug)]
pub struct Objects {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    runtime: Runtime,
}

/// Opens a place in an object store for checkpoints, of which the newest `keep` are kept. There
/// must be one writer at a time, which nothing locks out.
///
/// ```
/// use std::sync::Arc;
///
/// use millstream::checkpoint::{self, object_store::memory::InMemory};
/// use millstream::runtime::Checkpoints;
/// use millstream::secs;
/// # fn main() -> millstream::Result<()> {
/// let store = checkpoint::in_objects(Arc::new(InMemory::new()), "bars/checkpoints", 3)?;
/// let checkpoints = Checkpoints::every(secs(10), store);
/// # let _ = checkpoints;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// A prefix that is no path, or a host that gives no thread.
pub fn in_objects(
    store: Arc<dyn ObjectStore>,
    prefix: &str,
    keep: usize,
) -> Result<Store<Objects>, CheckpointError> {
    let failed = |error| IoError::new("open", prefix, error);
    let path = Path::parse(prefix)
        .map_err(|error| failed(io::Error::new(ErrorKind::InvalidInput, error)))?;
    let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
    Ok(Store::new(Objects { store, prefix: path, runtime }, keep))
}

impl Objects {
    fn path(&self, name: &str) -> Path {
        self.prefix.clone().join(name)
    }

    /// Waits for the store. On another thread, as this one may be inside of a runtime.
    fn wait<T: Send>(
        &self,
        work: impl Future<Output = object_store::Result<T>> + Send,
    ) -> io::Result<T> {
        let done = std::thread::scope(|scope| {
            let runtime = &self.runtime;
            scope.spawn(move || runtime.block_on(work)).join()
        });
        match done {
            Ok(result) => result.map_err(into_io),
            Err(_) => Err(io::Error::other("the object store panicked")),
        }
    }
}

fn into_io(error: object_store::Error) -> io::Error {
    let kind = match &error {
        object_store::Error::NotFound { .. } => ErrorKind::NotFound,
        object_store::Error::AlreadyExists { .. } => ErrorKind::AlreadyExists,
        object_store::Error::PermissionDenied { .. } => ErrorKind::PermissionDenied,
        _ => ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

fn unsupported<T>() -> io::Result<T> {
    Err(io::Error::new(ErrorKind::Unsupported, "objects are written as a whole"))
}

/// Puts an object, in parts if it is long.
async fn put(store: &dyn ObjectStore, path: &Path, pieces: &[&[u8]]) -> object_store::Result<()> {
    if pieces.iter().map(|piece| piece.len()).sum::<usize>() <= PART {
        return store.put(path, PutPayload::from(pieces.concat())).await.map(drop);
    }
    let mut upload = store.put_multipart(path).await?;
    let done = put_parts(&mut *upload, pieces).await;
    if done.is_err() {
        // What was uploaded would stay and cost; the error that led here is the one to tell.
        let _ = upload.abort().await;
    }
    done
}

/// All parts but the last are of the same length, which some stores ask for.
async fn put_parts(upload: &mut dyn MultipartUpload, pieces: &[&[u8]]) -> object_store::Result<()> {
    let mut part = Vec::with_capacity(PART);
    for mut piece in pieces.iter().copied() {
        while !piece.is_empty() {
            let (now, later) = piece.split_at(piece.len().min(PART - part.len()));
            part.extend_from_slice(now);
            piece = later;
            if part.len() == PART {
                let full = std::mem::replace(&mut part, Vec::with_capacity(PART));
                upload.put_part(full.into()).await?;
            }
        }
    }
    if !part.is_empty() {
        upload.put_part(part.into()).await?;
    }
    upload.complete().await.map(drop)
}

impl Files for Objects {
    fn list(&mut self) -> io::Result<Vec<(String, u64)>> {
        let listed = self.wait(self.store.list_with_delimiter(Some(&self.prefix)))?;
        let named = |object: object_store::ObjectMeta| {
            object.location.filename().map(|name| (name.to_owned(), object.size))
        };
        Ok(listed.objects.into_iter().filter_map(named).collect())
    }

    fn read_at(&mut self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        let (path, end) = (self.path(name), offset + into.len() as u64);
        let bytes = self.wait(self.store.get_range(&path, offset..end))?;
        let read = bytes.len().min(into.len());
        into[..read].copy_from_slice(&bytes[..read]);
        Ok(read)
    }

    fn create(&mut self, _name: &str, _bytes: u64) -> io::Result<()> {
        unsupported()
    }

    fn write(&mut self, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        let path = self.path(name);
        self.wait(put(&*self.store, &path, parts))
    }

    fn write_at(&mut self, _name: &str, _offset: u64, _bytes: &[u8]) -> io::Result<()> {
        unsupported()
    }

    fn sync(&mut self, _name: &str) -> io::Result<()> {
        Ok(())
    }

    fn truncate(&mut self, _name: &str, _bytes: u64) -> io::Result<()> {
        unsupported()
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let (from, to) = (self.path(from), self.path(to));
        self.wait(async {
            let bytes = self.store.get(&from).await?.bytes().await?;
            let create = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
            self.store.put_opts(&to, PutPayload::from(bytes), create).await?;
            // It is there. What is left of the old name counts for nothing, and goes with the next.
            let _ = self.store.delete(&from).await;
            Ok(())
        })
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        let path = self.path(name);
        self.wait(self.store.delete(&path))
    }

    fn sync_directory(&mut self) -> io::Result<()> {
        Ok(())
    }
}
