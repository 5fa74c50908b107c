//! A trade, and the bar that a window makes of trades.

use serde::{Deserialize, Serialize};

use crate::dataflow::{Record, Stage, Stream};
use crate::io::csv::Line;
use crate::state::Key;
use crate::window::aggregates::{Ohlc, count, ohlc, sum, vwap};
use crate::window::{Aggregate, Sliding, Windowed};

/// A trade of a `K`, and what else its source knows about it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Trade<K, O = ()> {
    /// What was traded.
    pub key: K,
    /// At what price.
    pub price: f64,
    /// How much of it; negative takes back an earlier trade.
    pub qty: f64,
    /// Where it comes from.
    pub origin: O,
}

/// What a bar says: open, high, low and close; average price; volume; number of trades.
pub type Figures = (Ohlc, f64, f64, u64);

/// A bar.
pub type Bar<K> = Windowed<K, Figures>;

/// The columns of a bar in a CSV file.
pub const HEADER: &str = "key,window_start_ns,window_end_ns,open,high,low,close,volume,vwap,count";

/// What a window makes of its trades.
pub fn figures<K: Key, O: 'static>() -> impl Aggregate<Trade<K, O>, Out = Figures> {
    let price = |trade: &Trade<K, O>| trade.price;
    let qty = |trade: &Trade<K, O>| trade.qty;
    (ohlc(price), vwap(price, qty), sum(qty), count())
}

/// Trades into bars.
pub fn bars<'p, K: Key>(
    trades: Stream<'p, impl Stage<Out = Trade<K>>>,
    window: Sliding,
) -> Stream<'p, impl Stage<Out = Bar<K>>> {
    trades.key_by(|trade| trade.key).window(window).aggregate(figures())
}

/// Writes a bar as a line; `key` adds its key.
pub fn line<K>(
    mut key: impl FnMut(&K, &mut Line<'_>) + 'static,
) -> impl FnMut(&Record<Bar<K>>, &mut Line<'_>) + 'static {
    move |record, line| {
        let bar = &record.value;
        let (ohlc, vwap, volume, count) = &bar.value;
        key(&bar.key, line);
        line.time(bar.span.start).time(bar.span.end);
        line.number(ohlc.open).number(ohlc.high).number(ohlc.low).number(ohlc.close);
        line.number(volume).number(vwap).number(count);
    }
}

/// Looks at every figure of a bar, so that the compiler can leave none out.
pub fn fold<K>(sum: f64, bar: &Bar<K>) -> f64 {
    let (ohlc, vwap, volume, count) = &bar.value;
    sum + ohlc.open + ohlc.high + ohlc.low + ohlc.close + vwap + volume + *count as f64
}
