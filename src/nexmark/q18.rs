//! Query 18: the last bid. A table by event time.

use super::model::Bid;
use crate::dataflow::{Change, Stage, Stream};
use crate::table::{Changes, Versions};

/// The last bid of each bidder for each auction.
///
/// ```sql
/// SELECT * FROM bid QUALIFY row_number() OVER (PARTITION BY bidder, auction ORDER BY at DESC) = 1
/// ```
///
/// A table of changes, by bidder and auction. An older bid that comes late changes nothing. Keeps a
/// bid by bidder and auction, for ever, as the SQL does: at most `keys_max` on a shard. Who has no
/// use for rows that old says `Versions::by_event_time().expiring(..)`, which deletes them.
pub fn q18<'p>(
    bids: Stream<'p, impl Stage<Out = Bid>>,
) -> Changes<'p, (u64, u64), Bid, impl Stage<Out = ((u64, u64), Change<Bid>)>> {
    bids.key_by(|bid| (bid.bidder, bid.auction))
        .table_of(Versions::by_event_time(), |bid| Some(*bid))
}
