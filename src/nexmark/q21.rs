//! Query 21: the identity of a channel. Text that is looked into.

use serde::{Deserialize, Serialize};

use super::model::Bid;
use super::words::Channel;
use crate::dataflow::{Stage, Stream};
use crate::state::Text;

/// A bid and the identity of its channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identified {
    /// As in the bid.
    pub auction: u64,
    /// As in the bid.
    pub bidder: u64,
    /// As in the bid, in cents.
    pub price: u64,
    /// As in the bid.
    pub channel: Channel,
    /// A number that is known for it, or the one in the address.
    pub channel_id: Text<12>,
}

/// The bids whose channel has an identity.
///
/// ```sql
/// SELECT auction, bidder, price, channel, CASE lower(channel)
///     WHEN 'apple' THEN '0' WHEN 'google' THEN '1' WHEN 'facebook' THEN '2' WHEN 'baidu' THEN '3'
///     ELSE regexp_extract(url, '(&|^)channel_id=([^&]*)', 2) END AS channel_id
/// FROM bid WHERE channel_id IS NOT NULL
/// ```
///
/// Keeps nothing. The regular expression is what stands behind `channel_id=` in one of the pieces
/// between ampersands.
pub fn q21<'p>(
    bids: Stream<'p, impl Stage<Out = Bid>>,
) -> Stream<'p, impl Stage<Out = Identified>> {
    bids.filter_map(|Bid { auction, bidder, price, channel, url, .. }| {
        let known = ["apple", "google", "facebook", "baidu"].into_iter().zip(["0", "1", "2", "3"]);
        let is_it = |name: &str| channel.as_str().eq_ignore_ascii_case(name);
        let known = known.into_iter().find_map(|(name, id)| is_it(name).then_some(id));
        let mut pieces = url.as_str().split('&');
        let id = known.or_else(|| pieces.find_map(|piece| piece.strip_prefix("channel_id=")))?;
        let channel_id = Text::new(id)?;
        Some(Identified { auction, bidder, price, channel, channel_id })
    })
}
