//! Query 4: what is paid on average in a category. A running value by key, as a table.

use super::model::{Auction, Bid};
use super::winning::paid;
use crate::dataflow::{Change, Stage, Stream};
use crate::table::Changes;

/// The average price of the auctions of each category that are over, in whole cents.
///
/// ```sql
/// SELECT category, avg(final) FROM (
///     SELECT max(b.price) AS final, a.category FROM auction a JOIN bid b
///     ON a.id = b.auction AND b.at BETWEEN a.at AND a.expires GROUP BY a.id, a.category)
/// GROUP BY category
/// ```
///
/// A table of changes, by category. The SQL counts auctions that are still open, with their best
/// bid so far; here each is counted once, when it is [over](super::winning). In the end that is
/// the same.
/// Keeps the auctions that are open, a sum and a count by category.
pub fn q04<'p>(
    auctions: Stream<'p, impl Stage<Out = Auction>>,
    bids: Stream<'p, impl Stage<Out = Bid>>,
) -> Changes<'p, u64, u64, impl Stage<Out = (u64, Change<u64>)>> {
    paid(auctions, bids, |auction| auction.category)
        .map(|(category, price)| (category, price, 1))
        .key_by(|paid| paid.0)
        .reduce(|all, (_, price, count)| (all.1, all.2) = (all.1 + price, all.2 + count))
        .map(|(category, (_, sum, count))| (category, sum / count))
        .partitioned_by(|average| average.0)
        .table(|average| Some(average.1))
}
