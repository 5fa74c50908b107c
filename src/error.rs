//! What can go wrong, one enum per boundary and one wide [`Error`] that says what to do about it.

use std::io;

/// The result of anything a user calls.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Anything that stops a pipeline or keeps it from starting.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration or the pipeline cannot run.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A source or a sink failed.
    #[error(transparent)]
    Io(#[from] IoError),
    /// Bytes that do not decode, where the caller asked for that to be an error.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A snapshot that cannot be taken or does not fit.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// A checkpoint that cannot be kept, or cannot be gone on from.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A journal that is damaged, in use, or cannot be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A lookup that got no answer, and whose failure is not to be passed on.
    #[error("lookup: {0}")]
    Lookup(#[from] LookupError),
    /// A table could not be read.
    #[error(transparent)]
    Query(#[from] QueryError),
    /// Keyed state outgrew its limit.
    #[error("{operator}: {limit} {what} is the limit; raise `{setting}` or bound the input")]
    Limit {
        /// The operator whose state it is.
        operator: &'static str,
        /// What there was too much of.
        what: &'static str,
        /// How many are allowed.
        limit: usize,
        /// The field of `Config` that sets the limit.
        setting: &'static str,
    },
    /// A record was to go to a shard that there is not.
    #[error("`{step}` sends a record to shard {shard}, and there are {shards}, counted from 0")]
    NoShard {
        /// The step that chose the shard.
        step: &'static str,
        /// What it chose.
        shard: usize,
        /// How many there are.
        shards: usize,
    },
    /// A shard panicked; the others were stopped.
    #[error("shard {shard} panicked: {message}")]
    Panic {
        /// The shard that panicked.
        shard: usize,
        /// What the panic said.
        message: String,
    },
    /// A record makes a shard fail each time it comes, and the policy is to end the run then.
    #[error("record {position} of `{step}` on shard {shard} makes it fail each time: {cause}")]
    Poison {
        /// The shard that reads the source.
        shard: usize,
        /// The step that reads it.
        step: String,
        /// Where the record stands in the source's input.
        position: u64,
        /// What it makes the shard fail with.
        cause: String,
    },
    /// A shard did not come back from a step; its thread goes on by itself.
    #[error(
        "shard {shard} has been in one step for more than {patience:?}: what it runs hangs, and \
         its thread is left behind; the process should end"
    )]
    Stuck {
        /// The shard.
        shard: usize,
        /// How long a step may take.
        patience: std::time::Duration,
    },
    /// An embedded input was full.
    #[error("the input is full: step the shard, then push again")]
    Full,
}

/// What the caller can do about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Nothing short of a change of code or host.
    Fatal,
    /// Trying again may succeed: the world failed, not the program.
    Restartable,
    /// The caller asked for something impossible and can ask for something else.
    Caller,
}

impl Error {
    /// Whether it may be the doing of one record, which would bring it about again: a panic, or
    /// that somebody refuses what the record says. The world's failures are not.
    pub(crate) fn may_be_of_a_record(&self) -> bool {
        match self {
            Self::Panic { .. } | Self::NoShard { .. } => true,
            Self::Lookup(error) => !error.may_pass(),
            Self::Io(IoError { cause, .. }) => {
                matches!(cause.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput)
            }
            _ => false,
        }
    }

    /// What the caller can do about it.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Config(_) | Self::Codec(_) | Self::Snapshot(_) | Self::Full => ErrorKind::Caller,
            Self::Query(QueryError::Closed) => ErrorKind::Caller,
            Self::Journal(JournalError::Locked { .. } | JournalError::Gone { .. }) => {
                ErrorKind::Caller
            }
            Self::Io(_) | Self::Lookup(_) | Self::Query(_) | Self::Panic { .. } => {
                ErrorKind::Restartable
            }
            Self::Journal(JournalError::Io(_)) | Self::Checkpoint(CheckpointError::Io(_)) => {
                ErrorKind::Restartable
            }
            Self::Checkpoint(_) => ErrorKind::Caller,
            Self::Journal(_) => ErrorKind::Fatal,
            Self::Limit { .. } | Self::NoShard { .. } => ErrorKind::Fatal,
            Self::Poison { .. } | Self::Stuck { .. } => ErrorKind::Fatal,
        }
    }
}

/// A configuration or a pipeline that cannot run. Found before any thread starts.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A setting outside what it may be.
    #[error("{setting} = {value}: {reason}")]
    Setting {
        /// The field of `Config`, or the flag.
        setting: &'static str,
        /// What it was set to.
        value: String,
        /// Why that cannot be.
        reason: String,
    },
    /// The bounded queues of the pipeline add up to more than the limit.
    #[error(
        "the queues of this pipeline take {bytes} bytes, memory_bytes_max allows {limit}; \
         lower ring_capacity or batch_max, or raise the limit"
    )]
    Memory {
        /// What the queues take.
        bytes: usize,
        /// What is allowed.
        limit: usize,
    },
    /// The pipeline makes no sense.
    #[error("pipeline: {0}")]
    Pipeline(String),
}

impl ConfigError {
    /// A setting outside what it may be.
    pub fn setting(
        setting: &'static str,
        value: impl std::fmt::Display,
        reason: impl Into<String>,
    ) -> Self {
        Self::Setting { setting, value: value.to_string(), reason: reason.into() }
    }
}

/// A file, pipe or device that failed.
#[derive(Debug, thiserror::Error)]
#[error("{action} {place}: {cause}")]
pub struct IoError {
    /// What was being done, as a verb: "open", "write".
    pub action: &'static str,
    /// What it was done to: a path, an address.
    pub place: String,
    /// What the system said.
    #[source]
    pub cause: io::Error,
}

impl IoError {
    /// Names what was done to what, and what the system said.
    pub fn new(action: &'static str, place: impl Into<String>, cause: io::Error) -> Self {
        Self { action, place: place.into(), cause }
    }
}

/// Why a lookup got no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// Nothing came in the time that an attempt is given.
    #[error("no answer within {0:?}")]
    TimedOut(std::time::Duration),
    /// Whoever should answer cannot be reached, or says that it cannot answer now.
    #[error("unavailable: {0}")]
    Unavailable(String),
    /// The question was refused, or the answer is of no use: asking again would change nothing.
    #[error("{0}")]
    Refused(String),
}

impl LookupError {
    /// Whether asking again may succeed.
    pub fn may_pass(&self) -> bool {
        !matches!(self, Self::Refused(_))
    }
}

/// Bytes that are not what they should be, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}:{line}: {reason}")]
pub struct CodecError {
    /// The file or address that the bytes came from.
    pub place: String,
    /// The line, counted from 1.
    pub line: u64,
    /// What is wrong with it.
    pub reason: String,
}

/// A snapshot that cannot be taken, or that does not fit the pipeline it is restored into.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// The shard stopped on an error, wherever it was.
    #[error("no snapshot can be taken of a shard that an error has stopped: {0}")]
    Stopped(String),
    /// Something is under way that is in no operator's state.
    #[error("a snapshot is taken at rest, and `{operator}` {what}: step until it is done")]
    InFlight {
        /// Where it is under way.
        operator: &'static str,
        /// What that does.
        what: &'static str,
    },
    /// A step of which there can be no snapshot.
    #[error("no snapshot can be taken of `{step}`: {reason}")]
    Unsaved {
        /// The name of its type.
        step: String,
        /// Why not.
        reason: String,
    },
    /// The bytes of a part are not what that part is made of.
    #[error("the snapshot's part of `{operator}` is damaged: {reason}")]
    Damaged {
        /// The operator that is to be restored.
        operator: &'static str,
        /// What is wrong with them.
        reason: String,
    },
    /// State of a version that this build does not know.
    #[error("`{operator}` holds state of version {held}, and this build knows it up to {known}")]
    Version {
        /// The operator that is to be restored.
        operator: &'static str,
        /// The version that the snapshot holds.
        held: u8,
        /// The last version that the build knows.
        known: u8,
    },
    /// It is of another number of shards, and an operator cannot go on from that.
    #[error("`{operator}` cannot be restored onto another number of shards: {reason}")]
    NotRescaled {
        /// The operator that is to be restored.
        operator: &'static str,
        /// Why not.
        reason: String,
    },
    /// It was taken of another pipeline.
    #[error("a snapshot of another pipeline: {0}")]
    OtherPipeline(String),
    /// An operator finds something else than what it has saved.
    #[error("`{operator}` wants {wanted}, and the snapshot holds {held} there")]
    OtherType {
        /// The operator that is to be restored.
        operator: &'static str,
        /// What the snapshot holds in its place, and of which operator.
        held: String,
        /// The name of the type that it wants.
        wanted: &'static str,
    },
}

/// A checkpoint that cannot be kept, or that the pipeline cannot go on from.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The disk or a file failed.
    #[error(transparent)]
    Io(#[from] IoError),
    /// Somebody else writes checkpoints there.
    #[error("{directory}: checkpoints are being written there by another process")]
    Locked {
        /// The directory.
        directory: String,
    },
    /// A savepoint cannot have this name.
    #[error("`{0}` is no name for a savepoint: letters, digits, `-`, `_` and `.`")]
    Name(String),
    /// It is there already, and what is there is never written over.
    #[error("{file}: there is one of that name already; remove it, or choose another name")]
    Exists {
        /// The file of its manifest.
        file: String,
    },
    /// A file is not the one that was written.
    #[error("{file}: {reason}")]
    Damaged {
        /// The file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// It was taken of something else.
    #[error("{file}: {reason}")]
    Unfit {
        /// The file of its manifest.
        file: String,
        /// In what it differs.
        reason: String,
    },
    /// The newest one cannot be gone on from.
    #[error(
        "the newest checkpoint is of no use: {reason}; {}",
        match .would_do {
            Some(name) => format!("the newest one that would do is {name}"),
            None => "there is none that would do".to_owned(),
        }
    )]
    Refused {
        /// Why.
        reason: Box<CheckpointError>,
        /// The file of the manifest of the newest one that can.
        would_do: Option<String>,
    },
}

/// A journal that is damaged, in use, or cannot be written. Every record before the damage can be
/// read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk or a file failed.
    #[error(transparent)]
    Io(#[from] IoError),
    /// What was written is not there any more: a flipped bit, a block of something else. It is no
    /// torn tail, since what was written later says that it had been durable.
    #[error("{file}: damaged at byte {offset}, record {sequence}: {reason}")]
    Damaged {
        /// The segment.
        file: String,
        /// Where in it.
        offset: u64,
        /// The record that should be there; every one before it can be read.
        sequence: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// A segment is not there, and others before and after it are.
    #[error("{file}: missing; it would begin with record {sequence}")]
    Missing {
        /// The segment.
        file: String,
        /// The record that it would begin with; every one before it can be read.
        sequence: u64,
    },
    /// A segment of another journal.
    #[error("{file}: a segment of another journal ({found:016x}, this is {journal:016x})")]
    Foreign {
        /// The segment.
        file: String,
        /// The journal that it belongs to.
        found: u64,
        /// The journal that the segments before it belong to.
        journal: u64,
    },
    /// A segment in a later format.
    #[error("{file}: version {version} of the format; this program reads up to {known}")]
    Newer {
        /// The segment.
        file: String,
        /// Its version.
        version: u32,
        /// The latest version that is known.
        known: u32,
    },
    /// The journal is open for writing elsewhere.
    #[error("{directory}: in use by another process, or open in this one")]
    Locked {
        /// The journal's directory.
        directory: String,
    },
    /// The first records have been removed by retention, or have not been written yet.
    #[error("record {wanted} is not in the journal, which holds {first} up to before {end}")]
    Gone {
        /// The record that was asked for.
        wanted: u64,
        /// The first that there is.
        first: u64,
        /// The one behind the last.
        end: u64,
    },
    /// A record is longer than a slot's buffer has room for.
    #[error("a record of {bytes} bytes, at most {most} fit: raise `slot_bytes`")]
    TooLong {
        /// The length of the record.
        bytes: usize,
        /// The most that one may have.
        most: usize,
    },
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "it did not say why".to_owned())
}

/// Why a table could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// As many questions wait as may: ask again later.
    #[error("too many questions wait for this table: ask again later")]
    Full,
    /// No pipeline shows the table: it is not built yet, or it is over.
    #[error("no pipeline shows this table now")]
    Closed,
    /// No answer in time. It may still come, and nobody will hear it.
    #[error("the shards did not answer in time")]
    Timeout,
}

/// A full queue, and the value it did not take.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Full<T>(pub T);

impl<T> std::fmt::Debug for Full<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Full(..)")
    }
}

impl<T> From<Full<T>> for Error {
    fn from(_: Full<T>) -> Self {
        Self::Full
    }
}
