//! One-second bars of trades, on two pinned shards.
//!
//! `cargo run --release --example market_bars -- trades.csv` reads a file with the columns `ts_ms`,
//! `symbol`, `price` and `qty`, at most 5 ms out of order; without a file it makes three seconds of
//! trades up. The bars come out as CSV, the same on any number of shards.

use millstream::aggregates::{Ohlc, count, ohlc, sum, vwap};
use millstream::io::csv::{Columns, CsvSink, CsvSource, Line, Row, TimeUnit};
use millstream::io::{Generator, MemorySource};
use millstream::{Config, Engine, Record, Result, Shards, Stage, Stream};
use millstream::{Text, Timestamp, Tumbling, Watermarks, Windowed, ms, secs};

#[derive(Clone, Copy)]
struct Trade {
    at: Timestamp,
    symbol: Text<16>,
    price: f64,
    qty: f64,
}

fn main() -> Result<()> {
    let file = std::env::args().nth(1);
    let config = Config { shards: Shards::Count(2), ..Config::default() };
    println!("symbol,end_ns,open,high,low,close,volume,vwap,count");
    // The closure builds the pipeline, once on each shard. A file is read by the first one alone.
    let summary = Engine::new(config)?.run(move |p| match &file {
        None => {
            let trades = Generator::flat_out(1e5, made_up)?.duration(secs(3));
            bars(p.source(trades.share(p.shard(), p.shards())))
        }
        Some(path) if p.shard() == 0 => {
            let columns = Columns::of(["ts_ms", "symbol", "price", "qty"]);
            bars(p.source(CsvSource::open(path, columns, decode)?))
        }
        Some(_) => bars(p.source(MemorySource::empty())),
    })?;
    eprintln!("latency: {:?}", summary.latencies.to_sink.percentiles());
    Ok(())
}

/// Trades to bars: each symbol's trades go to the shard that owns it, its bars to the first shard,
/// which puts them in order and writes them.
fn bars(trades: Stream<'_, impl Stage<Out = Trade>>) -> Result<()> {
    trades
        .event_time(|trade| trade.at, Watermarks::bounded_disorder(ms(5)))
        .key_by(|trade| trade.symbol)
        .window(Tumbling::of(secs(1)))
        .aggregate((
            ohlc(|trade: &Trade| trade.price),
            sum(|trade: &Trade| trade.qty),
            vwap(|trade: &Trade| trade.price, |trade: &Trade| trade.qty),
            count(),
        ))
        .ordered(|bar| bar.key)
        .sink(CsvSink::create("-", "", write)?);
    Ok(())
}

/// A line of the file, or why it is none: then it is a dead letter, and the next line follows.
fn decode(row: &Row<'_>) -> Result<Record<Trade>, String> {
    let at = row.time(0, TimeUnit::Ms)?;
    let symbol = row.text(1)?.try_into().map_err(|_| "symbol: longer than 16 bytes")?;
    Ok(Record::new(at, Trade { at, symbol, price: row.finite(2)?, qty: row.finite(3)? }))
}

/// Trade number `n`: two symbols in turn, and a price that wanders.
fn made_up(n: u64, at: Timestamp) -> Trade {
    let symbol = if n.is_multiple_of(2) { Text::literal("MSFT") } else { Text::literal("AAPL") };
    Trade { at, symbol, price: 100.0 + (n * 37 % 101) as f64 / 10.0, qty: (1 + n % 7) as f64 }
}

fn write(bar: &Record<Windowed<Text<16>, (Ohlc, f64, f64, u64)>>, line: &mut Line<'_>) {
    let (Ohlc { open, high, low, close }, volume, vwap, count) = bar.value.value;
    line.text(&bar.value.key).time(bar.value.span.end);
    line.number(open).number(high).number(low).number(close);
    line.number(volume).number(vwap).number(count);
}
