//! Where checkpoints are kept: a directory of plain files, or an object store, in which one is
//! there as a whole or not at all.
//!
//! # The files
//!
//! | file | what is in it |
//! |---|---|
//! | `checkpoint-EPOCH-SHARD.state` | what the stages of one shard hold, one behind the other |
//! | `checkpoint-EPOCH.json` | the manifest: what was taken of what, and each file with its sum |
//! | `savepoint-NAME-EPOCH-SHARD.state`, `savepoint-NAME.json` | the same, for one with a name |
//! | `*.unfinished` | counts for nothing, and goes when the next one is kept |
//! | `checkpoint.lock` | locked by the writer for as long as it lives; empty |
//!
//! EPOCH has twelve digits and SHARD has three, or more if it takes more. A checkpoint is what its
//! manifest says: files that no manifest names are no part of any.
//!
//! # The manifest
//!
//! One JSON object, a line break, and a last line `crc32c XXXXXXXX`: the CRC-32C of all bytes
//! before that line, in hexadecimal.
//!
//! | field | what it says |
//! |---|---|
//! | `format` | the version of all files, 5; another one is refused |
//! | `epoch` | the number of the checkpoint, one more each time |
//! | `name` | that of a savepoint, else null |
//! | `complete_at` | nanoseconds since the Unix epoch, by the clock of the host |
//! | `hash_seed` | the seed of the hash that gives keys to shards; another pipeline's is refused |
//! | `shards` | one object for each shard, in order |
//! | `shards[].file`, `bytes`, `crc32c` | its state: name, length, CRC-32C of all of it |
//! | `shards[].plan` | the pipeline as the shard had built it; another one is refused |
//! | `shards[].now` | the time of its step |
//! | `shards[].stages[].bytes` | how many bytes of the file the parts of this stage are |
//! | `shards[].stages[].parts[]` | what these are: `operator`, `type`, and the `end` of its bytes |
//! | `shards[].stages[].bulk[]` | what follows: `[id, bytes, crc32c]` of each table and the like |
//! | `shards[].stages[].elsewhere[]` | the id, `of`, of what had not changed, and where it is |
//! | `....elsewhere[].file`, `offset`, `bytes`, `crc32c` | a piece of an earlier one's file |
//!
//! The bytes of a part are its value as serde and postcard write it. Tables, and what else lies in
//! blocks, are copied behind the barrier: their part has a header with the `id` of the bytes that
//! were. Those of a table are its chains, in any order: the first hash that leads to one, how many
//! leading bits of it do, and for each sub-table its slots with their places. Those of blocks are
//! pages: number and length, 4 bytes each with the lowest first, and the values.
//!
//! # Increments
//!
//! What has not changed since a checkpoint before is not written again: the manifest says in which
//! file of that one it is. Such a file stays for as long as a manifest that is kept names it, or
//! the next one may. Now and then a checkpoint is whole, and names none but its own; a savepoint
//! always is.
//!
//! # How one is kept, and what a crash leaves
//!
//! | step | a crash before the next step leaves |
//! |---|---|
//! | no manifest may have the name | all as it was |
//! | each state file is written and synced | all as it was, and files that nobody names |
//! | the directory is synced | the same, and their names will be there |
//! | the manifest is written as `*.unfinished`, and synced | the same, and a file without meaning |
//! | it is renamed | a kill: the checkpoint. A power cut: it, or all as it was |
//! | the directory is synced | the checkpoint: now it is complete, and shards are told |
//! | manifests that are too many are removed | it, and some that are too many |
//! | the directory is synced | the same |
//! | state files that no manifest names are removed | it, and files that nobody names |
//!
//! Between the renaming and the sync behind it a checkpoint is in doubt. An error there makes
//! [`Store::keep`] fail, and the engine holds it for incomplete: nothing that waits for it is
//! shown, and the pipeline begins again, by its strategy, from whatever [`Store::newest`] finds.
//! [`Store::newest`] syncs the directory before it looks, so what was gone on from once is there
//! after any later power cut. Either way each result is shown once.
//!
//! What cannot be removed does not make a checkpoint fail; a [`Notice`] tells of it.
//!
//! # What is wrong with one
//!
//! The newest is gone on from or nothing is: one that is damaged or of something else is refused
//! with the reason, and with the newest that would do. Removing its manifest, by hand, is to decide
//! that results since the one before may be shown again. A manifest that cannot be read is as new
//! as its name says, and a savepoint's as the names of its state files say; where nothing says it,
//! a [`Notice`] does. It takes no place among those that are kept, its files stay, and each time
//! that one is kept a [`Notice`] tells of it.
//!
//! A savepoint stays until somebody removes it, its manifest first. A name that is taken is
//! refused, never written over; the epoch in the names of the state files is for one that was
//! removed a moment before its name was taken again, and comes back with a power cut.
//!
//! In an object store all of this holds without syncs: see `objects.rs`, behind the feature
//! `object-store`. There is no lock there.
//!
//! May not know shards: what a shard brings is a [`ShardState`] here. Called on a thread that may
//! block. Start with `manifest.rs`, then `store.rs`.

mod directory;
mod manifest;
mod names;
mod notice;
#[cfg(feature = "object-store")]
mod objects;
mod state;
mod store;

use crate::error::CheckpointError;
pub use directory::{LOCK, open};
pub use manifest::{Manifest, ShardFile};
pub use notice::Notice;
#[cfg(feature = "object-store")]
pub use objects::{Objects, in_objects, object_store};
pub use state::ShardState;
pub use store::{Store, Taken};

/// Whether a savepoint can have this name.
///
/// # Errors
/// [`CheckpointError::Name`] if it cannot.
pub fn check_name(name: &str) -> Result<(), CheckpointError> {
    match names::is_plain(name) {
        true => Ok(()),
        false => Err(CheckpointError::Name(name.to_owned())),
    }
}
