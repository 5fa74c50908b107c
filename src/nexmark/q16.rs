//! Query 16: the statistics of a day, by channel. Those of query 15 with a key.

use serde::{Deserialize, Serialize};

use super::model::Bid;
use super::q10::{date, time_of_day};
use super::q15::Day;
use super::statistics::statistics;
use super::streams::day;
use super::words::Channel;
use crate::dataflow::{Stage, Stream};
use crate::state::Text;

/// A day of bids through a channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ChannelDay {
    /// The channel.
    pub channel: Channel,
    /// The minute of the last bid, as 13:05.
    pub minute: Text<5>,
    /// The day, and what was counted.
    pub day: Day,
}

/// How many bids, bidders and auctions a day has through each channel, and when the last bid was.
///
/// ```sql
/// SELECT channel, max(strftime(at, '%H:%M')), ... FROM bid GROUP BY channel, day
/// ```
///
/// With the columns of [query 15](super::q15()). When the day is over; keeps
/// [the days that are open](statistics).
pub fn q16<'p>(
    bids: Stream<'p, impl Stage<Out = Bid>>,
) -> Stream<'p, impl Stage<Out = ChannelDay>> {
    statistics(bids, |bid| bid.channel).map(|window| {
        let (counted, day) = (window.value, date(day(window.span.start)));
        let (bids, bidders, auctions) = (counted.bids, counted.bidders, counted.auctions);
        let minute = time_of_day(counted.minute);
        ChannelDay { channel: window.key, minute, day: Day { day, bids, bidders, auctions } }
    })
}
