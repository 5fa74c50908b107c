//! Trades out of a journal into bars, as `millstream bench bars` makes them of a file.

use std::fmt::Write as _;
use std::path::Path;

use super::{ReplayArgs, WINDOW};
use crate::cli::scenario::bars::{Symbol, trade};
use crate::dataflow::{Pipeline, Record};
use crate::error::{Error, IoError};
use crate::io::journal::JournalSource;
use crate::io::{Codec, Directory, codec};
use crate::sim::OutputLog;
use crate::time::{Timestamp, Watermarks};
use crate::window::Sliding;

type Trade = trade::Trade<Symbol, Timestamp>;

/// The most bytes of a trade: a time, a key and two numbers, however long they are.
const BYTES_MAX: usize = 1024;

/// Builds the pipeline: the first shard reads the journal, and all write the log.
pub fn build(
    p: Pipeline<'_>,
    journal: &Path,
    args: &ReplayArgs,
    log: &OutputLog,
) -> Result<(), Error> {
    let open = || {
        let failed = |cause| IoError::new("open", journal.display().to_string(), cause);
        let files = Directory::open(journal).map_err(failed)?;
        Ok::<_, Error>(JournalSource::open(files, trades())?)
    };
    let source = (p.shard() == 0).then(open).transpose()?;
    let disorder = Watermarks::bounded_disorder(args.disorder.unwrap_or_default());
    let size = args.window.unwrap_or(WINDOW);
    p.source(source)
        .event_time(|trade| trade.origin, disorder)
        .key_by(|trade| trade.key)
        .window(Sliding::of(size).every(args.slide.unwrap_or(size)))
        .aggregate(trade::figures())
        .sink(log.sink(write));
    Ok(())
}

fn write(record: &Record<trade::Bar<Symbol>>, text: &mut String) {
    let bar = &record.value;
    let (ohlc, vwap, volume, count) = &bar.value;
    let (key, start, end) = (bar.key.as_str(), bar.span.start.0, bar.span.end.0);
    let (open, high, low, close) = (ohlc.open, ohlc.high, ohlc.low, ohlc.close);
    let _ = write!(text, "{key},{start},{end},{open},{high},{low},{close},{volume},{vwap},{count}");
}

/// Trades as lines of text.
fn trades() -> impl Codec<Value = Trade> {
    let encode = |trade: &Trade, into: &mut Vec<u8>| {
        let Trade { key, price, qty, origin } = trade;
        into.extend(format!("{},{},{price},{qty}", origin.0, key.as_str()).as_bytes());
    };
    codec(BYTES_MAX, encode, |bytes: &[u8]| decode(bytes).ok_or("no trade".to_owned()))
}

fn decode(bytes: &[u8]) -> Option<Trade> {
    let mut fields = std::str::from_utf8(bytes).ok()?.trim_end().split(',');
    let origin = Timestamp(fields.next()?.parse().ok()?);
    let key = Symbol::new(fields.next()?)?;
    let mut number = || fields.next()?.parse::<f64>().ok().filter(|it| it.is_finite());
    let (price, qty) = (number()?, number()?);
    fields.next().is_none().then_some(Trade { key, price, qty, origin })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trades_come_back_as_they_were() {
        let (mut codec, line) = (trades(), b"17,AAPL,585.33,-2");
        let trade = codec.decode(line).unwrap().unwrap();
        let mut bytes = Vec::new();
        codec.encode(&trade, &mut bytes);
        assert_eq!(bytes, line);
        for bad in
            ["", "17", "17,A,1", "17,A,1,x", "17,A,NaN,1", "x,A,1,1", "1,A,1,1,1", "1,\u{e9}"]
        {
            assert!(codec.decode(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
