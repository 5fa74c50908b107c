//! What the files of a checkpoint are called.

use crate::dataflow::Epoch;
use crate::error::CheckpointError;

/// How the name of a shard's state ends.
pub const STATE: &str = ".state";

/// How the name of a manifest ends.
pub const MANIFEST: &str = ".json";

/// How a name ends that counts for nothing.
pub const UNFINISHED: &str = ".unfinished";

/// What the name of a manifest begins with: its own, or the epoch.
pub fn stem_to_be(epoch: Epoch, name: Option<&str>) -> Result<String, CheckpointError> {
    match name {
        Some(name) if is_plain(name) => Ok(format!("savepoint-{name}")),
        Some(name) => Err(CheckpointError::Name(name.to_owned())),
        None => Ok(format!("checkpoint-{:012}", epoch.0)),
    }
}

/// Whether a name can be that of a file, on every system and in every shell.
pub fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !name.is_empty() && name.len() <= 100 && !name.starts_with('.') && name.chars().all(plain)
}

/// Whether a file may be one that this manifest names.
pub fn is_state_of(file: &str, manifest: &str) -> bool {
    behind(file, manifest).is_some()
}

/// The epoch of a manifest, as the name of one of its files has it, or its own.
pub fn epoch_of(file: &str, manifest: &str) -> Option<Epoch> {
    let digits = |text: &str| text.parse().ok().map(Epoch);
    let own = manifest.strip_prefix("checkpoint-").and_then(|it| it.strip_suffix(MANIFEST));
    if let Some(own) = own {
        return digits(own);
    }
    let (epoch, shard) = behind(file, manifest)?.split_once('-')?;
    // What has more behind the epoch is of a savepoint with a longer name.
    shard.parse::<u32>().ok()?;
    digits(epoch)
}

/// What stands between the stem of a manifest and the end of a file's name.
fn behind<'a>(file: &'a str, manifest: &str) -> Option<&'a str> {
    let stem = manifest.strip_suffix(MANIFEST)?;
    file.strip_prefix(stem)?.strip_prefix('-')?.strip_suffix(STATE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_epoch_of_a_savepoint_is_in_the_names_of_its_own_files() {
        let of = |file| epoch_of(file, "savepoint-a.json");
        assert_eq!(of("savepoint-a-000000000007-001.state"), Some(Epoch(7)));
        // Those of a savepoint `a-000000000007`, another one, a checkpoint, and no state.
        assert_eq!(of("savepoint-a-000000000007-000000000009-001.state"), None);
        assert_eq!(of("savepoint-ab-000000000007-001.state"), None);
        assert_eq!(of("checkpoint-000000000007-001.state"), None);
        assert_eq!(of("savepoint-a.json"), None);
        let long = epoch_of(
            "savepoint-a-000000000007-000000000009-001.state",
            "savepoint-a-000000000007.json",
        );
        assert_eq!(long, Some(Epoch(9)));
        assert_eq!(epoch_of("anything", "checkpoint-000000000012.json"), Some(Epoch(12)));
    }
}
