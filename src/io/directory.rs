//! A directory of plain files.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

#[cfg(feature = "uring")]
use crate::io::direct;
use crate::io::storage::Files;

/// How many zeros are written at once.
const CHUNK: usize = 1 << 20;

/// So many bytes are written, or read, past the page cache, where that works.
#[cfg(feature = "uring")]
const LONG: usize = 4 << 20;

/// The files of a directory, through the page cache but for those that are long.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// The file that was read last.
    open: Option<(String, File)>,
}

impl Directory {
    /// A directory that is there.
    ///
    /// # Errors
    /// If it is not there, or is none.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref().to_owned();
        if fs::metadata(&path)?.is_dir() {
            Ok(Self { path, open: None })
        } else {
            Err(ErrorKind::NotADirectory.into())
        }
    }

    /// A directory that is created, with those above it, if it is not there.
    ///
    /// # Errors
    /// If it cannot be.
    pub fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        fs::create_dir_all(&path)?;
        Self::open(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn reading(&mut self, name: &str) -> io::Result<&File> {
        let open = match self.open.take().filter(|(open, _)| open == name) {
            Some(open) => open,
            None => (name.to_owned(), File::open(self.path.join(name))?),
        };
        Ok(&self.open.insert(open).1)
    }

    fn writing(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().write(true).open(self.path.join(name))
    }
}

impl Files for Directory {
    fn list(&mut self) -> io::Result<Vec<(String, u64)>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            // One that is removed while it is listed is none.
            let length = match entry.metadata() {
                Ok(found) if found.is_file() => found.len(),
                Ok(_) => continue,
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            all.extend(entry.file_name().into_string().ok().map(|name| (name, length)));
        }
        Ok(all)
    }

    fn read_at(&mut self, name: &str, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        #[cfg(feature = "uring")]
        if into.len() >= LONG
            && let Ok(file) = direct::open(&self.path.join(name))
        {
            return direct::read_at(&file, offset, into);
        }
        let file = self.reading(name)?;
        let mut read = 0;
        while read < into.len() {
            match file.read_at(&mut into[read..], offset + read as u64) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn create(&mut self, name: &str, bytes: u64) -> io::Result<()> {
        self.open = None;
        let mut file = File::create(self.path.join(name))?;
        let zeros = vec![0; CHUNK.min(bytes as usize)];
        let mut left = bytes;
        while left > 0 {
            let now = zeros.len().min(left as usize);
            file.write_all(&zeros[..now])?;
            left -= now as u64;
        }
        Ok(())
    }

    fn write(&mut self, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        self.open = None;
        let path = self.path.join(name);
        #[cfg(feature = "uring")]
        if parts.iter().map(|part| part.len()).sum::<usize>() >= LONG
            && let Ok(file) = direct::create(&path)
        {
            return direct::write(&file, parts);
        }
        let mut file = File::create(path)?;
        parts.iter().try_for_each(|part| file.write_all(part))
    }

    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.writing(name)?.write_all_at(bytes, offset)
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        self.writing(name)?.sync_all()
    }

    fn truncate(&mut self, name: &str, bytes: u64) -> io::Result<()> {
        self.writing(name)?.set_len(bytes)
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.open = None;
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.open = None;
        fs::remove_file(self.path.join(name))
    }

    fn sync_directory(&mut self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On either side of what is long, of a chunk and of a block.
    #[test]
    fn what_is_written_in_parts_is_read_as_one() {
        let path = std::env::temp_dir().join(format!("millstream-parts-{}", std::process::id()));
        let mut files = Directory::create(&path).unwrap();
        for bytes in [0, 1, 4096, (4 << 20) - 1, 4 << 20, (4 << 20) + 1, (5 << 20) + 4097] {
            let whole: Vec<u8> = (0..bytes).map(|n: usize| (n / 3) as u8).collect();
            let (first, rest) = whole.split_at(bytes / 3);
            let (second, third) = rest.split_at(rest.len().min(2));
            files.write("parts", &[b"of another length"]).unwrap();
            files.write("parts", &[first, &[], second, third]).unwrap();
            files.sync("parts").unwrap();
            assert!(fs::read(path.join("parts")).unwrap() == whole, "{bytes}");
            for (offset, more) in [(0, 0), (1, 9000), (4095, 0), (4096, 1), (1 << 20, 0)] {
                let rest = whole.get(offset..).unwrap_or(&[]);
                let mut into = vec![1; rest.len() + more];
                let read = files.read_at("parts", offset as u64, &mut into).unwrap();
                assert!(into[..read] == *rest, "{bytes} from {offset}");
            }
        }
        fs::remove_dir_all(path).unwrap();
    }
}
