//! Query 13: more about an auction from a table that does not change. A lookup.

use serde::{Deserialize, Serialize};

use super::model::Bid;
use crate::dataflow::{Stage, Stream};
use crate::lookup::TableLookup;
use crate::state::Text;
use crate::time::Timestamp;

/// So many rows has the table.
const ROWS: u64 = 10_000;

/// A bid, and what the table says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Enriched {
    /// As in the bid.
    pub auction: u64,
    /// As in the bid.
    pub bidder: u64,
    /// As in the bid, in cents.
    pub price: u64,
    /// As in the bid.
    pub at: Timestamp,
    /// The row of the auction.
    pub value: Text<8>,
}

/// Every bid, with the row of its auction in a table of ten thousand.
///
/// ```sql
/// SELECT b.auction, b.bidder, b.price, b.at, s.value FROM bid b
/// JOIN side_input s ON b.auction % 10000 = s.key
/// ```
///
/// The table is in the memory of each shard, and answers at once. One that is in a file that
/// changes, or in a server, is asked in the same words. A row says its own number, as in the
/// original.
pub fn q13<'p>(bids: Stream<'p, impl Stage<Out = Bid>>) -> Stream<'p, impl Stage<Out = Enriched>> {
    let row = |key: u64| (key, Text::<8>::new(&key.to_string()).unwrap_or_default());
    let table = TableLookup::new((0..ROWS).map(row));
    bids.lookup(table, |bid| bid.auction % ROWS).inner().map(|(bid, value)| {
        let Bid { auction, bidder, price, at, .. } = bid;
        Enriched { auction, bidder, price, at, value }
    })
}
