//! Keeping checkpoints, finding them again, and removing those that are too many.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;

use crate::checkpoint::Notice;
use crate::checkpoint::manifest::{Elsewhere, FORMAT, Manifest, ShardFile};
use crate::checkpoint::names::{MANIFEST, STATE, UNFINISHED, epoch_of, is_state_of, stem_to_be};
use crate::checkpoint::state::{Encoded, ShardState};
use crate::dataflow::{Epoch, Piece, Reference};
use crate::error::{CheckpointError, IoError};
use crate::io::Files;
use crate::io::journal::crc::crc_of_all;
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
    /// What was kept since the last one that is whole, which those to come may refer to.
    recent: Vec<Manifest>,
    /// Of the last time that one was kept or looked for.
    notices: Vec<Notice>,
    /// Held for as long as checkpoints are written here.
    _lock: Option<File>,
}

impl<F: Files> Store<F> {
    /// Checkpoints in these files, of which the newest `keep` are kept; at least one. Files that a
    /// crash has left half-written are removed when the next one is kept.
    pub fn new(files: F, keep: usize) -> Self {
        let (recent, notices) = (Vec::new(), Vec::new());
        Self { files, keep: keep.max(1), recent, notices, _lock: None }
    }

    /// The files by themselves.
    pub fn into_files(self) -> F {
        self.files
    }

    pub(super) fn locked(files: F, keep: usize, lock: File) -> Self {
        Self { _lock: Some(lock), ..Self::new(files, keep) }
    }

    /// Whether a savepoint can have this name: it is one, and there is none of that name here.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn check_name(&mut self, name: &str) -> Result<(), CheckpointError> {
        let names = self.names()?;
        must_be_free(&names, &format!("{}{MANIFEST}", stem_to_be(Epoch(0), Some(name))?))
    }

    /// Keeps a checkpoint; it is complete when this returns. Then those that are too many are
    /// removed; where that fails, [`notices`](Self::notices) has it.
    ///
    /// # Errors
    /// A disk that is full or fails, or a name that is taken. Those before it count as they did. It
    /// may count or not: the disk can fail when all is done but that the last name is durable. So
    /// whoever has got an error holds it for incomplete, shows nothing that waits for it, and goes
    /// on from what [`newest`](Self::newest) finds.
    pub fn keep(&mut self, taken: &Taken) -> Result<Manifest, CheckpointError> {
        let stem = stem_to_be(taken.epoch, taken.name.as_deref())?;
        let name = format!("{stem}{MANIFEST}");
        must_be_free(&self.names()?, &name)?;
        let files = match taken.name {
            // So that one that was removed a moment ago, and comes back with a crash, is whole.
            Some(_) => format!("{stem}-{:012}", taken.epoch.0),
            None => stem,
        };
        let mut shards = Vec::new();
        for (index, shard) in taken.shards.iter().enumerate() {
            let file = format!("{files}-{index:03}{STATE}");
            shards.push(self.write_shard(file, (index, shard), taken.name.is_some())?);
        }
        let manifest = Manifest {
            format: FORMAT,
            epoch: taken.epoch,
            name: taken.name.clone(),
            complete_at: taken.complete_at,
            hash_seed: taken.hash_seed,
            shards,
        };
        self.write_manifest(&name, &manifest)?;
        if manifest.is_whole() {
            self.recent.clear();
        }
        // A savepoint is its owner's, who may remove it.
        if manifest.name.is_none() {
            self.recent.push(manifest.clone());
        }
        self.notices.clear();
        if let Err(error) = self.retire() {
            self.notices.push(Notice::not_removed(&error));
        }
        Ok(manifest)
    }

    /// What is no error and nobody may miss, of the last time that a checkpoint was kept or the
    /// newest was looked for.
    pub fn notices(&self) -> &[Notice] {
        &self.notices
    }

    fn write_shard(
        &mut self,
        file: String,
        (index, shard): (usize, &ShardState),
        is_alone: bool,
    ) -> Result<ShardFile, CheckpointError> {
        let Encoded { pieces, bytes, crc32c, mut stages } = shard.encode();
        for (stage, (saved, parts)) in shard.stages.iter().zip(&mut stages).enumerate() {
            let places = saved.references().iter().map(|reference| {
                let place = self.place_of(reference, index, stage).filter(|_| !is_alone);
                place.ok_or_else(|| missing(&file, reference))
            });
            parts.elsewhere = places.collect::<Result<_, _>>()?;
        }
        let written = self.files.write(&file, &pieces).and_then(|()| self.files.sync(&file));
        written.map_err(failed("write", &file))?;
        let (plan, now) = (shard.plan.clone(), shard.now);
        Ok(ShardFile { file, bytes, crc32c, plan, now, stages })
    }

    /// Where a copy is that was made for a checkpoint before.
    fn place_of(
        &self,
        Reference { of, to }: &Reference,
        shard: usize,
        stage: usize,
    ) -> Option<Elsewhere> {
        let kept = self.recent.iter().rev().find(|kept| kept.epoch.0 == to.epoch)?;
        let place = kept.shards.get(shard)?.place_of(stage, to.id)?;
        Some(Elsewhere { of: *of, ..place })
    }

    fn write_manifest(&mut self, name: &str, manifest: &Manifest) -> Result<(), CheckpointError> {
        let text = manifest.encode();
        let unfinished = format!("{name}{UNFINISHED}");
        let written = (|| {
            // The names of the state files must be durable before the one that names them.
            self.files.sync_directory()?;
            self.files.write(&unfinished, &[&text])?;
            self.files.sync(&unfinished)?;
            self.files.rename(&unfinished, name)?;
            self.files.sync_directory()
        })();
        written.map_err(failed("write", name))
    }

    /// Copies a checkpoint from another store, under the names that it has there.
    ///
    /// # Errors
    /// A file that cannot be read there or written here; it does not count here then. A name that
    /// is taken here.
    pub fn copy<G: Files>(
        &mut self,
        from: &mut Store<G>,
        name: &str,
        manifest: &Manifest,
    ) -> Result<(), CheckpointError> {
        must_be_free(&self.names()?, name)?;
        let there = self.names()?;
        for file in manifest.files().collect::<BTreeSet<_>>() {
            let bytes = from.read_file(file)?;
            if there.iter().any(|it| it == file) && self.read_file(file)? == bytes {
                // Another checkpoint that was copied refers to it too.
                continue;
            }
            let written = self.files.write(file, &[&bytes]).and_then(|()| self.files.sync(file));
            written.map_err(failed("write", file))?;
        }
        self.write_manifest(name, manifest)
    }

    /// Removes checkpoints beyond those that are kept, manifests first, and then whatever file no
    /// manifest names. One that cannot be read is left to whoever looks into it, with all that it
    /// may name.
    fn retire(&mut self) -> Result<(), CheckpointError> {
        let names = self.names()?;
        let (mut readable, mut unreadable) = (Vec::new(), Vec::new());
        for name in names.iter().filter(|name| name.ends_with(MANIFEST)) {
            match self.read_manifest(name) {
                Ok(manifest) => readable.push((name, manifest)),
                Err(error) => {
                    self.notices.push(Notice::unreadable(name, error));
                    unreadable.push(name);
                }
            }
        }
        let is_old = self.remove_old(&readable)?;
        let kept = readable.iter().filter(|(name, _)| !is_old.contains(*name));
        // Also what those refer to, and what the next one may refer to.
        let recent = self.recent.clone();
        let named = kept.map(|(_, manifest)| manifest).chain(&recent).flat_map(Manifest::files);
        let named: BTreeSet<&str> = named.collect();
        let is_left_over = |name: &&String| {
            let may_be_named = || unreadable.iter().any(|manifest| is_state_of(name, manifest));
            let is_state =
                name.ends_with(STATE) && !named.contains(name.as_str()) && !may_be_named();
            is_state || name.ends_with(UNFINISHED)
        };
        for name in names.iter().filter(is_left_over) {
            self.files.remove(name).map_err(failed("remove", name))?;
        }
        Ok(())
    }

    /// Removes the manifests of checkpoints beyond those that are kept, and returns which.
    fn remove_old(
        &mut self,
        readable: &[(&String, Manifest)],
    ) -> Result<BTreeSet<String>, CheckpointError> {
        let checkpoints = readable.iter().filter(|(_, manifest)| manifest.name.is_none());
        let checkpoints: Vec<&String> = checkpoints.map(|(name, _)| *name).collect();
        let old = &checkpoints[..checkpoints.len().saturating_sub(self.keep)];
        for name in old {
            self.files.remove(name).map_err(failed("remove", name))?;
        }
        if !old.is_empty() {
            // Or a crash could bring a manifest back whose files are gone.
            self.files.sync_directory().map_err(failed("sync", "the directory"))?;
        }
        Ok(old.iter().map(|name| (*name).clone()).collect())
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

    /// The newest checkpoint or savepoint, if there is one, and what it holds. Its name is made
    /// durable first, which that of one whose writer was killed may not be: a power cut must not
    /// take from under somebody what they have gone on from.
    ///
    /// # Errors
    /// What is wrong with it, or why `fits` refuses it; with the newest one that would do. It is
    /// not taken in its place by itself: what was shown since could be shown again.
    pub fn newest(
        &mut self,
        fits: impl Fn(&Manifest) -> Result<(), String>,
    ) -> Result<Option<(Manifest, Vec<ShardState>)>, CheckpointError> {
        self.files.sync_directory().map_err(failed("sync", "the directory"))?;
        let mut all = self.by_age()?;
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

    /// What [`list`](Self::list) has, the oldest first. One that cannot be read is as new as the
    /// names of its files say; where nothing says it, it comes first, and there is a notice.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn by_age(
        &mut self,
    ) -> Result<Vec<(String, Result<Manifest, CheckpointError>)>, CheckpointError> {
        let (names, all) = (self.names()?, self.list()?);
        self.notices.clear();
        let mut aged = Vec::new();
        for (name, manifest) in all {
            let epoch = match &manifest {
                Ok(manifest) => Some(manifest.epoch),
                Err(_) => names.iter().filter_map(|file| epoch_of(file, &name)).max(),
            };
            if epoch.is_none() {
                self.notices.push(Notice::OfUnknownAge { file: name.clone() });
            }
            aged.push((epoch.unwrap_or(Epoch(0)), name, manifest));
        }
        aged.sort_by_key(|(epoch, ..)| *epoch);
        Ok(aged.into_iter().map(|(_, name, manifest)| (name, manifest)).collect())
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
        if crc_of_all(&bytes) != shard.crc32c {
            return damaged("its check sum is wrong");
        }
        let elsewhere = shard
            .stages
            .iter()
            .map(|stage| stage.elsewhere.iter().map(|there| self.read_elsewhere(there)).collect());
        let elsewhere = elsewhere.collect::<Result<_, _>>()?;
        let plan = shard.plan.clone();
        ShardState::decode(plan, shard.now, bytes, &shard.stages, elsewhere).or_else(damaged)
    }

    /// A copy in the file of a checkpoint before.
    fn read_elsewhere(&mut self, there: &Elsewhere) -> Result<Piece, CheckpointError> {
        let Elsewhere { of, file, offset, bytes, crc32c } = there;
        let mut piece = vec![0; *bytes as usize];
        let read = self.files.read_at(file, *offset, &mut piece);
        let read = read.map_err(failed("read", file))?;
        if read < piece.len() || crc_of_all(&piece) != *crc32c {
            let reason = format!("what a later checkpoint refers to, at {offset}, is not there");
            return Err(CheckpointError::Damaged { file: file.clone(), reason });
        }
        Ok(Piece { of: *of, bytes: piece.into() })
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

/// What a checkpoint refers to is of none that this store has kept, or it is a savepoint, which has
/// to be readable by itself.
fn missing(file: &str, Reference { to, .. }: &Reference) -> CheckpointError {
    let reason = format!("it refers to checkpoint {}, which it may not", to.epoch);
    CheckpointError::Damaged { file: file.to_owned(), reason }
}

/// A name that is there is not written over: it may be all that somebody has.
fn must_be_free(names: &[String], manifest: &str) -> Result<(), CheckpointError> {
    match names.iter().any(|name| name == manifest) {
        true => Err(CheckpointError::Exists { file: manifest.to_owned() }),
        false => Ok(()),
    }
}
