//! Query 12: how much somebody bids in ten seconds of the clock. Windows by arrival.

use super::model::Bid;
use super::q11::Activity;
use crate::dataflow::{Stage, Stream};
use crate::time::secs;
use crate::window::Tumbling;
use crate::window::aggregates::count;

/// The bids of each bidder that came in within ten seconds.
///
/// ```sql
/// SELECT bidder, count(*), window_start, window_end FROM tumble(bid, arrived, 10 s)
/// GROUP BY bidder, window_start
/// ```
///
/// For bids that nobody has given an event time: the timestamp of a record is then when its source
/// says that it came in, and windows are of that time. Keeps a count by bidder.
pub fn q12<'p>(bids: Stream<'p, impl Stage<Out = Bid>>) -> Stream<'p, impl Stage<Out = Activity>> {
    bids.map(|bid| bid.bidder)
        .key_by(|bidder| *bidder)
        .window(Tumbling::of(secs(10)))
        .aggregate(count())
        .map(Activity::from)
}
