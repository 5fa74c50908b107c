//! Where the time of records and results went.

use super::Latency;
use crate::time::Timestamp;

/// When a batch passed the places on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamps {
    /// When its oldest record arrived or was due: what latency counts from.
    pub intended: Timestamp,
    /// When its source was asked for it: the start of that step.
    pub received: Timestamp,
    /// When the shard that owns its keys took it in: the start of that step.
    pub dequeued: Timestamp,
}

impl Default for Stamps {
    fn default() -> Self {
        let (intended, received, dequeued) = (Timestamp::MIN, Timestamp::MIN, Timestamp::MIN);
        Self { intended, received, dequeued }
    }
}

/// What [`Stamps::waited_ns`] says of a batch whose stamps got lost.
const LOST: u32 = u32::MAX;

impl Stamps {
    /// Of a batch that a source gives in a step that began at `now`.
    #[inline(always)]
    pub const fn received(intended: Timestamp, now: Timestamp) -> Self {
        Self { intended, received: now, dequeued: now }
    }

    /// Of a batch that comes over an edge in a step that began at `now`, and had waited so long for
    /// its source to be asked.
    #[inline(always)]
    pub const fn dequeued(intended: Timestamp, waited_ns: u32, now: Timestamp) -> Self {
        if waited_ns == LOST {
            return Self { intended: Timestamp::MIN, received: now, dequeued: now };
        }
        Self { intended, received: intended.offset(waited_ns as i64), dequeued: now }
    }

    /// How long the batch of this ingress waited for its source to be asked, at most 4.29 s, in the
    /// few bytes that there is room for in a mark between two shards.
    #[inline(always)]
    pub const fn waited_ns(&self, ingress: Timestamp) -> u32 {
        if !self.is_of(ingress) {
            return LOST;
        }
        let waited = self.received.since(self.intended);
        if waited >= LOST as u64 { LOST - 1 } else { waited as u32 }
    }

    /// Whether they are of a batch with this ingress: an operator that held records back, and
    /// remembers their ingress alone, goes on with the stamps of another one.
    #[inline(always)]
    pub const fn is_of(&self, ingress: Timestamp) -> bool {
        self.intended.0 == ingress.0
    }
}

/// Latency in pieces: where the time went of records on their way to keyed state, and of results on
/// their way to a sink.
///
/// A piece is a difference of two stamps of the same batch, so pieces add up to the whole for every
/// batch; their means add up to its mean, their percentiles do not. Takes 6 MB, all of it at
/// construction; recording neither allocates nor fails.
#[derive(Clone, Debug, Default)]
pub struct Breakdown {
    /// Of records: [`RECORDS`](Self::RECORDS).
    pub records: [Latency; 3],
    /// Of results, from the batch that completed them on: [`RESULTS`](Self::RESULTS).
    pub results: [Latency; 4],
    /// Records and results whose batch was not known any more, because an operator held them back.
    pub unknown: u64,
}

impl Breakdown {
    /// Between which stamps the time of a record goes.
    pub const RECORDS: [&str; 3] =
        ["intended to received", "received to dequeued", "dequeued to updated"];
    /// Between which stamps the time of a result goes.
    pub const RESULTS: [&str; 4] =
        ["intended to received", "received to dequeued", "dequeued to emitted", "emitted to sent"];

    /// `n` records of a batch updated keyed state at `now`.
    pub fn updated(&mut self, stamps: &Stamps, ingress: Timestamp, now: Timestamp, n: u64) {
        if !stamps.is_of(ingress) {
            self.unknown += n;
            return;
        }
        let Stamps { intended, received, dequeued } = *stamps;
        record(&mut self.records, [intended, received, dequeued, now], n);
    }

    /// `n` results of a batch were with the sink at `emitted`, and published at `now`.
    pub fn sent(
        &mut self,
        stamps: &Stamps,
        ingress: Timestamp,
        [emitted, now]: [Timestamp; 2],
        n: u64,
    ) {
        if !stamps.is_of(ingress) {
            self.unknown += n;
            return;
        }
        let Stamps { intended, received, dequeued } = *stamps;
        record(&mut self.results, [intended, received, dequeued, emitted, now], n);
    }

    /// Forgets every sample, and starts time again at `origin`.
    pub fn clear(&mut self, origin: Timestamp) {
        self.records.iter_mut().chain(&mut self.results).for_each(|it| it.clear(origin));
        self.unknown = 0;
    }

    /// Adds another shard's. For the report: it allocates.
    pub fn merge(&mut self, other: &Self) {
        let theirs = other.records.iter().chain(&other.results);
        for (mine, theirs) in self.records.iter_mut().chain(&mut self.results).zip(theirs) {
            mine.merge(theirs);
        }
        self.unknown += other.unknown;
    }
}

/// Records the pieces between stamps that follow each other. Where clocks of a step and of a batch
/// disagree by a little, a piece is nothing, and the next one begins where it did.
fn record<const N: usize, const M: usize>(
    pieces: &mut [Latency; N],
    stamps: [Timestamp; M],
    n: u64,
) {
    let (mut from, now) = (stamps[0], stamps[M - 1]);
    for (piece, at) in pieces.iter_mut().zip(&stamps[1..]) {
        piece.record(now, at.since(from), n);
        from = from.max(*at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamps() -> Stamps {
        let [intended, received, dequeued] = [1_000, 1_200, 1_500].map(Timestamp);
        Stamps { intended, received, dequeued }
    }

    #[test]
    fn pieces_add_up() {
        let mut all = Breakdown::default();
        all.updated(&stamps(), Timestamp(1_000), Timestamp(1_600), 3);
        all.sent(&stamps(), Timestamp(1_000), [2_000, 2_050].map(Timestamp), 1);
        let max = |of: &[Latency]| of.iter().map(|it| it.percentiles().max).collect::<Vec<_>>();
        assert_eq!(max(&all.records), [200, 300, 100]);
        assert_eq!(max(&all.results), [200, 300, 500, 50]);
        assert_eq!((all.records[0].samples(), all.results[0].samples()), (3, 1));
        all.merge(&all.clone());
        assert_eq!((all.records[2].samples(), all.unknown), (6, 0));
        all.clear(Timestamp(0));
        assert_eq!(all.results[3].samples(), 0);
    }

    #[test]
    fn what_lost_its_stamps_is_counted_and_not_made_up() {
        let mut all = Breakdown::default();
        all.updated(&stamps(), Timestamp(999), Timestamp(1_600), 3);
        all.sent(&stamps(), Timestamp(999), [2_000, 2_050].map(Timestamp), 2);
        assert_eq!((all.unknown, all.records[0].samples(), all.results[0].samples()), (5, 0, 0));
    }

    #[test]
    fn a_wait_travels_in_four_bytes() {
        let now = Timestamp(1_900);
        let ours = stamps().waited_ns(Timestamp(1_000));
        let there = Stamps::dequeued(Timestamp(1_000), ours, now);
        assert_eq!(there, Stamps { dequeued: now, ..stamps() });
        let lost = Stamps::dequeued(Timestamp(7), stamps().waited_ns(Timestamp(7)), now);
        assert!(!lost.is_of(Timestamp(7)));
        let long = Stamps::received(Timestamp(0), Timestamp(5_000_000_000));
        let there = Stamps::dequeued(Timestamp(0), long.waited_ns(Timestamp(0)), now);
        assert_eq!(there.received, Timestamp(i64::from(u32::MAX) - 1), "saturated");
        // The clock of a step may be a little behind that of what came.
        let early = Stamps::received(Timestamp(50), Timestamp(40));
        assert_eq!(early.waited_ns(Timestamp(50)), 0);
    }
}
