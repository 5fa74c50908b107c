//! What a checkpoint is made of.

use serde::{Deserialize, Serialize};

use crate::dataflow::{Epoch, Part, Plan};
use crate::io::journal::crc::crc;
use crate::time::Timestamp;

/// The version of all files of a checkpoint. Another one is refused.
pub const FORMAT: u32 = 5;

/// The page that makes a checkpoint: JSON, with a check sum of its own in the last line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of the files.
    pub format: u32,
    /// The number of the checkpoint.
    pub epoch: Epoch,
    /// The name that the user has given it, if it is a savepoint.
    pub name: Option<String>,
    /// When it was complete, by the clock of the host.
    pub complete_at: Timestamp,
    /// Seeds the hash of keys, and so which shard owns which key.
    pub hash_seed: u64,
    /// What was taken of each shard.
    pub shards: Vec<ShardFile>,
}

/// What was taken of one shard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ShardFile {
    /// The name of the file.
    pub file: String,
    /// Its length.
    pub bytes: u64,
    /// The CRC-32C of its bytes.
    pub crc32c: u32,
    /// The pipeline as the shard had built it.
    pub plan: Plan,
    /// The time of its step then.
    pub now: Timestamp,
    /// What the file holds of each stage.
    pub stages: Vec<StageParts>,
}

/// What a file holds of one stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageParts {
    /// How many bytes the parts are.
    pub bytes: u64,
    /// What they are, in order.
    pub parts: Vec<Part>,
    /// What follows them: tables and the like that were copied behind the barrier, each with its
    /// number, how many bytes it is, and their CRC-32C.
    pub bulk: Vec<(u32, u64, u32)>,
    /// Those that had not changed since a checkpoint before, and where they are.
    pub elsewhere: Vec<Elsewhere>,
}

/// A piece of a file of an earlier checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Elsewhere {
    /// The number of what it is a copy of.
    pub of: u32,
    /// The name of the file.
    pub file: String,
    /// Where it begins in it.
    pub offset: u64,
    /// How long it is.
    pub bytes: u64,
    /// The CRC-32C of its bytes.
    pub crc32c: u32,
}

impl ShardFile {
    /// Where this file has the copy of a stage with this number.
    pub(super) fn place_of(&self, stage: usize, id: u32) -> Option<Elsewhere> {
        let before = self.stages.get(..stage)?.iter();
        let lengths = |stage: &StageParts| {
            stage.bytes + stage.bulk.iter().map(|(_, bytes, _)| bytes).sum::<u64>()
        };
        let stage = self.stages.get(stage)?;
        let mut offset = before.map(lengths).sum::<u64>() + stage.bytes;
        for &(of, bytes, crc32c) in &stage.bulk {
            if of == id {
                return Some(Elsewhere { of, file: self.file.clone(), offset, bytes, crc32c });
            }
            offset += bytes;
        }
        None
    }
}

/// How the last line begins.
const SUM: &str = "crc32c ";

impl Manifest {
    /// The bytes of its state in all files.
    pub fn state_bytes(&self) -> u64 {
        let own: u64 = self.shards.iter().map(|shard| shard.bytes).sum();
        own + self.bytes_elsewhere()
    }

    /// Whether it refers to no file of a checkpoint before it.
    pub fn is_whole(&self) -> bool {
        let mut stages = self.shards.iter().flat_map(|shard| &shard.stages);
        stages.all(|stage| stage.elsewhere.is_empty())
    }

    /// How many of them are in files of checkpoints before it.
    pub fn bytes_elsewhere(&self) -> u64 {
        let stages = self.shards.iter().flat_map(|shard| &shard.stages);
        stages.flat_map(|stage| &stage.elsewhere).map(|there| there.bytes).sum()
    }

    /// The names of all files that it takes to read it, its own first.
    pub(super) fn files(&self) -> impl Iterator<Item = &str> {
        let own = self.shards.iter().map(|shard| &*shard.file);
        let stages = self.shards.iter().flat_map(|shard| &shard.stages);
        own.chain(stages.flat_map(|stage| &stage.elsewhere).map(|there| &*there.file))
    }

    /// The page as people read it.
    pub fn to_json(&self) -> String {
        // Never the default: it has no map with keys that are no text.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    /// The text of the file.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut text = self.to_json();
        text.push('\n');
        text.push_str(&line_of_sum(text.as_bytes()));
        text.into_bytes()
    }

    /// What a file says, or what is wrong with it.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let torn = || "it is cut off or not a manifest".to_owned();
        let last = bytes.strip_suffix(b"\n").ok_or_else(torn)?;
        let end = last.iter().rposition(|byte| *byte == b'\n').ok_or_else(torn)? + 1;
        let (text, sum) = bytes.split_at(end);
        if !sum.starts_with(SUM.as_bytes()) {
            return Err(torn());
        }
        if sum != line_of_sum(text).as_bytes() {
            return Err("its check sum is wrong".to_owned());
        }
        // A newer version may have other fields, but says which it is.
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let Version { format } = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        if format != FORMAT {
            return Err(format!("it is of version {format}, and this build reads {FORMAT}"));
        }
        serde_json::from_slice(text).map_err(|error| error.to_string())
    }
}

/// The last line of a page.
fn line_of_sum(text: &[u8]) -> String {
    format!("{SUM}{:08x}\n", crc(0, text))
}
