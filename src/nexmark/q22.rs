//! Query 22: the folders of an address. Text that is cut.

use serde::{Deserialize, Serialize};

use super::model::Bid;
use super::words::Channel;
use crate::dataflow::{Stage, Stream};
use crate::state::Text;

/// A bid and the first three folders of its address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Folders {
    /// As in the bid.
    pub auction: u64,
    /// As in the bid.
    pub bidder: u64,
    /// As in the bid, in cents.
    pub price: u64,
    /// As in the bid.
    pub channel: Channel,
    /// From the left.
    pub folders: [Text<8>; 3],
}

/// Every bid, with the first three folders of its address.
///
/// ```sql
/// SELECT auction, bidder, price, channel,
///     split(url, '/')[3], split(url, '/')[4], split(url, '/')[5] FROM bid
/// ```
///
/// Keeps nothing.
pub fn q22<'p>(bids: Stream<'p, impl Stage<Out = Bid>>) -> Stream<'p, impl Stage<Out = Folders>> {
    bids.map(|Bid { auction, bidder, price, channel, url, .. }| {
        let mut pieces = url.as_str().split('/').skip(3);
        let folders = [(); 3].map(|()| pieces.next().and_then(Text::new).unwrap_or_default());
        Folders { auction, bidder, price, channel, folders }
    })
}
