//! What a journal says about itself: counts, and the things nobody may miss.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::io::journal::sequence::Sequence;
use crate::io::journal::settings::OnFull;

/// Something that whoever runs the journal must hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The disk is full, and this is what happens to records from now on.
    DiskFull(OnFull),
    /// There is room again. So many records were refused or not journalled in the meantime.
    Resumed {
        /// Records that were refused.
        shed: u64,
        /// Records that were taken and are not in the journal.
        skipped: u64,
    },
    /// The journal has failed: nothing more becomes durable.
    Failed,
}

impl std::fmt::Display for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::DiskFull(OnFull::Stop) => f.write_str("the disk is full: the journal stops"),
            Self::DiskFull(OnFull::Shed) => f.write_str("the disk is full: records are shed"),
            Self::DiskFull(OnFull::GoOn) => {
                f.write_str("the disk is full: records go on WITHOUT BEING DURABLE")
            }
            Self::Resumed { shed, skipped } => write!(
                f,
                "the disk has room again: {shed} records were shed, {skipped} are not journalled"
            ),
            Self::Failed => f.write_str("the journal has failed: nothing more becomes durable"),
        }
    }
}

/// What a journal has done since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Records taken and put into groups.
    pub records: u64,
    /// Groups written, each a write of its own.
    pub groups: u64,
    /// Bytes written, with headers and zeros.
    pub bytes: u64,
    /// Records refused because all buffers were being written or no segment was ready.
    pub full: u64,
    /// Records refused because the disk was full.
    pub shed: u64,
    /// Records taken and not written because the disk was full.
    pub skipped: u64,
    /// Times that the disk was full.
    pub disk_full: u64,
    /// Segments made.
    pub segments_made: u64,
    /// Segments removed.
    pub segments_removed: u64,
}

/// How far a journal has got, to be looked at from anywhere.
#[derive(Clone, Debug, Default)]
pub struct Durable(Arc<Far>);

#[derive(Debug, Default)]
struct Far {
    taken: AtomicU64,
    durable: AtomicU64,
}

impl Durable {
    /// What [`released`](super::Journal::released) said when the journal was last polled.
    pub fn get(&self) -> Sequence {
        Sequence(self.0.durable.load(Ordering::Acquire))
    }

    /// The sequence of the next record that the journal takes: whoever sees something that came of
    /// a record sees this behind it.
    pub fn taken(&self) -> Sequence {
        Sequence(self.0.taken.load(Ordering::Acquire))
    }

    pub(in crate::io) fn set(&self, sequence: Sequence) {
        self.0.durable.store(sequence.0, Ordering::Release);
    }

    #[inline(always)]
    pub(in crate::io) fn take(&self, next: Sequence) {
        self.0.taken.store(next.0, Ordering::Release);
    }
}
