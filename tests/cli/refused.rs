//! What cannot be done is refused by name, before anything runs.

use std::fs;

use crate::command::{REPLAY, folder, run, run_on_one_core};

#[test]
fn impossible_command_lines() {
    let folder = folder("refused");
    let cases: &[(&str, &[&str])] = &[
        ("brew", &["'brew'"]),
        ("bench nothing", &["nothing", "no such scenario", "bars"]),
        ("bench --shards 0", &["--shards 0", "at least one"]),
        ("bench --cpus 4095", &["--cpus 4095", "no such CPU"]),
        ("bench --cpus 0,0", &["--cpus 0", "two shards on one CPU"]),
        ("bench --cpus x", &["--cpus", "'x'"]),
        ("bench --shards 250 --idle spin", &["--shards 250", "oversubscribe"]),
        ("bench --shards 1 --cpus 0", &["--shards", "--cpus"]),
        ("bench --ring-capacity 0", &["--ring-capacity 0"]),
        ("bench --batch-max 0", &["--batch-max 0"]),
        ("bench --shards 200 --idle park --ring-capacity 100000", &["memory_bytes_max"]),
        ("bench --rate 0", &["--rate", "above zero"]),
        ("bench --rate 1e14", &["--rate 1", "1e12"]),
        ("bench --rate 5 --flat-out", &["--rate", "--flat-out"]),
        ("bench --speed 2", &["--input"]),
        ("bench --arrival even", &["--arrival", "none of constant, poisson"]),
        ("bench --arrival burst:0", &["--arrival", "`0` is no number of records"]),
        ("bench --arrival burst:8/1", &["`1` is no share of the time"]),
        ("bench --arrival poisson --flat-out", &["--arrival", "--flat-out"]),
        ("bench --arrival replay", &["--arrival replay", "needs --input"]),
        ("bench growth --arrival poisson", &["growth", "takes no --arrival", "bars"]),
        ("bench hop --arrival poisson", &["hop", "with --slo or --sweep only", "--arrival"]),
        ("bench growth --rate 5", &["growth", "takes no --rate", "bars, stall"]),
        ("bench window --rate 5M", &["window", "--rate with --slo only", "--sweep", "bars, stall"]),
        ("bench growth --slo p99<1ms", &["growth", "takes no --slo", "window, sliding"]),
        ("bench --closed-loop --shards 2 --idle park", &["--shards 2", "on one shard"]),
        ("bench --closed-loop --flat-out", &["--closed-loop", "--flat-out"]),
        ("bench --closed-loop --arrival poisson", &["--closed-loop", "--arrival"]),
        ("bench --slo p95<1ms", &["--slo", "`p95` is none of p50, p90"]),
        ("bench --slo p99=1ms", &["--slo", "a percentile, `<` and a span"]),
        ("bench --slo p99<100", &["--slo", "a number and one of ns, us"]),
        ("bench --slo p99<1ms --sweep 1k..2k", &["--slo", "--sweep"]),
        ("bench window --breakdown", &["window", "--breakdown with --slo or --sweep", "bars, hop"]),
        ("bench --sweep 2k..1k/3", &["--sweep", "up to a higher one"]),
        ("bench --sweep 1k", &["--sweep", "two rates"]),
        ("bench --sweep 1k..2k/1", &["--sweep", "from 2 to 100"]),
        ("bench --window 5", &["--window", "a number and one of ns, us"]),
        ("bench --window 0s", &["--window", "length"]),
        ("bench --window 1s --slide 2s", &["--slide", "longer than the window"]),
        ("bench --seconds -1", &["'-1'"]),
        ("bench --repeat 0", &["--repeat", "0"]),
        ("bench --keys 0", &["--keys", "0"]),
        ("bench --idle sleep", &["--idle", "spin, adaptive, park"]),
        ("bench --columns ts=0,price=1", &["--input"]),
        ("bench hop --window 1s", &["hop", "--window"]),
        ("bench --output nowhere/bars.csv", &["nowhere/bars.csv", "No such file"]),
    ];
    for (words, expected) in cases {
        run(&folder, words).failed(2, expected);
    }
    assert_eq!(folder.read_dir().unwrap().count(), 0, "nothing was written");
}

/// Who gave no --shards reads of the host, and not of a flag.
#[test]
fn on_one_core_a_hop_asks_for_another() {
    let folder = folder("refused_on_one");
    let done = run_on_one_core(&folder, "bench hop");
    done.failed(2, &["hop", "two cores, and has one here"]);
    assert!(!done.stderr.contains("--shards"), "{}", done.stderr);
    run(&folder, "bench hop --shards 1").failed(2, &["--shards 1: a hop is between two"]);
    run(&folder, "bench hop --cpus 0").failed(2, &["--cpus 0: a hop is between two"]);
}

#[test]
fn impossible_files_and_columns() {
    let folder = folder("refused_files");
    fs::write(folder.join("in.csv"), "ts,key,price,qty\n1,A,2,3\n").unwrap();
    fs::write(folder.join("bare.csv"), "1,A,2,3\n").unwrap();
    let input = "bench --time-unit ns --input";
    let cases: &[(String, &[&str])] = &[
        (format!("{input} in.csv"), &["--columns"]),
        ("bench --input in.csv --columns ts=0,price=2".into(), &["--time-unit"]),
        (format!("{input} in.csv --columns key=key,price=price"), &["--columns", "`ts=..`"]),
        (format!("{input} in.csv --columns ts=ts,key=key"), &["`price=..`"]),
        (format!("{input} in.csv --columns ts=ts,cost=x"), &["`cost`", "ts, key, price, qty"]),
        (
            format!("{input} in.csv --columns ts=when,key=key,price=price"),
            &["--columns when", "in.csv", "ts, key, price, qty"],
        ),
        (format!("{input} bare.csv --columns ts=0,key=9,price=2"), &["--columns 9", "bare.csv"]),
        (format!("{input} in.csv --columns ts=ts,price=price"), &["--columns", "--key-const"]),
        (
            format!("{input} in.csv --columns ts=ts,key=key,price=price --key-const A"),
            &["--key-const A", "one of the two"],
        ),
        (
            format!("{input} in.csv --columns ts=0,price=2 --key-const {}", "x".repeat(40)),
            &["--key-const", "40 bytes"],
        ),
        (format!("{REPLAY} --input missing.csv"), &["open missing.csv", "No such file"]),
        (format!("{REPLAY} --input ."), &["read .", "directory"]),
        (format!("{REPLAY} --input in.csv --price-scale 0"), &["--price-scale", "above zero"]),
        (format!("{REPLAY} --input in.csv --speed 0"), &["--speed"]),
        (format!("{REPLAY} --input in.csv --late nowhere/late.csv"), &["nowhere/late.csv"]),
        (format!("{REPLAY} --input in.csv --dead-letters nowhere/d.csv"), &["nowhere/d.csv"]),
        (format!("{REPLAY} --input in.csv --keys 5"), &["--keys", "--input"]),
        (format!("{REPLAY} --input in.csv --arrival poisson"), &["--arrival poisson", "--rate"]),
        (
            format!("{REPLAY} --input in.csv --arrival poisson --speed 2"),
            &["--arrival poisson", "--speed"],
        ),
        (
            format!("{REPLAY} --input in.csv --arrival replay --rate 2"),
            &["--arrival replay", "--speed"],
        ),
        (format!("{REPLAY} --input in.csv --slo p99<1ms"), &["--slo", "--input"]),
        (format!("{REPLAY} --input in.csv --disorder soon"), &["--disorder"]),
    ];
    for (words, expected) in cases {
        run(&folder, words).failed(2, expected);
    }
}
