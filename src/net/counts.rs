//! What happened on the wire, counted by reason.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::metrics::counts;
use crate::net::local::Remote;

counts! {
    /// Connections that were taken in.
    Accepted "accepted",
    /// Connections that were closed at once, since there were as many as there may be.
    Refused "refused",
    /// Times that the system could not accept: it may have no descriptors left.
    NotAccepted "not_accepted",
    /// Connections that are over, however they ended.
    Closed "closed",
    /// Connections that broke: a reset, a peer that does not answer.
    Broken "broken",
    /// Connections that ended within a record.
    CutShort "cut_short",
    /// Connections closed because nothing came for too long.
    Idle "idle",
    /// Connections closed because one record took too long to come.
    Slow "slow",
    /// Connections closed because no record could be found: too long, or garbage.
    Garbage "garbage",
    /// Records that did not decode.
    Malformed "malformed",
    /// Records of a kind that their codec leaves out.
    Skipped "skipped",
    /// Bytes received.
    BytesIn "bytes_in",
    /// Bytes sent.
    BytesOut "bytes_out",
    /// Records that a slow or absent peer did not get, over all peers.
    Dropped "dropped",
    /// Records that a slow subscriber got no more since a later one of their key had come.
    Conflated "conflated",
    /// Subscribers that were closed because they were too slow.
    TooSlow "too_slow",
    /// Sends that the kernel took from where they were, without copying them.
    Uncopied "uncopied",
    /// Sends that it was to take so and copied after all: it always does where the peer is on this
    /// host.
    CopiedAnyway "copied_anyway",
    /// Sends that were copied since the kernel does not take them otherwise from this socket.
    CopiedRefused "copied_refused",
    /// Sends that were copied since as many others as may be had not been read by the kernel.
    CopiedFull "copied_full",
    /// Attempts to connect that failed.
    NotConnected "not_connected",
    /// Calls to the system by which sockets were served.
    Calls "calls",
    /// Datagrams sent.
    DatagramsOut "datagrams_out",
    /// Datagrams longer than they may be.
    TooLong "too_long",
    /// Datagrams that the kernel dropped because they were not taken in time.
    Lost "lost",
    /// Connections for which the kernel does TLS.
    ByKernel "by_kernel",
    /// Connections for which a thread beside the shards does TLS.
    ByThread "by_thread",
    /// Connections that were closed before they were let in because there were too many.
    Crowded "crowded",
    /// Connections that took too long to say who they are.
    Unready "unready",
    /// Connections that say something else than TLS, or a kind of it that is not taken.
    NotTls "not_tls",
    /// Connections of which a certificate is asked, and which show none.
    NoCertificate "no_certificate",
    /// Certificates whose time is over, or has not come.
    Expired "expired",
    /// Certificates by somebody who is not trusted, or for something else.
    ForeignCertificate "foreign_certificate",
    /// Connections that the other end gave up because of what it was shown.
    Declined "declined",
    /// Connections whose first line is none that is understood.
    NoHello "no_hello",
    /// Connections with neither a token nor a certificate.
    NoToken "no_token",
    /// Tokens that nobody has.
    WrongToken "wrong_token",
    /// Connections that want what they may not, or what there is not.
    NotPermitted "not_permitted",
}

const COUNTS: usize = Count::ALL.len();

/// Counts that a source or sink adds to and anybody reads. Clones are the same counts.
///
/// ```
/// use millstream::net::{Count, Counts};
///
/// let counts = Counts::default();
/// assert_eq!(counts.get(Count::Accepted), 0);
/// assert_eq!(counts.all().next(), Some(("accepted", 0)));
/// ```
#[derive(Clone, Debug)]
pub struct Counts(Arc<[AtomicU64; COUNTS]>);

impl Default for Counts {
    fn default() -> Self {
        Self(Arc::new(std::array::from_fn(|_| AtomicU64::new(0))))
    }
}

impl Counts {
    /// How often it happened, or how many there were.
    pub fn get(&self, count: Count) -> u64 {
        self.0[count as usize].load(Ordering::Relaxed)
    }

    /// Each by its name.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, u64)> {
        Count::ALL.iter().map(|count| (count.name(), self.get(*count)))
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
