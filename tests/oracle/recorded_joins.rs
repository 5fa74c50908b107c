//! Joins of trades and quotes that others recorded, against answers that others computed. The files
//! are not part of the project; where they are absent, a line says so.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use millstream::io::MemorySource;
use millstream::join::{before, same_time};
use millstream::metrics::Counter;
use millstream::{Keyed, Pipeline, Record, Text, Timestamp, ms};

use super::support::world::disordered;
use super::support::{Open, Seen, World, watch};

fn data() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    if path.join("MANIFEST.md").exists() {
        return path.canonicalize().ok();
    }
    println!("skipped: no recorded files in {}", path.display());
    None
}

/// A trade or a quote: when, of what, its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Line {
    at: i64,
    symbol: Text<8>,
    number: u64,
}

/// The lines of a file, by where time and number are, and nanoseconds in a unit of time.
fn lines(path: &Path, [at, number]: [usize; 2], unit: i64) -> Vec<Line> {
    let line = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        let symbol = Text::try_from(fields[1]).unwrap();
        let at = fields[at].parse::<i64>().unwrap() * unit;
        Line { at, symbol, number: fields[number].parse().unwrap() }
    };
    fs::read_to_string(path).unwrap().lines().skip(1).map(line).collect()
}

/// What an answer says of each trade: the numbers in some of its columns.
fn answer(path: &Path, columns: &[usize]) -> BTreeMap<(String, u64), Vec<u64>> {
    let text = fs::read_to_string(path).unwrap();
    let line = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        let number = |column: &usize| fields[*column].parse().unwrap_or(0);
        let found = columns.iter().map(number).collect();
        ((fields[0].to_owned(), number(&1)), found)
    };
    text.lines().skip(1).map(line).collect()
}

fn world(shards: usize) -> World {
    let (batch, fire, home) = (256, 64, shards - 1);
    World { shards, ring: 64, batch, fire, seed: 3, hash_seed: 5, home, open: Open::Always }
}

/// A stream of lines, read by one shard, by symbol.
fn keyed<'p>(
    p: Pipeline<'p>,
    world: &World,
    lines: &[Line],
    disorder: i64,
) -> Keyed<'p, Text<8>, Line> {
    let here = if p.shard() == world.home { lines } else { &[] };
    let records = here.iter().map(|line| Record::new(Timestamp(line.at), *line));
    p.source(MemorySource::new(records.collect::<Vec<_>>()))
        .event_time(|line| Timestamp(line.at), disordered(disorder))
        .key_by(|line| line.symbol)
}

/// By the time at which they were received, which both files are in the order of, event time is
/// arrival: each trade with the latest quote that had arrived.
#[test]
fn each_trade_has_the_quote_that_had_arrived() {
    let Some(data) = data() else { return };
    let trades = lines(&data.join("binance_trades.csv"), [0, 4], 1);
    let quotes = lines(&data.join("binance_bookticker.csv"), [0, 4], 1);
    let want = answer(&data.join("answers/binance_trade_asof_quote_by_arrival.csv"), &[4]);
    for shards in [1, 2] {
        let (world, seen) = (world(shards), Seen::<(Line, Option<Line>)>::new());
        world.run(|p| {
            let join = keyed(p, &world, &trades, 0).asof_join(keyed(p, &world, &quotes, 0));
            watch(join.select_left(|trade, quote| (*trade, quote.copied())), &seen, &world);
            Ok(())
        });
        let seen = seen.borrow();
        let got = seen.records.iter().map(|(_, (trade, quote))| {
            let number = quote.map_or(0, |quote| quote.number);
            ((trade.symbol.to_string(), trade.number), vec![number])
        });
        let got: BTreeMap<_, _> = got.collect();
        assert_eq!(seen.records.len(), want.len());
        assert!(got == want, "{shards} shards");
    }
}

/// The quotes of the five milliseconds up to each trade, by the exchange's clock.
#[test]
fn each_trade_has_the_quotes_of_the_last_milliseconds() {
    let Some(data) = data() else { return };
    let trades = lines(&data.join("binance_trades.csv"), [3, 4], 1_000_000);
    let quotes = lines(&data.join("binance_bookticker.csv"), [3, 4], 1_000_000);
    let want = answer(&data.join("answers/binance_interval_join_5ms_counts.csv"), &[2, 3, 4]);
    for shards in [1, 2] {
        let (world, seen) = (world(shards), Seen::<(Line, Option<Line>)>::new());
        let outcome = world.run(|p| {
            // Within a symbol all is in order; between symbols quotes are late by up to 111 ms.
            let quotes = keyed(p, &world, &quotes, 111_000_000);
            let join = keyed(p, &world, &trades, 0).interval_join(quotes);
            let pairs = join.between(before(ms(5)), same_time());
            watch(pairs.select_left(|trade, quote| (*trade, quote.copied())), &seen, &world);
            Ok(())
        });
        assert_eq!(outcome.counters.get(Counter::Late), 0);
        let mut got = BTreeMap::<_, Vec<u64>>::new();
        for (_, (trade, quote)) in &seen.borrow().records {
            let of_trade = got.entry((trade.symbol.to_string(), trade.number)).or_default();
            of_trade.extend(quote.map(|quote| quote.number));
        }
        let counts = |numbers: Vec<u64>| {
            let [least, most] = [numbers.iter().min(), numbers.iter().max()];
            let [least, most] = [least, most].map(|number| number.copied().unwrap_or(0));
            vec![numbers.len() as u64, least, most]
        };
        let got: BTreeMap<_, _> = got.into_iter().map(|(key, all)| (key, counts(all))).collect();
        assert_eq!(got.len(), want.len());
        assert!(got == want, "{shards} shards");
    }
}
