//! What happened on the wire, counted by reason.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::net::local::Remote;

/// Something that is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Connections that were taken in.
    Accepted,
    /// Connections that were closed at once, since there were as many as there may be.
    Refused,
    /// Times that the system could not accept: it may have no descriptors left.
    NotAccepted,
    /// Connections that are over, however they ended.
    Closed,
    /// Connections that broke: a reset, a peer that does not answer.
    Broken,
    /// Connections that ended within a record.
    CutShort,
    /// Connections closed because nothing came for too long.
    Idle,
    /// Connections closed because one record took too long to come.
    Slow,
    /// Connections closed because no record could be found: too long, or garbage.
    Garbage,
    /// Records that did not decode.
    Malformed,
    /// Records of a kind that their codec leaves out.
    Skipped,
    /// Bytes received.
    BytesIn,
    /// Bytes sent.
    BytesOut,
    /// Records that a slow or absent peer did not get, over all peers.
    Dropped,
    /// Subscribers that were closed because they were too slow.
    TooSlow,
    /// Attempts to connect that failed.
    NotConnected,
    /// Calls to the system by which sockets were served.
    Calls,
    /// Datagrams longer than they may be.
    TooLong,
    /// Datagrams that the kernel dropped because they were not taken in time.
    Lost,
    /// Connections for which the kernel does TLS.
    ByKernel,
    /// Connections for which a thread beside the shards does TLS.
    ByThread,
    /// Connections that were closed before they were let in because there were too many.
    Crowded,
    /// Connections that took too long to say who they are.
    Unready,
    /// Connections that say something else than TLS, or a kind of it that is not taken.
    NotTls,
    /// Connections of which a certificate is asked, and which show none.
    NoCertificate,
    /// Certificates whose time is over, or has not come.
    Expired,
    /// Certificates by somebody who is not trusted, or for something else.
    ForeignCertificate,
    /// Connections that the other end gave up because of what it was shown.
    Declined,
    /// Connections whose first line is none that is understood.
    NoHello,
    /// Connections with neither a token nor a certificate.
    NoToken,
    /// Tokens that nobody has.
    WrongToken,
    /// Connections that want what they may not, or what there is not.
    NotPermitted,
}

const COUNTS: usize = Count::NotPermitted as usize + 1;

/// Counts that a source or sink adds to and anybody reads. Clones are the same counts.
///
/// ```
/// use millstream::net::{Count, Counts};
///
/// let counts = Counts::default();
/// assert_eq!(counts.get(Count::Accepted), 0);
/// ```
#[derive(Clone, Debug, Default)]
pub struct Counts(Arc<[AtomicU64; COUNTS]>);

impl Counts {
    /// How often it happened, or how many there were.
    pub fn get(&self, count: Count) -> u64 {
        self.0[count as usize].load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn add(&self, count: Count, more: u64) {
        if more > 0 {
            self.0[count as usize].fetch_add(more, Ordering::Relaxed);
        }
    }
}

/// Why a record was left out or a connection closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The other end.
    pub peer: Remote,
    /// The byte of the connection, from 0, at which the record begins that it is about.
    pub offset: u64,
    /// What it is counted as.
    pub count: Count,
    /// In words.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}: {}", self.peer, self.offset, self.reason)
    }
}
