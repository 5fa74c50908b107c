//! Where checkpoints are kept: a directory of plain files, in which one is there as a whole or not
//! at all.
//!
//! | file | what is in it |
//! |---|---|
//! | `checkpoint-EPOCH-SHARD.state` | what the stages of one shard hold, one behind the other |
//! | `checkpoint-EPOCH.json` | the manifest: what was taken of what, and each file with its sum |
//!
//! The state is written and synced first, then the manifest under a name that counts for nothing;
//! renaming that, and syncing the directory, makes the checkpoint. A savepoint is the same with a
//! name of its own in the place of the epoch, and stays until somebody removes it.
//!
//! May not know shards: what a shard brings is a [`ShardState`] here. Called on a thread that may
//! block. Start with `manifest.rs`.

mod directory;
mod manifest;
mod names;
mod notice;
mod store;

use crate::error::CheckpointError;
pub use directory::{LOCK, open};
pub use manifest::{Manifest, ShardFile};
pub use notice::Notice;
pub use store::{ShardState, Store, Taken};

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
