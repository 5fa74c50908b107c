//! Bars in the caller's own loop: no thread of ours, and no system call in `step`.
//!
//! A trading system has a loop already: it polls its feed, decides, sends orders. An embedded
//! pipeline is one more call in that loop. Values go in by `push`, which hands them back when the
//! input is full; `step` does a bounded piece of work; results come out by `pop`.
//!
//! Run it with `cargo run --example embedded`.

use millstream::aggregates::{Ohlc, count, ohlc};
use millstream::{Config, Full, Shard, Text, Timestamp, Tumbling, ms};

#[derive(Clone, Copy)]
struct Trade {
    symbol: Text<4>,
    price: f64,
}

/// A made-up feed: two symbols in turn, a trade every 250 us, a price that wanders.
fn trade(n: i64) -> (Timestamp, Trade) {
    let symbol = if n % 2 == 0 { Text::literal("MSFT") } else { Text::literal("AAPL") };
    let price = 100.0 + (n * 37 % 101) as f64 / 10.0;
    (Timestamp::from_nanos(n * 250_000), Trade { symbol, price })
}

fn main() -> millstream::Result<()> {
    // The input is small, so that this feed fills it: it holds 64 trades, and a burst is 100.
    let config = Config { embedded_capacity: 64, ..Config::embedded() };
    let (mut shard, (mut trades, mut bars)) = Shard::embed(config, |p| {
        let (input, trades) = p.input::<Trade>();
        let bars = trades
            .key_by(|trade| trade.symbol)
            .window(Tumbling::of(ms(100)))
            .aggregate((count(), ohlc(|trade: &Trade| trade.price)))
            .output();
        Ok((input, bars))
    })?;

    let mut refused = 0;
    for burst in 0..20 {
        for n in burst * 100..(burst + 1) * 100 {
            let (at, mut next) = trade(n);
            // Full is back-pressure: the trade comes back, the shard makes room, and we try again.
            // Somebody who would rather lose it than wait drops it here instead.
            while let Err(Full(same)) = trades.push(at, next) {
                refused += 1;
                shard.step(at);
                next = same;
            }
        }
        // The only clock is the one we pass in. Here it is that of the feed.
        shard.step(trade((burst + 1) * 100).0);
        while let Some(bar) = bars.pop() {
            print_bar(bar.value.key, bar.at, bar.value.value);
        }
    }

    // Without more input every window closes. A shard that failed does nothing more, and says why.
    trades.close();
    while !shard.is_done() {
        shard.step(trade(2000).0);
        if let Some(error) = shard.take_failure() {
            return Err(error);
        }
        while let Some(bar) = bars.pop() {
            print_bar(bar.value.key, bar.at, bar.value.value);
        }
    }
    println!("{refused} pushes were refused and tried again; {}", shard.counters().snapshot());
    Ok(())
}

fn print_bar(symbol: Text<4>, last: Timestamp, (count, bar): (u64, Ohlc)) {
    let Ohlc { open, high, low, close } = bar;
    let end_ms = (last.as_nanos() + 1) / 1_000_000;
    println!("{symbol} {end_ms:>3} ms: {count} trades, {open:.1} {high:.1} {low:.1} {close:.1}");
}
