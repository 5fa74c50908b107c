//! What is no error, and nobody may miss.

use std::fmt;

use crate::error::CheckpointError;

/// Something about the checkpoints in a store that whoever runs it must hear of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A manifest that cannot be read. It takes no place among those that are kept, and whatever
    /// may be its own stays until somebody has looked into it.
    Unreadable {
        /// The file of the manifest.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A savepoint that cannot be read, and no file says any more how new it is. What is taken for
    /// the newest checkpoint may be older.
    OfUnknownAge {
        /// The file of its manifest.
        file: String,
    },
    /// What is too much could not be removed. It is tried again when the next one is kept.
    NotRemoved {
        /// What went wrong.
        reason: String,
    },
    /// A savepoint was asked for and cannot have its name. An ordinary checkpoint was taken.
    NotNamed {
        /// Why not.
        reason: String,
    },
}

impl Notice {
    pub(super) fn unreadable(file: &str, error: CheckpointError) -> Self {
        let reason = match error {
            CheckpointError::Damaged { reason, .. } => reason,
            error => error.to_string(),
        };
        Self::Unreadable { file: file.to_owned(), reason }
    }

    pub(super) fn not_removed(error: &CheckpointError) -> Self {
        Self::NotRemoved { reason: error.to_string() }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { file, reason } => {
                write!(f, "{file} counts for nothing, and its files stay: {reason}")
            }
            Self::OfUnknownAge { file } => write!(
                f,
                "nothing says how new {file} is; the newest checkpoint may be older than that"
            ),
            Self::NotRemoved { reason } => {
                write!(f, "there are more checkpoints than are kept: {reason}")
            }
            Self::NotNamed { reason } => write!(f, "no savepoint was taken: {reason}"),
        }
    }
}
