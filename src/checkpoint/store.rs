//! Keeping checkpoints, finding them again, and removing those that are too many.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;

use crate::checkpoint::manifest::{FORMAT, Manifest, ShardFile};
use crate::checkpoint::state::ShardState;
use crate::dataflow::Epoch;
use crate::error::{CheckpointError, IoError};
use crate::io::Files;
use crate::io::journal::crc::crc;
use crate::time::Timestamp;

/// What was taken of all shards.
pub struct Taken {
    /// The number of the checkpoint.
    pub epoch: Epoch,
    /// Makes it a savepoint, which stays until it is removed by hand.
    pub name: Option<String>,
    /// The [`Config::hash_seed`](crate::Config::hash_seed).
    pub hash_seed: u64,
    /// When it is complete, by the clock of the host.
    pub complete_at: Timestamp,
    /// What the shards have brought, in their order.
    pub shards: Vec<ShardState>,
}

/// Checkpoints in the files of a directory.
pub struct Store<F> {
    files: F,
    keep: usize,
    /// Held for as long as checkpoints are written here.
    _lock: Option<File>,
}

const STATE: &str = ".state";
const MANIFEST: &str = ".json";
const UNFINISHED: &str = ".unfinished";

impl<F: Files> Store<F> {
    /// Checkpoints in these files, of which the newest `keep` are kept; at least one. Files that a
    /// crash has left half-written are removed when the next one is kept.
    pub fn new(files: F, keep: usize) -> Self {
        Self { files, keep: keep.max(1), _lock: None }
    }

    pub(super) fn locked(files: F, keep: usize, lock: File) -> Self {
        Self { _lock: Some(lock), ..Self::new(files, keep) }
    }

    /// Keeps a checkpoint; it is complete when this returns. Then those that are too many are
    /// removed.
    ///
    /// # Errors
    /// A disk that is full or fails; the checkpoint does not count then, and those before it do.
    pub fn keep(&mut self, taken: &Taken) -> Result<Manifest, CheckpointError> {
        let stem = match &taken.name {
            Some(name) if is_plain(name) => format!("savepoint-{name}"),
            Some(name) => return Err(CheckpointError::Name(name.clone())),
            None => format!("checkpoint-{:012}", taken.epoch.0),
        };
        let mut shards = Vec::new();
        for (index, shard) in taken.shards.iter().enumerate() {
            shards.push(self.write_shard(format!("{stem}-{index:03}{STATE}"), shard)?);
        }
        let manifest = Manifest {
            format: FORMAT,
            epoch: taken.epoch,
            name: taken.name.clone(),
            complete_at: taken.complete_at,
            hash_seed: taken.hash_seed,
            shards,
        };
        self.write_manifest(&format!("{stem}{MANIFEST}"), &manifest)?;
        self.retire()?;
        Ok(manifest)
    }

    fn write_shard(
        &mut self,
        file: String,
        shard: &ShardState,
    ) -> Result<ShardFile, CheckpointError> {
        let (bytes, stages) = shard.encode();
        let written = self.files.write(&file, &bytes).and_then(|()| self.files.sync(&file));
        written.map_err(failed("write", &file))?;
        let (length, crc32c) = (bytes.len() as u64, crc(0, &bytes));
        let (plan, now) = (shard.plan.clone(), shard.now);
        Ok(ShardFile { file, bytes: length, crc32c, plan, now, stages })
    }

    fn write_manifest(&mut self, name: &str, manifest: &Manifest) -> Result<(), CheckpointError> {
        let text = manifest.encode();
        let unfinished = format!("{name}{UNFINISHED}");
        let written = (|| {
            // The names of the state files must be durable before the one that names them.
            self.files.sync_directory()?;
            self.files.write(&unfinished, &text)?;
            self.files.sync(&unfinished)?;
            self.files.rename(&unfinished, name)?;
            self.files.sync_directory()
        })();
        written.map_err(failed("write", name))
    }

    /// Copies a checkpoint from another store, under the names that it has there.
    ///
    /// # Errors
    /// A file that cannot be read there or written here; it does not count here then.
    pub fn copy<G: Files>(
        &mut self,
        from: &mut Store<G>,
        name: &str,
        manifest: &Manifest,
    ) -> Result<(), CheckpointError> {
        for ShardFile { file, .. } in &manifest.shards {
            let bytes = from.read_file(file)?;
            let written = self.files.write(file, &bytes).and_then(|()| self.files.sync(file));
            written.map_err(failed("write", file))?;
        }
        self.write_manifest(name, manifest)
    }

    /// Removes checkpoints beyond those that are kept, manifests first, and then whatever file no
    /// manifest names.
    fn retire(&mut self) -> Result<(), CheckpointError> {
        let names = self.names()?;
        let is_checkpoint =
            |name: &&String| name.starts_with("checkpoint-") && name.ends_with(MANIFEST);
        let manifests: Vec<&String> = names.iter().filter(is_checkpoint).collect();
        let old = &manifests[..manifests.len().saturating_sub(self.keep)];
        for name in old {
            self.files.remove(name).map_err(failed("remove", name))?;
        }
        if !old.is_empty() {
            // Or a crash could bring a manifest back whose files are gone.
            self.files.sync_directory().map_err(failed("sync", "the directory"))?;
        }
        let mut named = BTreeSet::new();
        for name in names.iter().filter(|name| name.ends_with(MANIFEST) && !old.contains(name)) {
            match self.read_manifest(name) {
                Ok(manifest) => named.extend(manifest.shards.into_iter().map(|shard| shard.file)),
                // It is left to whoever looks into it, with all that it may name.
                Err(_) => return Ok(()),
            }
        }
        let is_left_over = |name: &&String| {
            name.ends_with(UNFINISHED) || (name.ends_with(STATE) && !named.contains(*name))
        };
        for name in names.iter().filter(is_left_over) {
            self.files.remove(name).map_err(failed("remove", name))?;
        }
        Ok(())
    }

    /// All checkpoints and savepoints that are there, by the names of their manifests: what is in
    /// them, or what is wrong.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn list(
        &mut self,
    ) -> Result<Vec<(String, Result<Manifest, CheckpointError>)>, CheckpointError> {
        let manifests = self.names()?.into_iter().filter(|name| name.ends_with(MANIFEST));
        let manifests: Vec<String> = manifests.collect();
        Ok(manifests.into_iter().map(|name| (name.clone(), self.read_manifest(&name))).collect())
    }

    /// The newest checkpoint or savepoint, if there is one, and what it holds.
    ///
    /// # Errors
    /// What is wrong with it, or why `fits` refuses it; with the newest one that would do. It is
    /// not taken in its place by itself: what was shown since could be shown again.
    pub fn newest(
        &mut self,
        fits: impl Fn(&Manifest) -> Result<(), String>,
    ) -> Result<Option<(Manifest, Vec<ShardState>)>, CheckpointError> {
        let mut all = self.list()?;
        // One that cannot be read is as new as its name says; savepoints that cannot, are not seen.
        all.sort_by_key(|(name, manifest)| match manifest {
            Ok(manifest) => manifest.epoch.0,
            Err(_) => epoch_named(name).unwrap_or(0),
        });
        let Some((name, newest)) = all.pop() else { return Ok(None) };
        let fitting = |store: &mut Self, manifest: Manifest| {
            fits(&manifest)
                .map_err(|reason| CheckpointError::Unfit { file: name.clone(), reason })?;
            let states = store.read(&manifest)?;
            Ok((manifest, states))
        };
        let reason = match newest.and_then(|manifest| fitting(self, manifest)) {
            Ok(found) => return Ok(Some(found)),
            Err(reason) => reason,
        };
        let mut would_do = None;
        while let Some((name, manifest)) = all.pop() {
            if let Ok(manifest) = manifest
                && fits(&manifest).is_ok()
                && self.read(&manifest).is_ok()
            {
                would_do = Some(name);
                break;
            }
        }
        Err(CheckpointError::Refused { reason: Box::new(reason), would_do })
    }

    /// What a checkpoint holds, checked against its manifest.
    ///
    /// # Errors
    /// A file that is missing, shorter or longer, or not the one that was written.
    pub fn read(&mut self, manifest: &Manifest) -> Result<Vec<ShardState>, CheckpointError> {
        manifest.shards.iter().map(|shard| self.read_shard(shard)).collect()
    }

    fn read_shard(&mut self, shard: &ShardFile) -> Result<ShardState, CheckpointError> {
        let damaged = |reason: &str| {
            Err(CheckpointError::Damaged { file: shard.file.clone(), reason: reason.to_owned() })
        };
        let bytes = self.read_file(&shard.file)?;
        if bytes.len() as u64 != shard.bytes {
            return damaged(&format!("{} bytes, and it had {}", bytes.len(), shard.bytes));
        }
        if crc(0, &bytes) != shard.crc32c {
            return damaged("its check sum is wrong");
        }
        let state = ShardState::decode(shard.plan.clone(), shard.now, bytes, &shard.stages);
        state.or_else(damaged)
    }

    fn read_manifest(&mut self, name: &str) -> Result<Manifest, CheckpointError> {
        let damaged = |reason| CheckpointError::Damaged { file: name.to_owned(), reason };
        let bytes = self.read_file(name)?;
        Manifest::decode(&bytes).map_err(damaged)
    }

    fn read_file(&mut self, name: &str) -> Result<Vec<u8>, CheckpointError> {
        let mut read = || {
            let listed = self.files.list()?;
            let found = listed.iter().find(|(there, _)| there == name);
            let (_, length) = found.ok_or(io::ErrorKind::NotFound)?;
            let mut bytes = vec![0; *length as usize];
            let read = self.files.read_at(name, 0, &mut bytes)?;
            bytes.truncate(read);
            Ok(bytes)
        };
        read().map_err(failed("read", name))
    }

    /// The names of all files, in order.
    fn names(&mut self) -> Result<Vec<String>, CheckpointError> {
        let files = self.files.list().map_err(failed("list", "the directory"))?;
        let mut names: Vec<String> = files.into_iter().map(|(name, _)| name).collect();
        names.sort();
        Ok(names)
    }
}

fn failed(action: &'static str, name: &str) -> impl FnOnce(io::Error) -> CheckpointError {
    let name = name.to_owned();
    move |cause| IoError::new(action, name, cause).into()
}

/// Whether a name can be that of a file, on every system and in every shell.
pub(super) fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.len() <= 100 && !name.starts_with('.') && name.chars().all(plain)
}

fn epoch_named(name: &str) -> Option<u64> {
    name.strip_prefix("checkpoint-")?.strip_suffix(MANIFEST)?.parse().ok()
}
