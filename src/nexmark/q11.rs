//! Query 11: how much somebody bids at a time. Sessions.

use serde::{Deserialize, Serialize};

use super::model::Bid;
use crate::dataflow::{Stage, Stream};
use crate::time::{Timestamp, secs};
use crate::window::aggregates::count;
use crate::window::{Session, Windowed};

/// How much somebody bid from when to when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Activity {
    /// The person.
    pub bidder: u64,
    /// How many bids.
    pub bids: u64,
    /// The first moment.
    pub start: Timestamp,
    /// The moment after the last.
    pub end: Timestamp,
}

impl From<Windowed<u64, u64>> for Activity {
    fn from(window: Windowed<u64, u64>) -> Self {
        let Windowed { key, span, value, .. } = window;
        Self { bidder: key, bids: value, start: span.start, end: span.end }
    }
}

/// The bids of each session of each bidder, which ends when they have not bid for ten seconds.
///
/// ```sql
/// SELECT bidder, count(*), session_start(at, 10 s), session_end(at, 10 s) FROM bid
/// GROUP BY bidder, session(at, 10 s)
/// ```
///
/// A bid ten seconds after another still belongs to its session. Keeps a count for each session
/// that is open.
pub fn q11<'p>(bids: Stream<'p, impl Stage<Out = Bid>>) -> Stream<'p, impl Stage<Out = Activity>> {
    bids.map(|bid| bid.bidder)
        .key_by(|bidder| *bidder)
        .session(Session::gap(secs(10)))
        .aggregate(count())
        .map(Activity::from)
}
