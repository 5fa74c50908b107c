//! What happened, counted by reason.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::metrics::counts;

counts! {
    /// Connections that were taken in.
    Accepted "accepted",
    /// Connections that were answered 503 at once, since there were as many as there may be.
    Refused "refused",
    /// Times that the system could not accept: it may have no descriptors left.
    NotAccepted "not_accepted",
    /// Connections that are over, however they ended.
    Closed "closed",
    /// Connections that broke, or said what is no HTTP, or nothing for too long.
    Broken "broken",
    /// Connections that took too long to shake hands.
    Unready "unready",
    /// Connections that made room for others since they took longest to shake hands.
    Crowded "crowded",
    /// Connections that say something else than TLS, or a kind of it that is not taken.
    NotTls "not_tls",
    /// Connections of which a certificate is asked, and which show none.
    NoCertificate "no_certificate",
    /// Certificates whose time is over, or has not come.
    Expired "expired",
    /// Certificates by somebody who is not trusted, or for something else.
    ForeignCertificate "foreign_certificate",
    /// Connections that the other end gave up because of what it was shown.
    NotTrusted "not_trusted",
    /// Requests of nobody who is known, of a foreign page, or by a foreign name of this host.
    Forbidden "forbidden",
    /// Requests of somebody who may not what he wants.
    NotPermitted "not_permitted",
    /// Requests for what is not there, or by a method that is not taken there.
    Unknown "unknown",
    /// Bodies that are too long, or have too many lines.
    TooLong "too_long",
    /// Bodies that took too long to come.
    SlowBody "slow_body",
    /// Bodies that ended before their end.
    CutShort "cut_short",
    /// Requests that were refused since there was no room in time.
    Full "full",
    /// Requests that no pipeline was there for.
    Absent "absent",
    /// Requests with what is no record.
    Malformed "malformed",
    /// Lines of a kind that their codec leaves out.
    Skipped "skipped",
    /// Records that were taken in.
    Taken "taken",
    /// Requests whose records were taken, and were not known to be durable in time.
    Unsure "unsure",
    /// Questions that were put to the pipeline.
    Asked "asked",
    /// Those that it answered in time.
    Answered "answered",
    /// Those that it answered, in time, with nothing.
    Declined "declined",
    /// Those that it did not answer in time.
    TimedOut "timed_out",
    /// Answers to what nobody waits for any more, or has asked.
    Unasked "unasked",
    /// Subscribers that came.
    Subscribed "subscribed",
    /// Subscribers that were refused, since there were as many as there may be.
    NotSubscribed "not_subscribed",
    /// Subscribers that are gone, for whatever reason.
    Unsubscribed "unsubscribed",
    /// Subscribers that were disconnected because they were too slow.
    TooSlow "too_slow",
    /// Records that were published.
    Published "published",
    /// Records that could not be published: no text, too long, or writing them panicked.
    Unwritable "unwritable",
    /// Records that a shard did not get rid of, since the ring was full.
    Lost "lost",
    /// Records that are in no snapshot, since there were as many keys as there may be.
    NotKept "not_kept",
    /// Records that were sent, over all subscribers.
    Sent "sent",
    /// Records that a slow subscriber got no more since a later one of their key had come.
    Conflated "conflated",
    /// Records that a slow subscriber did not get.
    Dropped "dropped",
}

const COUNTS: usize = Count::ALL.len();

/// Counts of a server that anybody reads. Clones are the same counts.
///
/// ```
/// use millstream::web::{Count, Counts};
///
/// let counts = Counts::default();
/// assert_eq!(counts.get(Count::Taken), 0);
/// assert_eq!(counts.all().count(), Count::ALL.len());
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
