//! Query 10: a log in parts, by day and minute.

use serde::{Deserialize, Serialize};

use super::model::Bid;
use super::streams::{day, minute};
use super::words::Phrase;
use crate::dataflow::{Stage, Stream};
use crate::state::Text;
use crate::time::Timestamp;

/// A bid, and which part of the log it belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Logged {
    /// As in the bid.
    pub auction: u64,
    /// As in the bid.
    pub bidder: u64,
    /// As in the bid, in cents.
    pub price: u64,
    /// As in the bid.
    pub at: Timestamp,
    /// As in the bid.
    pub extra: Phrase,
    /// As 2015-07-15.
    pub day: Text<10>,
    /// As 13:05.
    pub minute: Text<5>,
}

/// Every bid, with its day and its minute.
///
/// ```sql
/// SELECT auction, bidder, price, at, extra, strftime(at, '%Y-%m-%d'), strftime(at, '%H:%M')
/// FROM bid
/// ```
///
/// Keeps nothing. The original writes a file for each minute, and is done with it a minute later;
/// here that is the sink's: one of files that show up epoch by epoch is in
/// [`commit`](crate::commit).
pub fn q10<'p>(bids: Stream<'p, impl Stage<Out = Bid>>) -> Stream<'p, impl Stage<Out = Logged>> {
    bids.map(|Bid { auction, bidder, price, at, extra, .. }| {
        let (day, minute) = (date(day(at)), time_of_day(minute(at)));
        Logged { auction, bidder, price, at, extra, day, minute }
    })
}

/// A minute of a day, as 13:05.
pub fn time_of_day(minute: u16) -> Text<5> {
    let (hour, minute) = (minute / 60, minute % 60);
    let digits = [hour / 10, hour % 10, 10, minute / 10, minute % 10];
    text(&digits)
}

/// A day since 1970, as 2015-07-15: years of 400 years with 146 097 days, beginning in March.
pub fn date(day: i64) -> Text<10> {
    let days = day + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = (of_year - (153 * month + 2) / 5 + 1) as u16;
    let month = if month < 10 { month + 3 } else { month - 9 } as u16;
    let year = (era * 400 + year + i64::from(month < 3)) as u16;
    let digits = [
        year / 1000,
        year / 100 % 10,
        year / 10 % 10,
        year % 10,
        11,
        month / 10,
        month % 10,
        11,
        of_month / 10,
        of_month % 10,
    ];
    text(&digits)
}

/// Digits, a colon for 10, a dash for 11.
fn text<const N: usize>(digits: &[u16; N]) -> Text<N> {
    let bytes = digits.map(|digit| b"0123456789:-"[usize::from(digit.min(11))]);
    std::str::from_utf8(&bytes).ok().and_then(Text::new).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_dates() {
        let dates = [(0, "1970-01-01"), (59, "1970-03-01"), (16_631, "2015-07-15")];
        let around = [(11_016, "2000-02-29"), (-1, "1969-12-31")];
        for (number, text) in dates.into_iter().chain(around) {
            assert_eq!(date(number).as_str(), text);
        }
        assert_eq!(time_of_day(13 * 60 + 5).as_str(), "13:05");
    }
}
