//! A folder for as long as something is measured.

use std::fs;
use std::path::{Path, PathBuf};

use crate::cli::failure::Result;
use crate::error::IoError;

/// A folder of its own where `TMPDIR` says, which goes with everything in it.
pub struct Folder(PathBuf);

impl Folder {
    /// Makes one for a scenario of this name.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn create(scenario: &str) -> Result<Self> {
        let name = format!("millstream-{scenario}-{}", std::process::id());
        let folder = Self(std::env::temp_dir().join(name));
        folder.empty()?;
        Ok(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Removes everything in it.
    ///
    /// # Errors
    /// What the disk said.
    pub fn empty(&self) -> Result<()> {
        let failed = |error| IoError::new("empty", self.0.display().to_string(), error);
        if self.0.exists() {
            fs::remove_dir_all(&self.0).map_err(failed)?;
        }
        Ok(fs::create_dir_all(&self.0).map_err(failed)?)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
