//! Trades and other things that others recorded, against answers that others computed. The files
//! are not part of the project; where they are absent, a line says so.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::command::{Done, body, folder, run};

/// Where the files lie, if they are here.
fn data() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    if path.join("MANIFEST.md").exists() {
        return path.canonicalize().ok();
    }
    println!("skipped: no recorded files in {}", path.display());
    None
}

/// A bar as it stands in the file of bars.
struct Bar {
    key: String,
    start: i64,
    prices: [String; 4],
    volume: f64,
    vwap: f64,
    count: u64,
}

/// Makes bars of a file of `data`; each way of running it must give the same bytes.
fn bars(name: &str, data: &Path, words: &str, ways: &[&str]) -> (Done, Vec<Bar>) {
    let folder = folder(name);
    let mut first: Option<(Done, String)> = None;
    for way in ways {
        let words = words.replace("DATA", &data.display().to_string());
        let words = format!("bench --json --idle adaptive --output bars.csv {words} {way}");
        let done = run(&folder, &words);
        assert_eq!(done.code, Some(0), "{words}: {}", done.stderr);
        let text = fs::read_to_string(folder.join("bars.csv")).unwrap();
        match &first {
            Some((_, before)) => assert_eq!(*before, text, "{way}"),
            None => first = Some((done, text)),
        }
    }
    let (done, text) = first.unwrap();
    assert_eq!(done.counter("dead_lettered"), 0);
    assert_eq!(done.counter("late"), 0);
    (done, body(&text).into_iter().map(bar).collect())
}

fn bar(line: &str) -> Bar {
    let f: Vec<&str> = line.split(',').collect();
    Bar {
        key: f[0].to_owned(),
        start: f[1].parse().unwrap(),
        prices: [3, 4, 5, 6].map(|field| f[field].to_owned()),
        volume: f[7].parse().unwrap(),
        vwap: f[8].parse().unwrap(),
        count: f[9].parse().unwrap(),
    }
}

/// The rows of an answer, by key and start of the window.
fn answer(
    data: &Path,
    name: &str,
    place: impl Fn(&[&str]) -> (String, i64),
) -> BTreeMap<(String, i64), Vec<String>> {
    let text = fs::read_to_string(data.join("answers").join(name)).unwrap();
    let row = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        (place(&fields), fields.iter().map(|field| (*field).to_owned()).collect())
    };
    body(&text).into_iter().map(row).collect()
}

fn number(text: &str) -> f64 {
    text.parse().unwrap()
}

fn close(ours: f64, theirs: f64) -> bool {
    (ours - theirs).abs() <= 1e-9 * theirs.abs().max(1e-12)
}

const MS: i64 = 1_000_000;
const WAYS: &[&str] = &["--shards 1", "--shards 2", "--shards 2 --speed 500"];
const BINANCE: &str = "--input DATA/binance_trades.csv --time-unit ms \
                       --columns ts=trade_ms,key=symbol,price=price,qty=qty";

#[test]
fn binance_bars_of_a_second() {
    let Some(data) = data() else { return };
    let (done, bars) = bars("binance", &data, BINANCE, WAYS);
    assert_eq!(done.counter("records_in"), 35_389);
    let place = |f: &[&str]| (f[0].to_owned(), f[1].parse::<i64>().unwrap() * MS);
    let mut answers = answer(&data, "binance_trades_ohlcv_1s.csv", place);
    for bar in bars {
        let row = answers.remove(&(bar.key.clone(), bar.start)).expect("a bar of ours alone");
        assert_eq!(bar.count.to_string(), row[2]);
        let theirs = [3, 4, 5, 6].map(|field| number(&row[field]).to_string());
        assert_eq!(bar.prices, theirs, "{} {}", bar.key, bar.start);
        assert!(close(bar.volume, number(&row[7])), "{} {}", bar.volume, row[7]);
        assert!(close(bar.vwap * bar.volume, number(&row[8])), "{} {}", bar.vwap, row[8]);
    }
    assert!(answers.is_empty(), "not ours: {answers:?}");
}

#[test]
fn binance_sliding_windows() {
    let Some(data) = data() else { return };
    let words = format!("{BINANCE} --window 5s --slide 1s");
    let (_, bars) = bars("binance_sliding", &data, &words, WAYS);
    let place = |f: &[&str]| (f[0].to_owned(), f[1].parse::<i64>().unwrap() * MS);
    let mut answers = answer(&data, "binance_trades_sliding_5s_1s.csv", place);
    for bar in bars {
        let row = answers.remove(&(bar.key.clone(), bar.start)).expect("a bar of ours alone");
        assert_eq!(bar.count.to_string(), row[2]);
        assert!(close(bar.volume, number(&row[3])), "{} {}", bar.volume, row[3]);
        assert!(close(bar.vwap * bar.volume, number(&row[4])), "{} {}", bar.vwap, row[4]);
    }
    assert!(answers.is_empty(), "not ours: {answers:?}");
}

const LOBSTER: &str = "--input DATA/lobster_aapl_20120621_message_10.csv --time-unit s \
                       --price-scale 1e-4";

#[test]
fn lobster_without_a_header() {
    let Some(data) = data() else { return };
    let words = format!("{LOBSTER} --columns ts=0,price=4,qty=3 --key-const AAPL");
    let (done, bars) = bars("lobster", &data, &words, WAYS);
    assert_eq!(done.counter("records_in"), 999);
    let place = |f: &[&str]| (f[1].to_owned(), f[0].parse::<i64>().unwrap() * 1000 * MS);
    let answers = answer(&data, "lobster_1s_by_type.csv", place);
    let mut by_second: BTreeMap<i64, (u64, f64)> = BTreeMap::new();
    for ((_, start), row) in &answers {
        let sum = by_second.entry(*start).or_default();
        *sum = (sum.0 + row[2].parse::<u64>().unwrap(), sum.1 + number(&row[3]));
    }
    let ours: BTreeMap<i64, (u64, f64)> =
        bars.iter().map(|bar| (bar.start, (bar.count, bar.volume))).collect();
    assert_eq!(ours, by_second);
    assert_eq!(bars[0].prices[0], "585.33", "as quoted");
}

#[test]
fn lobster_by_type() {
    let Some(data) = data() else { return };
    let words = format!("{LOBSTER} --columns ts=0,key=1,price=4,qty=3");
    let (_, bars) = bars("lobster_types", &data, &words, WAYS);
    let place = |f: &[&str]| (f[1].to_owned(), f[0].parse::<i64>().unwrap() * 1000 * MS);
    let mut answers = answer(&data, "lobster_1s_by_type.csv", place);
    for bar in bars {
        let row = answers.remove(&(bar.key.clone(), bar.start)).expect("a bar of ours alone");
        assert_eq!(
            (bar.count.to_string(), bar.volume.to_string()),
            (row[2].clone(), row[3].clone())
        );
    }
    assert!(answers.is_empty(), "not ours: {answers:?}");
}

#[test]
fn flights_far_out_of_order() {
    let Some(data) = data() else { return };
    let words = "--input DATA/nycflights_departures.csv --time-unit ms --window 1h --disorder 22h \
                 --columns ts=sched_dep_ms,key=origin+carrier,price=distance_mi,qty=dep_delay_min";
    let ways = &["--shards 1", "--shards 2", "--shards 2 --speed 3e7"];
    let (done, bars) = bars("flights", &data, words, ways);
    assert_eq!(done.counter("records_in"), 328_521);
    let place = |f: &[&str]| (format!("{}+{}", f[0], f[1]), f[2].parse::<i64>().unwrap() * MS);
    let mut answers = answer(&data, "nycflights_1h_sched_by_origin_carrier.csv", place);
    for bar in bars {
        let row = answers.remove(&(bar.key.clone(), bar.start)).expect("a window of ours alone");
        assert_eq!(bar.count.to_string(), row[3], "{} {}", bar.key, bar.start);
        assert_eq!(bar.volume, number(&row[4]), "{} {}", bar.key, bar.start);
    }
    assert!(answers.is_empty(), "{} are not ours", answers.len());
}

#[test]
fn web_log_by_status() {
    let Some(data) = data() else { return };
    let words = "--input DATA/apache_access.csv --time-unit ms --window 5m --disorder 60s \
                 --columns ts=ts_ms,key=status,price=bytes,qty=bytes";
    let (_, bars) = bars("apache", &data, words, &["--shards 1", "--shards 2"]);
    let name = "apache_5min_by_status.csv";
    let head = fs::read_to_string(data.join("answers").join(name)).unwrap();
    let head: Vec<&str> = head.lines().next().unwrap().split(',').collect();
    let at = |name: &str| head.iter().position(|column| column.contains(name)).unwrap();
    let (status, start, bytes) = (at("status"), at("start"), at("bytes"));
    let place = |f: &[&str]| (f[status].to_owned(), f[start].parse::<i64>().unwrap() * MS);
    let mut answers = answer(&data, name, place);
    for bar in bars {
        let row = answers.remove(&(bar.key.clone(), bar.start)).expect("a window of ours alone");
        assert!(row.contains(&bar.count.to_string()), "{} {row:?}", bar.count);
        assert_eq!(bar.volume, number(&row[bytes]), "{} {}", bar.key, bar.start);
    }
    assert!(answers.is_empty(), "not ours: {answers:?}");
}

#[test]
fn quotes_and_earthquakes_are_all_counted() {
    let Some(data) = data() else { return };
    let words = "--input DATA/binance_bookticker.csv --time-unit ms --disorder 111ms \
                 --columns ts=transact_ms,key=symbol,price=bid_px,qty=bid_qty";
    let (_, quotes) = bars("quotes", &data, words, WAYS);
    assert_eq!(quotes.iter().map(|bar| bar.count).sum::<u64>(), 120_081);
    let words = "--input DATA/earthquakes.csv --time-unit us --window 24h \
                 --columns ts=event_us,key=mag_type,price=magnitude,qty=depth_km";
    let ways = &["--shards 1", "--shards 2", "--shards 2 --speed 1e7"];
    let (_, quakes) = bars("quakes", &data, words, ways);
    assert_eq!(quakes.iter().map(|bar| bar.count).sum::<u64>(), 38_094);
}
